//! The training loop that all lessons share: train, measure, write down, save, and go on later.
//!
//! A run lives in a directory ([`RunDir`]):
//!
//! | file | what |
//! |---|---|
//! | `config.json` | the settings it was made with |
//! | `metrics.jsonl` | one line per epoch: [`EpochMetrics`] |
//! | `loss.png`, `accuracy.png` | the same as curves |
//! | `last.safetensors` | the weights after the last finished epoch, under PyTorch's names |
//! | `best.safetensors` | those of the best epoch: the one with the lowest validation loss, or by [`Best`] |
//! | `resume.safetensors` | what it takes to go on exactly: weights, optimizer, position |
//! | `trace.json` | what a few steps did, and when, with [`Trainer::profile`] |
//!
//! `metrics.jsonl` grows by a line, which is on disk before `resume.safetensors` counts its epoch as
//! done; resuming cuts off what came after. Every other file is replaced at once. So whenever a run
//! ends, however it ends, it can go on. `resume.safetensors` also holds the MD5 sum of those lines:
//! measurements that were edited since are noticed.
//!
//! A run that was stopped between two batches and resumed reaches the same weights, bit for bit, as
//! one that was not: what a batch holds depends on the seed, the epoch and its number alone, and the
//! random generator goes on where it stood.

mod books;
mod choices;
mod console;
mod evaluate;
mod fit;
mod history;
mod interrupt;
mod lesson;
mod measure;
mod observe;
mod pace;
mod profile;
mod run_dir;
mod snapshot;
mod step;

use std::path::Path;

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::{Tensor, TrainStep};

use choices::Choices;
pub use choices::{Best, Every, Report, every_epoch};
pub use console::{Console, Part};
pub use evaluate::{Evaluation, evaluate, evaluate_by, evaluate_in_training_mode};
pub use history::EpochMetrics;
pub use interrupt::{exit_code, stop_on_ctrl_c};
pub use lesson::{BUILD, Said, predict};
pub use measure::Measure;
use observe::Observers;
pub use observe::{Observer, Split};
pub use pace::seconds_per_epoch;
use profile::Profiling;
pub use run_dir::RunDir;
pub(crate) use run_dir::{Differences, differences, move_aside};
use snapshot::Position;
pub use step::LossTerm;

use crate::metrics::Gathered;
use crate::{Error, Result};

/// Reading a number waits for the device, so what the batches give is read for this many at a time.
const BATCHES_AT_ONCE: usize = 16;

/// The data of a run.
pub struct Loaders {
    /// What the network learns from, shuffled and perhaps augmented.
    pub train: DataLoader,
    /// The same samples as they are, to measure the training accuracy after each epoch. Without it the
    /// training accuracy is that of the training pass itself, each batch before its step, as in Keras:
    /// it costs nothing, and is lower than that of the network after the epoch.
    pub train_eval: Option<DataLoader>,
    /// Samples that the network never learns from.
    pub val: DataLoader,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done, or enough of them, see [`Trainer::stop_early`].
    Finished,
    /// It was stopped and saved, so many batches into the epoch after `epochs` finished ones.
    Stopped {
        /// Finished epochs.
        epochs: usize,
        /// Batches trained after those.
        batches: usize,
    },
}

/// Trains a network and keeps the books of the run. With nothing chosen it is a classifier's training:
/// cross-entropy on class labels, a learning rate that stays, the epochs that are asked for.
pub struct Trainer<'a> {
    model: &'a dyn Module,
    optimizer: &'a mut dyn Optimizer,
    loaders: Loaders,
    run: &'a RunDir,
    console: &'a mut Console,
    choices: Choices<'a>,
    observers: Observers<'a>,
    step: TrainStep,
    profiling: Option<Profiling>,
    at: Position,
    history: Vec<EpochMetrics>,
    /// Losses that have not been read yet.
    unread: Vec<Tensor>,
    /// What those batches were called, where the training accuracy needs it.
    unread_said: Gathered,
}

impl<'a> Trainer<'a> {
    /// A run from the beginning, in a directory that [`RunDir::start`] has prepared.
    ///
    /// # Errors
    /// When a loader has no batches.
    pub fn new(
        model: &'a dyn Module,
        optimizer: &'a mut dyn Optimizer,
        loaders: Loaders,
        run: &'a RunDir,
        console: &'a mut Console,
    ) -> Result<Trainer<'a>> {
        for (name, loader) in [("training", &loaders.train), ("validation", &loaders.val)] {
            if loader.is_empty() {
                return Err(Error::Run(format!("the {name} data is less than one batch")));
            }
        }
        Ok(Trainer {
            model,
            optimizer,
            loaders,
            run,
            console,
            choices: Choices::default(),
            observers: Observers::default(),
            step: TrainStep::capture(),
            profiling: None,
            at: Position::START,
            history: Vec::new(),
            unread: Vec::new(),
            unread_said: Gathered::default(),
        })
    }

    /// The measurements of all finished epochs, those of earlier sessions included.
    pub fn history(&self) -> &[EpochMetrics] {
        &self.history
    }
}

/// The finished epochs of the run in directory `path`, which stays as it is. `None` when there is
/// nothing to go on with.
///
/// # Errors
/// When a file that it takes to go on is broken, or is not as the run wrote it.
pub(crate) fn saved(path: &Path) -> Result<Option<Vec<EpochMetrics>>> {
    let position = path.join("resume.safetensors");
    if !position.exists() {
        return Ok(None);
    }
    let at = snapshot::position(&position)?;
    Ok(Some(history::read(&path.join("metrics.jsonl"), at.epochs, at.seal)?.0))
}
