//! Which scans a program works on: those it is given, those in the usual places, or drawn ones.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::crop_cache::CropCache;
use super::crops::Crops;
use super::ct::CROP;
use super::estimate::with_estimate;
use super::phantom::Phantom;
use super::scans::Scans;
use super::settings::ScanSettings;
use super::tables::CandidateInfo;
use crate::data::Places;
use crate::option::at_least_one;
use crate::trainer::{Console, Outcome};
use crate::{Error, Result};

/// With fewer scans there is nothing to learn from but by heart.
const FEWEST: usize = 10;

/// What is drawn where there are no scans: fewer candidates than LUNA16 has, as their crops take 150 kB each.
const CANDIDATES: usize = 125;

/// What a crop of whole HU takes on disk, about.
const CROP_BYTES: u64 = 2 * (CROP[0] * CROP[1] * CROP[2]) as u64;

/// The folder's name changes when the same settings draw other scans.
const DRAWN: &str = "luna_drawn_2";

/// Where the scans are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files that were there.
    Files(PathBuf),
    /// Drawn by the project.
    Drawn(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Files(folder) => write!(f, "CT scans in {}", folder.display()),
            Source::Drawn(folder) => write!(f, "drawn scans, not of patients, in {}", folder.display()),
        }
    }
}

/// Scans, their candidates, and the crops of these.
pub struct Found {
    /// Where they are from.
    pub source: Source,
    /// Cuts the crops.
    pub crops: Arc<Crops>,
    /// The candidates that have a crop, as [`super::tables::join`] sorts them.
    pub candidates: Vec<CandidateInfo>,
}

/// Finds scans and their candidates, and says what was found and what was left out. Where there are none,
/// `settings.phantoms` scans are drawn, once, into the user's cache directory.
///
/// # Errors
/// When the folder that is named has no scans or no tables, or when nothing can be drawn.
pub fn find(settings: &ScanSettings, console: &mut Console) -> Result<Found> {
    settings.check()?;
    let (source, scans) = match &settings.data {
        Some(folder) => {
            // `--data` may name the folder above, as for the other lessons.
            let inside = folder.join("luna");
            let folder = if inside.is_dir() { inside } else { folder.clone() };
            (Source::Files(folder.clone()), Scans::open(&folder)?)
        }
        None => usual(settings, console)?,
    };
    if let Source::Files(folder) = &source
        && !["candidates.csv", "candidates.csv.gz"].iter().any(|table| folder.join(table).exists())
    {
        console.say(
            "There is no candidates.csv: the annotated nodules and the findings of annotations_excluded.csv are \
             the candidates",
        );
    }
    let candidates = candidates_of(&scans, console)?;
    let (series, n) = (scans.series().count(), candidates.len());
    let nodules = candidates.iter().filter(|c| c.is_nodule).count();
    console.say(&format!("Data: {source}: {series} scans, {n} candidates, {nodules} of them nodules"));
    let cache = open_cache(settings, console)?;
    let crops = Arc::new(Crops::new(scans, cache, settings.num_workers));
    Ok(Found { source, crops, candidates })
}

/// The candidates of `scans` that have a crop; what was left out, and why, is said.
///
/// # Errors
/// When a table is not there or can't be read, or no candidate is left.
fn candidates_of(scans: &Scans, console: &mut Console) -> Result<Vec<CandidateInfo>> {
    let broken = scans.broken();
    if let Some((series, error)) = broken.first() {
        let n = broken.len();
        console.say(&format!("{n} scans can't be used; the first is {series}: {error}"));
    }
    let (mut candidates, left_out) = scans.join()?;
    left_out.lines().iter().for_each(|line| console.say(line));
    let before = candidates.len();
    let holds_crop = |size: [usize; 3]| size.iter().zip(CROP).all(|(&side, crop)| side >= crop);
    candidates.retain(|c| scans.header(&c.series_uid).is_some_and(|header| holds_crop(header.size)));
    if candidates.len() < before {
        let n = before - candidates.len();
        console.say(&format!("{n} candidates left out: their scans are smaller than a crop, {CROP:?}"));
    }
    match candidates.is_empty() {
        true => Err(Error::Run("none of the candidates lies in a scan that is there".into())),
        false => Ok(candidates),
    }
}

/// Scans in `$VOXGRAD_DATA` or the cache directory if there are enough of them, and else drawn ones.
fn usual(settings: &ScanSettings, console: &mut Console) -> Result<(Source, Scans)> {
    let places = Places::new(None);
    for directory in places.directories() {
        for folder in [directory.join("luna"), directory.to_path_buf()] {
            let tables = ["candidates.csv", "candidates.csv.gz", "annotations.csv", "annotations.csv.gz"];
            if !tables.iter().any(|table| folder.join(table).is_file()) {
                continue;
            }
            let why = match Scans::open(&folder) {
                Ok(scans) if scans.series().count() >= FEWEST => return Ok((Source::Files(folder), scans)),
                Ok(scans) => format!("has {} scans, too few to learn from", scans.series().count()),
                Err(error) => format!("can't be used: {error}"),
            };
            let folder = folder.display();
            console.say(&format!("{folder} {why}; drawn scans are used instead (--data {folder} to use it)"));
        }
    }
    let Some(cache) = &places.cache else {
        return Err(Error::Usage(
            "there are no scans and no cache directory to draw some into; give --data".into(),
        ));
    };
    let folder = drawn(cache, settings, console)?;
    let scans = Scans::open(&folder)?;
    Ok((Source::Drawn(folder), scans))
}

/// The folder of drawn scans in `cache`. It gets its name when all are there; of several processes that want
/// it at once, one draws.
fn drawn(cache: &Path, settings: &ScanSettings, console: &mut Console) -> Result<PathBuf> {
    let ScanSettings { phantoms, seed, .. } = *settings;
    let name = format!("{DRAWN}_seed{seed}_{phantoms}x{CANDIDATES}");
    let (folder, unfinished) = (cache.join(&name), cache.join(format!(".unfinished-{name}")));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).map_err(Error::io(cache))?;
    let lock = File::create(cache.join(format!(".lock-{name}"))).map_err(Error::io(cache))?;
    // Where there are no locks, two may draw at once, and one of them fails.
    let _ = lock.lock();
    if folder.is_dir() {
        return Ok(folder);
    }
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
    }
    console.say(&format!("No CT scans found: {phantoms} are drawn, once, into {}", folder.display()));
    let phantom = Phantom { seed, candidates: CANDIDATES, ..Phantom::default() };
    with_estimate(console, "Drawing scans", phantoms, |progress| {
        phantom.write_scans(&unfinished, phantoms, progress)
    })?;
    fs::rename(&unfinished, &folder).map_err(Error::io(&folder))?;
    Ok(folder)
}

/// The crop cache; none where there is no room or no folder for it.
fn open_cache(settings: &ScanSettings, console: &mut Console) -> Result<Option<CropCache>> {
    let limit = settings.cache.limit_gib * f64::from(1u32 << 30);
    let usual = || Places::new(None).cache.map(|cache| cache.join("luna_crops"));
    let Some(folder) = settings.cache.folder.clone().or_else(usual).filter(|_| limit > 0.0) else {
        return Ok(None);
    };
    match CropCache::open(&folder, limit as u64) {
        Ok(cache) => Ok(Some(cache)),
        // Named by somebody who wants it there.
        Err(error) if settings.cache.folder.is_some() => Err(error),
        Err(error) => {
            console.say(&format!("No crops are kept, each is cut from its CT: {error}"));
            Ok(None)
        }
    }
}

/// When to fill the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As far as there is room.
    Anyway,
    /// Only when there is room for all crops.
    IfItFits,
}

/// Fills the crop cache with the crops of all of `found`'s candidates, and drops those whose scans can't be
/// read.
pub fn prepare(found: &mut Found, threads: usize, fit: Fit, console: &mut Console) {
    let crops = found.crops.clone();
    let Some(cache) = crops.cache() else { return };
    let folder = cache.folder().display().to_string();
    let all = found.candidates.len() as u64 * CROP_BYTES;
    if fit == Fit::IfItFits && all > cache.limit() {
        console.say(&format!(
            "The crops of all candidates would take {:.0} GB, more than the crop cache may hold (--cache-limit): \
             they are cut when they are needed, each from its whole CT. With room for them in {folder}, \
             prep-cache makes every epoch much faster",
            all as f64 / 1e9
        ));
        return;
    }
    let candidates = &found.candidates;
    let prepared = with_estimate(console, "Cutting crops", candidates.len(), |progress| {
        crops.prepare(candidates, threads, progress)
    });
    let (there, cut, used) = (prepared.there, prepared.cut, cache.used() as f64 / 1e9);
    console.say(&format!(
        "Crop cache {folder}: {there} crops were there, {cut} were cut; it holds {used:.2} GB"
    ));
    cache.notes().iter().for_each(|note| console.say(note));
    for (series, error) in &prepared.failed {
        console.say(&format!("The scan {series} is left out: {error}"));
    }
    let failed = |c: &CandidateInfo| prepared.failed.iter().any(|(series, _)| *series == c.series_uid);
    found.candidates.retain(|candidate| !failed(candidate));
}

/// What `luna phantom` is told.
#[derive(Debug, Clone)]
pub struct DrawSettings {
    /// How many scans.
    pub scans: usize,
    /// The folder for them and their tables.
    pub out: PathBuf,
    /// Rows of a scan in the table of candidates.
    pub candidates: usize,
    /// All scans come from it.
    pub seed: u64,
}

impl Default for DrawSettings {
    fn default() -> DrawSettings {
        let Phantom { seed, candidates, .. } = Phantom::default();
        DrawSettings { scans: 20, out: "phantoms".into(), candidates, seed }
    }
}

/// Draws scans.
///
/// # Errors
/// For settings out of range, a folder that has tables already, and a disk that refuses.
pub fn draw(settings: &DrawSettings, console: &mut Console) -> Result<Outcome> {
    let DrawSettings { scans, out, candidates, seed } = settings;
    at_least_one("--scans", *scans)?;
    let phantom = Phantom { seed: *seed, candidates: *candidates, ..Phantom::default() };
    with_estimate(console, "Drawing scans", *scans, |progress| phantom.write_scans(out, *scans, progress))?;
    console.say(&format!("{scans} scans and their tables are in {}", out.display()));
    Ok(Outcome::Finished)
}

/// Fills the crop cache with the crops of all candidates.
///
/// # Errors
/// When there are no scans, or there is no cache.
pub fn prep_cache(settings: &ScanSettings, console: &mut Console) -> Result<Outcome> {
    let mut found = find(settings, console)?;
    if found.crops.cache().is_none() {
        return Err(Error::Usage(
            "there is no crop cache to fill; give --cache, or a --cache-limit above 0".into(),
        ));
    }
    prepare(&mut found, settings.num_workers, Fit::Anyway, console);
    Ok(Outcome::Finished)
}
