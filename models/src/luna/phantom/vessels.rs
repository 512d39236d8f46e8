//! The vessels of the lungs: trees that branch from where they enter.

use std::collections::VecDeque;

use voxgrad_engine::random::Rng;

use super::anatomy::Anatomy;
use super::shapes::{Tube, add, direction, dot, frame, scale, unit};
use super::volume::Point;

/// Thinner ones are not seen.
const THINNEST: f32 = 0.5;

/// Where a vessel grows.
struct Tip {
    at: Point,
    way: Point,
    radius: f32,
}

/// The vessels of both lungs of a picture of `extent` mm.
pub fn grow(rng: &mut Rng, anatomy: &Anatomy, extent: Point) -> Vec<Tube> {
    /// The thinnest vessels of a large chest are left out.
    const MOST: usize = 6000;
    let (mut tubes, mut tips) = (vec![], VecDeque::new());
    for side in [-1.0, 1.0] {
        // From the middle of the chest to the side, until there is lung.
        let mut hilum = [0.5 * extent[0], 0.5 * extent[1], 0.45 * extent[2]];
        while anatomy.lung(hilum) > -2.0 && (0.0..extent[0]).contains(&hilum[0]) {
            hilum[0] += side;
        }
        // Arteries and veins, to the upper, middle and lower parts of the lung.
        for up in [1.1, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9, -1.1] {
            let way = unit(add([side, 0.9 * rng.normal(), up], scale(direction(rng), 0.2)));
            let radius = 0.022 * extent[0] * rng.range(0.7, 1.0);
            let at = add(hilum, [0.0, rng.range(-5.0, 5.0), 7.0 * up]);
            tips.push_back(Tip { at, way, radius });
        }
    }
    while let Some(tip) = tips.pop_front() {
        if tubes.len() >= MOST {
            break;
        }
        // A piece of two bends, then a fork.
        let Tip { mut at, mut way, mut radius } = tip;
        let piece = 2.0 + rng.range(1.2, 2.6) * radius;
        for _ in 0..2 {
            way = unit(add(way, scale(direction(rng), 0.3)));
            // Away from the wall, or along it.
            let end = add(at, scale(way, piece));
            if anatomy.lung(end) > -2.0 - radius {
                let out = anatomy.outwards(end);
                way = unit(add(way, scale(out, -1.2 * dot(way, out).max(0.0) - 0.1)));
            }
            let end = add(at, scale(way, piece));
            if anatomy.lung(end) > -0.5 {
                radius = 0.0; // it has nowhere to go
                break;
            }
            let thinner = 0.97 * radius;
            tubes.push(Tube { ends: [at, end], radii: [radius, thinner] });
            (at, radius) = (end, thinner);
        }
        // Murray's law: the cubes of the radii add up.
        let share = rng.range(0.15, 0.85);
        let [_, aside, _] = frame(way, rng);
        for (part, turn) in [(share, 1.0), (1.0 - share, -1.0)] {
            let radius = radius * f32::cbrt(part);
            if radius >= THINNEST {
                // The thinner branch turns away more.
                let way = unit(add(way, scale(aside, turn * 1.1 * (1.0 - part))));
                tips.push_back(Tip { at, way, radius });
            }
        }
    }
    tubes
}
