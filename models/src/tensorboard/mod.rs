//! Event files for TensorBoard (<https://www.tensorflow.org/tensorboard>), as PyTorch's `SummaryWriter`
//! writes them: scalars, histograms and precision-recall curves over the steps of a training.
//!
//! ```no_run
//! use voxgrad_models::tensorboard::SummaryWriter;
//!
//! let mut writer = SummaryWriter::create("runs/luna/tensorboard/trn")?;
//! writer.scalar("loss/all", 0.42, 1000)?;
//! writer.flush()?;
//! # Ok::<(), voxgrad_models::Error>(())
//! ```
//!
//! `tensorboard --logdir runs/luna/tensorboard` then shows them, while the training runs too.
//!
//! An event file is a row of records (`record.rs`), and a record is an `Event`, a message of protocol
//! buffers (`message.rs`): a time, a step and what there was to say (`event.rs`).

mod event;
mod message;
mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::curves::Histogram;
use crate::{Error, Result};
use event::What;

/// Adds events to a new file in the folder of a run. Each is in the file when its call returns.
#[derive(Debug)]
pub struct SummaryWriter {
    path: PathBuf,
    file: File,
    /// How long the file is up to the last whole record.
    length: u64,
    /// Seconds since 1970.
    clock: fn() -> f64,
}

impl SummaryWriter {
    /// A new file in the folder `directory`, which is made if it isn't there. TensorBoard shows all files of
    /// a folder as one run; this one begins anew, and nothing of older files is shown any more.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn create(directory: impl AsRef<Path>) -> Result<SummaryWriter> {
        SummaryWriter::open(directory.as_ref(), 0, now)
    }

    /// The same for a run that goes on: what older files say of `step` and all later ones, which is about
    /// to be written once more, is not shown any more.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn resume(directory: impl AsRef<Path>, step: u64) -> Result<SummaryWriter> {
        SummaryWriter::open(directory.as_ref(), step, now)
    }

    fn open(directory: &Path, step: u64, clock: fn() -> f64) -> Result<SummaryWriter> {
        fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let (path, file) = new_file(directory, clock() as u64)?;
        let mut writer = SummaryWriter { path, file, length: 0, clock };
        writer.add(step, What::FileVersion)?;
        // In the first file too: of the first start it meets TensorBoard makes nothing, and what it meets
        // then it takes for a restart.
        writer.add(step, What::Start)?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a number, such as a loss. `tag` names its chart, what is before a slash the chart's group.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn scalar(&mut self, tag: &str, value: f64, step: u64) -> Result<()> {
        self.add(step, What::Scalar { tag, value: value as f32 })
    }

    /// Adds how many of `values` lie between each two neighbours of `edges` (see [`Histogram`]).
    ///
    /// # Errors
    /// For edges that do not rise; when it can't be written.
    pub fn histogram(&mut self, tag: &str, values: &[f64], edges: &[f64], step: u64) -> Result<()> {
        let counted = Histogram::new(values, edges)?;
        self.add(step, What::Histogram { tag, values, counted: &counted })
    }

    /// Adds a precision-recall curve of pairs of the probability that something is positive and whether it
    /// is, at 127 thresholds from 0 to 1 (PyTorch's number). A probability that is NaN counts as 0.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn pr_curve(&mut self, tag: &str, scored: &[(f64, bool)], step: u64) -> Result<()> {
        self.add(step, What::PrCurve { tag, scored })
    }

    /// Returns when all events are on disk.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.sync_data().map_err(Error::io(&self.path))
    }

    fn add(&mut self, step: u64, what: What) -> Result<()> {
        let record = record::of(&event::encode((self.clock)(), step, &what));
        if let Err(e) = self.file.write_all(&record) {
            // A full disk: half a record would make all later ones unreadable.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path)(e));
        }
        self.length += record.len() as u64;
        Ok(())
    }
}

/// Opens a file that wasn't there. TensorBoard knows event files by their names, and reads those of a
/// folder in the names' order: so the new one's number, its time, is above that of all others, even where
/// the clock has been put back.
fn new_file(directory: &Path, time: u64) -> Result<(PathBuf, File)> {
    const PREFIX: &str = "events.out.tfevents.";
    let mut last = None;
    for entry in fs::read_dir(directory).map_err(Error::io(directory))? {
        let name = entry.map_err(Error::io(directory))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next()?.parse::<u64>().ok());
        last = last.max(number);
    }
    let mut number = last.map_or(time, |last| time.max(last.saturating_add(1)));
    loop {
        let path = directory.join(format!("{PREFIX}{number:010}.voxgrad"));
        // It appends, so that it goes on at the end after `set_len` too.
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            // Another process was faster.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && number < u64::MAX => number += 1,
            Err(e) => return Err(Error::io(&path)(e)),
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
