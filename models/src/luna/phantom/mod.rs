//! Chests that the project draws itself, for who has no CT scans: body, lungs, vessels, bones, nodules,
//! and what looks like a nodule and is none; written as LUNA16 lies on disk.
//!
//! No brightness and no size tells the nodules from the rest, see the tests: it takes the shape, in three
//! dimensions.

mod anatomy;
mod findings;
mod shapes;
mod vessels;
mod volume;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use voxgrad_engine::checkpoint::write_atomically;
use voxgrad_engine::random::Rng;
use voxgrad_kernels::philox::philox4x32_10;

use super::ct::CROP;
use super::geometry::{Geometry, IDENTITY};
use super::metaimage::{MetaImage, Store};
use super::tables::{Annotation, Candidate};
use crate::{Error, Result};
use anatomy::Anatomy;
use findings::{Findings, Spot};
use shapes::direction;
use volume::Volume;

/// What is drawn. The same settings give the same scans, bit for bit, on the same machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phantom {
    /// The seed of all scans.
    pub seed: u64,
    /// Slices, rows and columns of a scan.
    pub size: [usize; 3],
    /// Rows of a scan in the table of candidates, nodules among them. The book's data has 620, 400 for
    /// each nodule. There may be fewer where a scan has no room for them.
    pub candidates: usize,
    /// Nodules in a scan: at least the first, at most the second.
    pub nodules: [usize; 2],
}

impl Default for Phantom {
    fn default() -> Phantom {
        Phantom { seed: 0, size: [96, 192, 192], candidates: 400, nodules: [4, 8] }
    }
}

/// A scan that has been drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Its name, a DICOM identifier of its own.
    pub series_uid: String,
    /// Its voxels in Hounsfield units.
    pub image: MetaImage,
    /// Its nodules.
    pub annotations: Vec<Annotation>,
    /// All places to look at.
    pub candidates: Vec<Candidate>,
}

/// The tables, as LUNA16 calls them.
const TABLES: [(&str, &str); 2] = [
    ("candidates.csv", "seriesuid,coordX,coordY,coordZ,class\n"),
    ("annotations.csv", "seriesuid,coordX,coordY,coordZ,diameter_mm\n"),
];

impl Phantom {
    /// Draws scan number `number`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a size that holds no crop or is beyond all memory, and for more nodules than
    /// candidates.
    pub fn draw(&self, number: usize) -> Result<Drawing> {
        self.check()?;
        let rng = &mut Rng::new(self.seed, number as u64);
        let spacing = [rng.range(0.6, 0.85), rng.range(1.0, 2.5)].map(|s| (1000.0 * s).round() / 1000.0);
        let [in_plane, apart] = spacing;
        let spacing = [in_plane, in_plane, apart];
        let [slices, rows, columns] = self.size.map(|n| n as f32);
        let extent = [columns * spacing[0], rows * spacing[1], slices * spacing[2]];

        let anatomy = Anatomy::new(rng, extent, in_plane);
        let vessels = vessels::grow(rng, &anatomy, extent);
        let mut volume = Volume::new(self.size, spacing, |p| anatomy.hu(p));
        let contrast = rng.range(20.0, 100.0);
        vessels.iter().for_each(|vessel| volume.paint(vessel, contrast));
        let nodules = self.nodules[0] + rng.below(self.nodules[1] - self.nodules[0] + 1);
        let lookalikes = self.candidates / 25;
        let spots = Findings::new(rng, &anatomy, &vessels, &mut volume, extent).place(
            nodules,
            lookalikes,
            self.candidates,
        );

        // The scanner: its focus, its slices and its noise.
        let (sharp, thick, noise) = (rng.range(0.08, 0.2), rng.range(0.02, 0.12), rng.range(12.0, 40.0));
        [(0, sharp), (1, sharp), (2, thick)].iter().for_each(|&(axis, side)| volume.blur(axis, side));
        volume.add_noise([rng.next_u32(), rng.next_u32()], noise);
        let voxels: Vec<i16> = volume.hu.iter().map(|hu| hu.round().clamp(-1024.0, 3071.0) as i16).collect();

        let geometry = geometry(rng, extent, spacing)?;
        let image = MetaImage::from_i16(self.size, geometry, &voxels);
        let series_uid = self.name(number);
        let (annotations, candidates) = self.rows(rng, &series_uid, &spots, spacing, &geometry);
        Ok(Drawing { series_uid, image, annotations, candidates })
    }

    /// Draws `scans` scans into `folder`, which is made if it isn't there, each as `.mhd` and `.raw`, and
    /// writes `candidates.csv` and `annotations.csv` when all are there. After each scan `progress` is told
    /// how many are done. Drawing again after an interruption gives the same files.
    ///
    /// # Errors
    /// Those of [`Phantom::draw`], a folder that has one of the tables already, and a disk that refuses.
    pub fn write_scans(&self, folder: &Path, scans: usize, mut progress: impl FnMut(usize)) -> Result<()> {
        self.check()?;
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        for (table, _) in TABLES {
            if folder.join(table).exists() {
                return Err(Error::Run(format!(
                    "{} holds {table} already; scans are drawn into a folder that has none",
                    folder.display()
                )));
            }
        }

        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        let mut rows = vec![None; scans];
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(scans) {
                let (sender, next) = (sender.clone(), &next);
                let work = move || {
                    // Until all are drawn, or one has failed and nobody listens any more.
                    let mut number = next.fetch_add(1, Ordering::Relaxed);
                    while number < scans && sender.send((number, self.write_scan(folder, number))).is_ok() {
                        number = next.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let failed = |e| Error::Run(format!("a thread to draw with could not be started: {e}"));
                thread::Builder::new().spawn_scoped(scope, work).map_err(failed)?;
            }
            drop(sender);
            for (done, (number, scan)) in (1..).zip(receiver) {
                rows[number] = Some(scan?);
                progress(done);
            }
            Ok::<(), Error>(())
        })?;
        for (n, (table, head)) in TABLES.into_iter().enumerate() {
            let rows: String = rows.iter().flatten().map(|rows| rows[n].as_str()).collect();
            write_atomically(folder.join(table), format!("{head}{rows}").as_bytes())?;
        }
        Ok(())
    }

    /// Writes one scan, and gives its rows of the tables.
    fn write_scan(&self, folder: &Path, number: usize) -> Result<[String; 2]> {
        let scan = self.draw(number)?;
        scan.image.write(folder.join(format!("{}.mhd", scan.series_uid)), Store::Raw)?;
        let mut rows = [String::new(), String::new()];
        for Candidate { series_uid, center_xyz: [x, y, z], is_nodule } in &scan.candidates {
            let _ = writeln!(rows[0], "{series_uid},{x},{y},{z},{}", u8::from(*is_nodule));
        }
        for Annotation { series_uid, center_xyz: [x, y, z], diameter_mm } in &scan.annotations {
            let _ = writeln!(rows[1], "{series_uid},{x},{y},{z},{diameter_mm}");
        }
        Ok(rows)
    }

    fn check(&self) -> Result<()> {
        let (size, [fewest, most]) = (self.size, self.nodules);
        // Far below what memory holds, and what f32 counts.
        if size.iter().zip(CROP).any(|(&n, crop)| n < crop || n > 2048) {
            return Err(Error::Usage(format!(
                "the size of a phantom is {size:?} (slices, rows, columns), should be {CROP:?} to 2048 each"
            )));
        }
        if fewest > most || most > self.candidates {
            return Err(Error::Usage(format!(
                "{fewest} to {most} nodules among {} candidates: should be no more than there are candidates",
                self.candidates
            )));
        }
        Ok(())
    }

    /// A name for a scan: 2.25 is the root of identifiers that are random numbers of 128 bits (ITU-T X.667).
    fn name(&self, number: usize) -> String {
        let (seed, number) = (self.seed, number as u64);
        let words = philox4x32_10(
            [number as u32, (number >> 32) as u32, 0x4c55_4e41, 0],
            [seed as u32, (seed >> 32) as u32],
        );
        format!("2.25.{}", words.iter().fold(0u128, |all, &word| all << 32 | u128::from(word)))
    }

    /// The rows of a scan in both tables.
    fn rows(
        &self,
        rng: &mut Rng,
        series_uid: &str,
        spots: &[Spot],
        spacing: [f32; 3],
        geometry: &Geometry,
    ) -> (Vec<Annotation>, Vec<Candidate>) {
        let place = |at: [f32; 3]| {
            let [col, row, index]: [f64; 3] =
                std::array::from_fn(|k| f64::from(at[k]) / f64::from(spacing[k]));
            // To a micrometre, as a table needs no more.
            geometry.cri_to_xyz([col, row, index]).map(|x| (1000.0 * x).round() / 1000.0)
        };
        let (mut annotations, mut candidates) = (vec![], vec![]);
        for spot in spots {
            let mut candidate = |at, is_nodule| {
                candidates.push(Candidate {
                    series_uid: series_uid.into(),
                    center_xyz: place(at),
                    is_nodule,
                });
            };
            let Some(diameter) = spot.nodule else {
                candidate(spot.at, false);
                continue;
            };
            // A nodule is found once or twice, not just in its middle.
            for _ in 0..1 + usize::from(rng.uniform() < 0.15) {
                let aside = 0.15 * diameter * rng.uniform();
                let way = direction(rng);
                candidate(std::array::from_fn(|k| spot.at[k] + aside * way[k]), true);
            }
            let diameter_mm = to_micrometres(f64::from(diameter));
            annotations.push(Annotation {
                series_uid: series_uid.into(),
                center_xyz: place(spot.at),
                diameter_mm,
            });
        }
        rng.shuffle(&mut candidates);
        (annotations, candidates)
    }
}

/// Where a scan lies: around the middle of the scanner, and one of eight with x and y the other way round.
fn geometry(rng: &mut Rng, extent: [f32; 3], spacing: [f32; 3]) -> Result<Geometry> {
    let mut direction = IDENTITY;
    let mut origin = [-0.5 * extent[0] + 10.0 * rng.normal(), -0.5 * extent[1] + 10.0 * rng.normal(), 0.0];
    origin[2] = rng.range(-400.0, -50.0);
    if rng.below(8) == 0 {
        (direction[0][0], direction[1][1]) = (-1.0, -1.0);
        (origin[0], origin[1]) = (-origin[0], -origin[1]);
    }
    let [origin, spacing] = [origin, spacing].map(|lengths| lengths.map(|mm| to_micrometres(mm.into())));
    Geometry::new(origin, spacing, direction).map_err(Error::Run)
}

/// No header and no table needs more digits.
fn to_micrometres(mm: f64) -> f64 {
    (1000.0 * mm).round() / 1000.0
}
