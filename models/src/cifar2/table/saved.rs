//! The runs that a table's directory holds: `table_runs/<row>/seed-<n>/`, each a run like any other.

use std::fs;
use std::path::{Path, PathBuf};

use super::row::Row;
use crate::cifar2::settings::{Config, Plan};
use crate::trainer::{self, EpochMetrics};
use crate::{Error, Result};

/// Where a table's runs are, below its directory.
const RUNS: &str = "table_runs";

/// A run as its directory holds it.
#[derive(Debug)]
pub(super) struct Saved {
    pub config: Config,
    pub row: Row,
    /// Its finished epochs.
    pub history: Vec<EpochMetrics>,
}

impl Saved {
    /// Whether all its epochs are done.
    pub fn is_finished(&self) -> bool {
        self.history.len() >= self.config.epochs
    }

    /// The mean time of its epochs; NaN when there are none.
    pub fn seconds_per_epoch(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum::<f64>() / self.history.len() as f64
    }
}

/// Where the run of `row` with `seed` is, in the table's directory `out`.
pub(super) fn place(out: &Path, row: &Row, seed: u64) -> PathBuf {
    out.join(RUNS).join(row.folder()).join(format!("seed-{seed}"))
}

/// What is in one place of [`place`].
#[derive(Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    /// `None` when there is nothing to go on with.
    pub run: Result<Option<Saved>>,
}

/// All runs in the table's directory `out`, in the order of their names.
///
/// # Errors
/// When the operating system refuses to list it. What is wrong with a single run stands in its place.
pub(super) fn all(out: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for row in folders(&out.join(RUNS))? {
        for path in folders(&row)? {
            // What was moved aside is called seed-0.1.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let seed = name.strip_prefix("seed-").and_then(|seed| seed.parse::<u64>().ok());
            if let Some(seed) = seed {
                let run = read(out, &path, seed);
                found.push(Found { path, run });
            }
        }
    }
    Ok(found)
}

/// The folders in `path`, sorted; none when it is not there.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io(path))?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(path))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The run in `path`, which should be the one with `seed` of its row.
pub(super) fn read(out: &Path, path: &Path, seed: u64) -> Result<Option<Saved>> {
    let Some(history) = trainer::saved(path)? else { return Ok(None) };
    let file = path.join("config.json");
    let text = fs::read_to_string(&file).map_err(Error::io(&file))?;
    let config: Config = serde_json::from_str(&text).map_err(|e| Error::file(&file, e.to_string()))?;
    let plan = Plan::of(&config).map_err(|e| Error::file(&file, e.to_string()))?;
    let row = Row::new(&plan);
    if config.seed != seed || path != place(out, &row, seed) {
        let message = format!("it is of another run, {row} with seed {}", config.seed);
        return Err(Error::file(&file, message));
    }
    Ok(Some(Saved { config, row, history }))
}
