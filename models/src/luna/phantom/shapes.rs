//! What findings are made of: blobs, from plates over balls to spindles, and tubes.

use voxgrad_engine::random::Rng;

use super::volume::{Point, Shape};

pub fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub fn scale(a: Point, by: f32) -> Point {
    a.map(|x| x * by)
}

pub fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

pub fn unit(a: Point) -> Point {
    scale(a, 1.0 / length(a).max(1e-6))
}

fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// A direction, each as likely as any other.
pub fn direction(rng: &mut Rng) -> Point {
    unit([rng.normal(), rng.normal(), rng.normal()])
}

/// Three directions at right angles, the first of which is given.
pub fn frame(first: Point, rng: &mut Rng) -> [Point; 3] {
    let second = unit(cross(first, direction(rng)));
    [first, second, cross(first, second)]
}

/// An ellipsoid with lumps.
pub struct Blob {
    pub centre: Point,
    /// The directions of its axes.
    pub frame: [Point; 3],
    /// Half of its lengths along them, in mm.
    pub radii: [f32; 3],
    /// Where it bulges, and by which part of its radius.
    pub lumps: Vec<(Point, f32)>,
}

impl Shape for Blob {
    fn bounds(&self) -> [Point; 2] {
        let most = 1.0 + self.lumps.iter().map(|(_, height)| height.max(0.0)).sum::<f32>();
        let reach = most * self.radii.iter().fold(0.0f32, |most, &r| most.max(r));
        [self.centre.map(|x| x - reach), self.centre.map(|x| x + reach)]
    }

    fn distance(&self, p: Point) -> f32 {
        let p = sub(p, self.centre);
        let q = self.frame.map(|axis| dot(axis, p));
        let swell = if self.lumps.is_empty() {
            1.0
        } else {
            let out = unit(q);
            1.0 + self.lumps.iter().map(|(at, height)| height * dot(out, *at).max(0.0).powi(4)).sum::<f32>()
        };
        // To first order: the value of |q / r| - 1, divided by its slope.
        let radii = self.radii.map(|r| r * swell);
        let k = length([q[0] / radii[0], q[1] / radii[1], q[2] / radii[2]]);
        let slope = length([q[0] / radii[0].powi(2), q[1] / radii[1].powi(2), q[2] / radii[2].powi(2)]);
        if slope < 1e-6 { -radii[0] } else { k * (k - 1.0) / slope }
    }
}

/// A round rod between two places, each with a radius of its own.
#[derive(Debug, Clone, Copy)]
pub struct Tube {
    pub ends: [Point; 2],
    pub radii: [f32; 2],
}

impl Tube {
    /// The place at the part `t` of its length.
    pub fn at(&self, t: f32) -> Point {
        add(self.ends[0], scale(sub(self.ends[1], self.ends[0]), t))
    }
}

impl Shape for Tube {
    fn bounds(&self) -> [Point; 2] {
        let [a, b] = self.ends;
        let reach = self.radii[0].max(self.radii[1]);
        [0, 1].map(|high| {
            std::array::from_fn(|k| if high == 0 { a[k].min(b[k]) - reach } else { a[k].max(b[k]) + reach })
        })
    }

    fn distance(&self, p: Point) -> f32 {
        let along = sub(self.ends[1], self.ends[0]);
        let t = dot(sub(p, self.ends[0]), along) / dot(along, along).max(1e-6);
        let t = t.clamp(0.0, 1.0);
        length(sub(p, self.at(t))) - (self.radii[0] + t * (self.radii[1] - self.radii[0]))
    }
}
