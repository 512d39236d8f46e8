//! Ten plain shapes against skies, for a network that tells ten classes apart.
//!
//! Their unit is about half a shape's size; x points to the right and y upwards.

use std::f32::consts::{PI, TAU};

use voxgrad_engine::random::Rng;

use super::outline::{Outline, SIDE};
use super::{Images, Split, draw_all, scene};
use crate::Result;

/// What the shapes are called, by label.
pub const SHAPES: [&str; 10] =
    ["disc", "ring", "square", "triangle", "star", "cross", "arrow", "crescent", "heart", "hourglass"];

/// `n` images of the ten [`SHAPES`], 32x32 in three colours. As with airplanes and birds the shape alone
/// tells the class. Image i is the same for the same seed, however many there are.
pub fn shapes(n: usize, split: Split, seed: u64) -> Result<Images> {
    draw_all(n, [3, SIDE, SIDE], split, seed, |rng, image| {
        let label = rng.below(SHAPES.len());
        scene(rng, image, |rng| vec![shape(rng, label)]);
        label as u32
    })
}

fn shape(rng: &mut Rng, label: usize) -> Outline {
    match label {
        0 => Outline::ellipse([0.0, 0.0], 1.0, 1.0),
        1 => ring(rng),
        2 => Outline::from(-0.85, -0.85).line(0.85, -0.85).line(0.85, 0.85).line(-0.85, 0.85),
        3 => Outline::from(-0.95, -0.7).line(0.95, -0.7).line(rng.range(-0.3, 0.3), 0.95),
        4 => star(rng),
        5 => cross(rng),
        6 => arrow(rng),
        7 => crescent(rng),
        8 => heart(rng),
        _ => hourglass(rng),
    }
}

/// A disc with a hole: the line goes around the rim, inwards, and around the hole. Where an outline lies
/// twice it covers nothing.
fn ring(rng: &mut Rng) -> Outline {
    let hole = rng.range(0.45, 0.65);
    let Outline(mut points) = Outline::ellipse([0.0, 0.0], 1.0, 1.0);
    let Outline(inner) = Outline::ellipse([0.0, 0.0], hole, hole);
    for mut circle in [std::mem::take(&mut points), inner] {
        circle.extend(circle.first().copied());
        points.extend(circle);
    }
    Outline(points)
}

fn star(rng: &mut Rng) -> Outline {
    let (tips, depth) = (5 + rng.below(2), rng.range(0.35, 0.5));
    let corners = 2 * tips;
    Outline(
        (0..corners)
            .map(|i| {
                let (sin, cos) = (PI / 2.0 + i as f32 * TAU / corners as f32).sin_cos();
                let reach = if i % 2 == 0 { 1.0 } else { depth };
                [reach * cos, reach * sin]
            })
            .collect(),
    )
}

fn cross(rng: &mut Rng) -> Outline {
    let half = rng.range(0.22, 0.34);
    let arms = [[half, 1.0], [half, half], [1.0, half]];
    // A quarter at a time, each turned by 90 degrees.
    let quarter = |turns: usize| {
        arms.map(|mut point| {
            for _ in 0..turns {
                point = [point[1], -point[0]];
            }
            point
        })
    };
    Outline((0..4).flat_map(quarter).collect())
}

fn arrow(rng: &mut Rng) -> Outline {
    let (half, head, neck) = (rng.range(0.15, 0.28), rng.range(0.55, 0.8), rng.range(-0.1, 0.25));
    Outline::from(-1.0, half)
        .line(neck, half)
        .line(neck, head)
        .line(1.0, 0.0)
        .line(neck, -head)
        .line(neck, -half)
        .line(-1.0, -half)
}

/// What is left of a disc when another covers one side of it.
fn crescent(rng: &mut Rng) -> Outline {
    let (bite, tip) = (rng.range(-0.5, -0.05), 0.35);
    Outline::from(tip, 0.95)
        .curve([-0.75, 0.95], [-0.8, 0.0])
        .curve([-0.75, -0.95], [tip, -0.95])
        .curve([bite, -0.6], [bite, 0.0])
        .curve([bite, 0.6], [tip, 0.95])
}

fn heart(rng: &mut Rng) -> Outline {
    let dip = rng.range(0.3, 0.5);
    Outline::from(0.0, -1.0)
        .curve([-0.9, -0.3], [-0.95, 0.3])
        .curve([-0.95, 0.9], [-0.5, 0.9])
        .curve([-0.1, 0.9], [0.0, dip])
        .curve([0.1, 0.9], [0.5, 0.9])
        .curve([0.95, 0.9], [0.95, 0.3])
        .curve([0.9, -0.3], [0.0, -1.0])
}

fn hourglass(rng: &mut Rng) -> Outline {
    let (half, waist) = (rng.range(0.6, 0.85), rng.range(0.05, 0.15));
    Outline::from(-half, 1.0)
        .line(half, 1.0)
        .line(waist, 0.0)
        .line(half, -1.0)
        .line(-half, -1.0)
        .line(-waist, 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::outline::coverage;
    use super::*;

    #[test]
    fn all_shapes_come_up_equally_often_and_are_the_same_for_the_same_seed() {
        let images = shapes(3000, Split::Train, 3).unwrap();
        for label in 0..SHAPES.len() as u32 {
            let count = images.labels().iter().filter(|l| **l == label).count();
            assert!((230..370).contains(&count), "{count} of {}", SHAPES[label as usize]);
        }
        let few = shapes(5, Split::Train, 3).unwrap();
        assert!((0..5).all(|i| few.pixels(i).unwrap() == images.pixels(i).unwrap()));
        assert_ne!(few, shapes(5, Split::Val, 3).unwrap());
    }

    #[test]
    fn a_ring_has_a_hole_and_a_disc_has_none() {
        let covered = |label| {
            let outline = shape(&mut Rng::new(0, 0), label);
            let half = SIDE as f32 / 2.0;
            coverage(&[outline.moved(|[x, y]| [half + 12.0 * x, half - 12.0 * y])])
        };
        let middle = SIDE / 2 * SIDE + SIDE / 2;
        for (label, name) in SHAPES.iter().enumerate() {
            let covered = covered(label);
            let area: f32 = covered.iter().sum();
            assert!(area > 80.0, "{name} covers {area} pixels");
            assert!(covered.iter().all(|c| (0.0..=1.001).contains(c)), "{name}");
            let hollow = matches!(*name, "ring" | "crescent");
            assert_eq!(covered[middle] < 0.5, hollow, "{name}: {}", covered[middle]);
        }
    }
}
