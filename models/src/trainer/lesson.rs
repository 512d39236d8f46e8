//! What lessons do alike around a training.

use std::sync::Arc;

use serde::Serialize;
use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Tensor, no_grad};

use super::{Console, EpochMetrics, Outcome, RunDir, Trainer};
use crate::{Error, Result};

/// How this program was built.
pub const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

impl Console {
    /// Says where and with which build the work will be done.
    pub fn say_setup(&mut self, device: &Device) {
        self.say(&format!("Device: {device}"));
        self.say(match BUILD {
            "debug" => "Build: debug. Warning: this is many times slower than `cargo run --release`",
            _ => "Build: release",
        });
    }

    /// Says where a run that was stopped is, and how it goes on.
    pub fn say_stopped(&mut self, outcome: Outcome, run: &RunDir) {
        if let Outcome::Stopped { epochs, batches } = outcome {
            let (epoch, out) = (epochs + 1, run.path().display());
            self.say(&format!("Stopped in epoch {epoch} after batch {batches}; all is saved in {out}"));
            self.say("The same command with --resume goes on from here");
        }
    }
}

impl RunDir {
    /// [`RunDir::check_resume`] to `resume` the run in this directory, else [`RunDir::start`], saying where
    /// an older run has gone.
    ///
    /// # Errors
    /// Theirs.
    pub fn begin(&mut self, config: &impl Serialize, resume: bool, console: &mut Console) -> Result<()> {
        if resume {
            self.check_resume(config)?;
        } else if let Some(aside) = self.start(config)? {
            console.say(&format!("The older run in {} is now in {}", self.path().display(), aside.display()));
        }
        Ok(())
    }
}

impl Trainer<'_> {
    /// The finished epoch whose weights are in `best.safetensors`.
    pub fn best(&self) -> Option<&EpochMetrics> {
        let mut best = self.history.first()?;
        for (i, metrics) in self.history.iter().enumerate() {
            if self.choices.is_best(metrics, &self.history[..i]).unwrap_or(false) {
                best = metrics;
            }
        }
        Some(best)
    }
}

/// What a classifier says of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The class with the largest output.
    pub class: u32,
    /// Its softmax: how sure the network is.
    pub probability: f32,
}

/// What `model` says of every sample of `set`, in evaluation mode.
pub fn predict(model: &dyn Module, set: Arc<dyn Dataset>, device: &Device) -> Result<Vec<Said>> {
    const AT_ONCE: usize = 500;
    model.eval();
    let (mut classes, mut probabilities) = (vec![], vec![]);
    no_grad(|| {
        for batch in DataLoader::new(set, AT_ONCE)?.device(device).epoch(0) {
            let (probability, class) = model.forward(&batch?.inputs)?.softmax(1)?.max(&[1], false)?;
            probabilities.push(probability);
            classes.push(class);
        }
        Ok::<(), Error>(())
    })?;
    let (classes, probabilities) =
        (Tensor::read_all::<u32>(&classes)?, Tensor::read_all::<f32>(&probabilities)?);
    let both = classes.into_iter().zip(probabilities);
    Ok(both.map(|(class, probability)| Said { class, probability }).collect())
}
