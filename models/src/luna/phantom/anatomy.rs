//! The chest: body, bones, heart and lungs.
//!
//! Seen from the feet, as slices of a CT are shown: x to the patient's left, y to the back, z to the head.

use voxgrad_engine::random::Rng;

use super::shapes::{Blob, direction, dot, scale, unit};
use super::volume::{Point, Shape, covered};

/// A patient. Lengths are in mm, and grow with the width of the picture.
pub struct Anatomy {
    /// The middle of the chest, x and y, and the height of the picture.
    middle: [f32; 2],
    height: f32,
    /// Half of the width and depth of the body and of the inside of its ribs.
    body: [f32; 2],
    chest: [f32; 2],
    fat: f32,
    /// Half of the width of what lies between the lungs.
    mediastinum: f32,
    heart: Blob,
    /// The lowest place of the lungs' lower end and how high it is vaulted, and where they begin to taper.
    diaphragm: [f32; 2],
    shoulder: f32,
    /// From rib to rib, how much they slope to the front, where the first one is, and their thickness.
    ribs: [f32; 4],
    /// The width of a voxel.
    width: f32,
    lung_hu: f32,
    heart_hu: f32,
    /// Waves in the density of the lungs: where to, and how far along.
    waves: [(Point, f32); 4],
}

impl Anatomy {
    /// A patient for a picture of `extent` mm.
    pub fn new(rng: &mut Rng, extent: [f32; 3], width: f32) -> Anatomy {
        let [wide, deep, height] = extent;
        let w = wide.min(deep);
        let middle = [0.5 * wide + 0.01 * w * rng.normal(), 0.5 * deep + 0.01 * w * rng.normal()];
        let body = [w * rng.range(0.46, 0.49), w * rng.range(0.37, 0.42)];
        let fat = w * rng.range(0.015, 0.035);
        let wall = w * rng.range(0.045, 0.055);
        let chest = body.map(|half| half - fat - wall);
        let heart = Blob {
            centre: [middle[0] + 0.07 * w, middle[1] - 0.3 * chest[1], height * rng.range(0.2, 0.32)],
            frame: [unit([1.0, 0.3, -0.4]), unit([-0.3, 1.0, 0.0]), unit([0.36, 0.1, 0.9])],
            radii: [w * rng.range(0.13, 0.16), w * rng.range(0.11, 0.13), height * rng.range(0.17, 0.22)],
            lumps: vec![],
        };
        let rib = w * rng.range(0.1, 0.13);
        let wave = |rng: &mut Rng| {
            let around = std::f32::consts::TAU / (w * rng.range(0.15, 0.5));
            (scale(direction(rng), around), rng.range(0.0, 6.3))
        };
        Anatomy {
            middle,
            height,
            body,
            chest,
            fat,
            mediastinum: w * rng.range(0.06, 0.075),
            heart,
            diaphragm: [height * rng.range(-0.05, 0.05), height * rng.range(0.1, 0.16)],
            shoulder: height * rng.range(0.6, 0.75),
            ribs: [rib, rng.range(0.3, 0.5), rng.range(0.0, rib), w * rng.range(0.016, 0.021)],
            width,
            lung_hu: rng.range(-890.0, -830.0),
            heart_hu: rng.range(40.0, 140.0),
            waves: std::array::from_fn(|_| wave(rng)),
        }
    }

    /// The distance to the nearest wall of a lung, negative inside of one.
    pub fn lung(&self, p: Point) -> f32 {
        let [x, y] = [p[0] - self.middle[0], p[1] - self.middle[1]];
        // Towards the neck the chest becomes narrow.
        let up = ((p[2] - self.shoulder) / (0.6 * self.height)).max(0.0);
        let narrow = (1.0 - up * up).max(0.05).sqrt();
        let chest = ellipse([x, y], self.chest.map(|half| half * narrow));
        let between = self.mediastinum * (1.0 + 0.6 * (y / self.chest[1]).powi(2)) - x.abs();
        let [u, v] = [(x.abs() - 0.5 * self.chest[0]) / self.chest[0], y / self.chest[1]];
        let diaphragm = self.diaphragm[0] + self.diaphragm[1] * (1.0 - 3.0 * u * u - v * v) - p[2];
        chest.max(between).max(diaphragm).max(-self.heart.distance(p))
    }

    /// The direction in which the nearest wall of a lung lies.
    pub fn outwards(&self, p: Point) -> Point {
        const STEP: f32 = 0.5;
        unit(std::array::from_fn(|k| {
            let at = |by: f32| self.lung(std::array::from_fn(|i| p[i] + if i == k { by } else { 0.0 }));
            at(STEP) - at(-STEP)
        }))
    }

    /// What there is at a place, in HU.
    pub fn hu(&self, p: Point) -> f32 {
        let [x, y] = [p[0] - self.middle[0], p[1] - self.middle[1]];
        let inside = |distance: f32| covered(distance, self.width);
        let mut hu = -1000.0;
        let mut fill = |part: f32, with: f32| hu += part * (with - hu);

        let body = ellipse([x, y], self.body);
        if body > self.width {
            return hu;
        }
        let lung = self.lung(p);
        if lung > -self.width {
            fill(inside(body), 0.0); // skin
            fill(inside(body + 1.5), -100.0); // fat
            fill(inside(body + self.fat), 50.0); // muscle

            let [spacing, slope, first, thick] = self.ribs;
            let ring = ellipse([x, y], self.chest.map(|half| half + 1.3 * thick));
            let off = (p[2] - slope * y + first).rem_euclid(spacing) - 0.5 * spacing;
            let rib = ((ring / thick).powi(2) + (off / (1.6 * thick)).powi(2)).sqrt() * thick - thick;
            fill(inside(rib), 600.0);
            fill(inside(rib + 0.3 * thick), 250.0);

            let spine = ellipse([x, y - 0.8 * self.chest[1]], [0.16 * self.chest[0], 0.16 * self.chest[1]]);
            let disc = (p[2] + first).rem_euclid(0.9 * spacing) < 0.15 * spacing;
            fill(inside(spine), if disc { 80.0 } else { 450.0 });
            fill(inside(spine + 1.5), if disc { 80.0 } else { 200.0 });
            fill(inside(self.heart.distance(p) + 1.0), self.heart_hu);
        }
        if lung > self.width {
            return hu;
        }
        // A lung is heavier where it lies.
        let sagging = 50.0 * y / self.chest[1];
        let waves: f32 = self.waves.iter().map(|(way, start)| (dot(*way, p) + start).sin()).sum();
        fill(inside(lung), self.lung_hu + sagging + 8.0 * waves);
        hu
    }
}

/// The distance to an ellipse around the origin, negative inside; right near it, as [`Shape::distance`].
fn ellipse([x, y]: [f32; 2], [a, b]: [f32; 2]) -> f32 {
    let k = (x / a).hypot(y / b);
    let slope = (x / (a * a)).hypot(y / (b * b));
    if slope < 1e-6 { -a.min(b) } else { k * (k - 1.0) / slope }
}
