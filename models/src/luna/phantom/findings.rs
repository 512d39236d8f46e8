//! Nodules, and what is easily taken for one.
//!
//! A nodule is about as long as it is wide, in all directions. What is not one is no darker and no
//! smaller: it is a piece of a vessel, a spindle, a plate, a plaque on the wall, or chalk. Which of them a
//! place belongs to is seen in its surroundings, in three dimensions.

use std::ops::Range;

use voxgrad_engine::random::Rng;

use super::anatomy::Anatomy;
use super::shapes::{Blob, Tube, add, direction, frame, length, scale, sub, unit};
use super::volume::{Point, Volume};

/// A place that a reader would look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Its centre.
    pub at: Point,
    /// The diameter in mm of the nodule there, if it is one.
    pub nodule: Option<f32>,
}

/// What is not a nodule and looks like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookalike {
    /// A piece of a vessel that runs through the slices, round in each of them.
    Rod,
    /// Long and thick.
    Spindle,
    /// A scar.
    Plate,
    /// Flat, on the wall of a lung.
    Plaque,
    /// Round, and as bright as bone.
    Chalk,
}

const LOOKALIKES: [Lookalike; 5] =
    [Lookalike::Rod, Lookalike::Spindle, Lookalike::Plate, Lookalike::Plaque, Lookalike::Chalk];

/// A chest that findings are put into, each beside the others.
pub struct Findings<'a> {
    rng: &'a mut Rng,
    anatomy: &'a Anatomy,
    vessels: &'a [Tube],
    volume: &'a mut Volume,
    /// The size of the picture in mm.
    extent: Point,
    /// Balls that are taken: places and radii.
    taken: Vec<(Point, f32)>,
    spots: Vec<Spot>,
}

/// How often a place is looked for until there is thought to be none.
const TRIES: usize = 500;

impl<'a> Findings<'a> {
    pub fn new(
        rng: &'a mut Rng,
        anatomy: &'a Anatomy,
        vessels: &'a [Tube],
        volume: &'a mut Volume,
        extent: Point,
    ) -> Findings<'a> {
        Findings { rng, anatomy, vessels, volume, extent, taken: vec![], spots: vec![] }
    }

    /// Puts nodules and lookalikes in, and finds further places until there are `candidates`, or no room.
    pub fn place(mut self, nodules: usize, lookalikes: usize, candidates: usize) -> Vec<Spot> {
        for _ in 0..nodules {
            self.nodule();
        }
        for n in 0..lookalikes {
            self.lookalike(LOOKALIKES[n % LOOKALIKES.len()]);
        }
        // Nearly all others are vessels, as in LUNA16; some touch the wall, few are nothing at all.
        let mut thinnest = 1.0;
        while self.spots.len() < candidates {
            let kind = self.rng.uniform();
            let at = self.find(0.5, |this| match kind {
                0.0..0.75 => this.on_vessel(thinnest..2.5),
                0.75..0.97 => {
                    let deep = this.rng.range(0.0, 5.0);
                    this.on_wall().map(|at| add(at, scale(this.anatomy.outwards(at), deep)))
                }
                _ => this.in_lung(3.0),
            });
            match at {
                Some(at) => self.take(at, 0.5, None),
                // The thick vessels are full.
                None if thinnest > 0.6 => thinnest -= 0.1,
                None => break,
            }
        }
        self.spots
    }

    /// The diameter of a finding in mm, 3 to 30: half of them are below 10.
    fn diameter(&mut self) -> f32 {
        loop {
            let diameter = 10.0 * (0.45 * self.rng.normal()).exp();
            if (3.0..30.0).contains(&diameter) {
                return diameter;
            }
        }
    }

    fn nodule(&mut self) {
        let radius = 0.5 * self.diameter();
        // Alone, at the wall, or at a vessel that is thinner than the nodule.
        let kind = self.rng.uniform();
        let at = self.find(radius + 3.0, |this| match kind {
            0.0..0.5 => this.in_lung(radius),
            0.5..0.75 => {
                let at = this.on_wall()?;
                let deep = radius * this.rng.range(0.3, 0.8);
                Some(add(at, scale(this.anatomy.outwards(at), -deep)))
            }
            _ => this.on_vessel(0.5..0.4 * radius),
        });
        let Some(at) = at else { return };

        let stretch = [0; 3].map(|_| self.rng.range(0.85, 1.15));
        let (frame, rng) = (frame(direction(self.rng), self.rng), &mut *self.rng);
        let lumps = (0..rng.below(5)).map(|_| (direction(rng), rng.range(-0.15, 0.3))).collect();
        let body = Blob { centre: at, frame, radii: stretch.map(|s| radius * s), lumps };
        match rng.uniform() {
            // Ground glass, with a solid core or without.
            0.0..0.25 => {
                let glass = rng.range(-600.0, -350.0);
                let core = rng.uniform() < 0.6;
                self.volume.paint(&body, glass);
                if core {
                    let core = Blob { radii: body.radii.map(|r| 0.55 * r), ..body };
                    let hu = self.solid();
                    self.volume.paint(&core, hu);
                }
            }
            kind => {
                let hu = self.solid();
                self.volume.paint(&body, hu);
                // Some have spicules.
                let spicules = if kind > 0.75 { 5 + self.rng.below(8) } else { 0 };
                for _ in 0..spicules {
                    let out = direction(self.rng);
                    let ends = [0.8, self.rng.range(1.3, 1.6)].map(|far| add(at, scale(out, far * radius)));
                    self.volume.paint(&Tube { ends, radii: [0.15 * radius, 0.2] }, hu - 100.0);
                }
            }
        }
        self.take(at, radius + 3.0, Some(2.0 * radius));
    }

    fn lookalike(&mut self, kind: Lookalike) {
        let radius = 0.5 * self.diameter();
        // Half of its length and of its thickness.
        let (long, thin) = match kind {
            Lookalike::Rod => (self.rng.range(4.0, 6.0) * radius + 4.0, self.rng.range(0.6, 0.8) * radius),
            Lookalike::Spindle => (self.rng.range(1.9, 2.6) * radius, self.rng.range(0.6, 0.75) * radius),
            Lookalike::Plate => (self.rng.range(1.5, 2.0) * radius, self.rng.range(0.15, 0.3) * radius),
            Lookalike::Plaque => (self.rng.range(1.3, 1.8) * radius, self.rng.range(0.25, 0.4) * radius),
            Lookalike::Chalk => (0.7 * radius, 0.7 * radius),
        };
        let thin = thin.max(0.7); // nothing thinner is seen
        let at = self.find(long, |this| match kind {
            Lookalike::Plaque => this.on_wall(),
            _ => this.in_lung(radius),
        });
        let Some(at) = at else { return };

        let hu = if kind == Lookalike::Chalk { self.rng.range(450.0, 900.0) } else { self.solid() };
        let way = match kind {
            Lookalike::Rod => unit([0.25 * self.rng.normal(), 0.25 * self.rng.normal(), 1.0]),
            Lookalike::Plaque => self.anatomy.outwards(at),
            // Where slices are far apart, one across them would look as short as a nodule.
            Lookalike::Spindle => {
                let [x, y, z] = direction(self.rng);
                unit([x, y, 0.4 * z])
            }
            _ => direction(self.rng),
        };
        let radii = match kind {
            Lookalike::Rod => {
                let ends = [-long, long].map(|far| add(at, scale(way, far)));
                self.volume.paint(&Tube { ends, radii: [thin, self.rng.range(0.8, 1.2) * thin] }, hu);
                return self.take(at, radius, None);
            }
            Lookalike::Spindle => [long, thin, thin],
            Lookalike::Plate | Lookalike::Plaque => [thin, long, long],
            Lookalike::Chalk => [long; 3],
        };
        let frame = frame(way, self.rng);
        self.volume.paint(&Blob { centre: at, frame, radii, lumps: vec![] }, hu);
        self.take(at, radius, None);
    }

    /// Soft tissue, in HU.
    fn solid(&mut self) -> f32 {
        self.rng.range(-30.0, 90.0)
    }

    /// A place in the picture with a free ball around it.
    fn find(&mut self, radius: f32, mut draw: impl FnMut(&mut Self) -> Option<Point>) -> Option<Point> {
        (0..TRIES).find_map(|_| draw(self).filter(|&at| self.is_seen(at, radius) && self.is_free(at, radius)))
    }

    /// Whether about half of a ball is in the picture, and what lies not far from its centre.
    fn is_seen(&self, at: Point, radius: f32) -> bool {
        let border = 0.3 * radius;
        (0..3).all(|k| at[k] >= border && at[k] + border <= self.extent[k] - self.volume.spacing[k])
    }

    fn is_free(&self, at: Point, radius: f32) -> bool {
        const GAP: f32 = 2.0;
        self.taken.iter().all(|(other, reach)| length(sub(at, *other)) > radius + reach + GAP)
    }

    fn take(&mut self, at: Point, reach: f32, nodule: Option<f32>) {
        self.taken.push((at, reach));
        self.spots.push(Spot { at, nodule });
    }

    /// Somewhere in a lung, so far away from its wall.
    fn in_lung(&mut self, margin: f32) -> Option<Point> {
        let at = self.extent.map(|length| self.rng.uniform() * length);
        (self.anatomy.lung(at) < -margin).then_some(at)
    }

    /// On the wall of a lung.
    fn on_wall(&mut self) -> Option<Point> {
        let mut at = self.in_lung(0.0)?;
        for _ in 0..8 {
            at = add(at, scale(self.anatomy.outwards(at), -self.anatomy.lung(at)));
        }
        (self.anatomy.lung(at).abs() < 0.5).then_some(at)
    }

    /// In the middle of a vessel with such a radius.
    fn on_vessel(&mut self, radii: Range<f32>) -> Option<Point> {
        let tube = self.vessels.get(self.rng.below(self.vessels.len()))?;
        let at = tube.at(self.rng.uniform());
        (radii.contains(&tube.radii[0]) && self.anatomy.lung(at) < -1.0).then_some(at)
    }
}
