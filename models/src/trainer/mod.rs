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
//! | `best.safetensors` | those of the epoch with the lowest validation loss |
//! | `resume.safetensors` | what it takes to go on exactly: weights, optimizer, position |
//!
//! `metrics.jsonl` grows by a line, which is on disk before `resume.safetensors` counts its epoch as
//! done; resuming cuts off what came after. Every other file is replaced at once. So whenever a run
//! ends, however it ends, it can go on. `resume.safetensors` also holds the MD5 sum of those lines:
//! measurements that were edited since are noticed.
//!
//! A run that was stopped between two batches and resumed reaches the same weights, bit for bit, as
//! one that was not: what a batch holds depends on the seed, the epoch and its number alone, and the
//! random generator goes on where it stood.

mod console;
mod evaluate;
mod history;
mod interrupt;
mod pace;
mod run_dir;
mod snapshot;
mod step;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::{Tensor, TrainStep, checkpoint};

pub use console::{Console, Part};
pub use evaluate::{Evaluation, evaluate, evaluate_in_training_mode};
pub use history::EpochMetrics;
pub use interrupt::{exit_code, stop_on_ctrl_c};
pub use pace::seconds_per_epoch;
pub use run_dir::RunDir;
pub(crate) use run_dir::{Differences, differences, move_aside};
use snapshot::Position;
pub use step::LossTerm;

use crate::plot::LineChart;
use crate::{Error, Result};

/// Reading a number waits for the device, so what the batches give is read for this many at a time.
const BATCHES_AT_ONCE: usize = 16;

/// The data of a run.
pub struct Loaders {
    /// What the network learns from, shuffled and perhaps augmented.
    pub train: DataLoader,
    /// The same samples as they are, to measure the training accuracy.
    pub train_eval: DataLoader,
    /// Samples that the network never learns from.
    pub val: DataLoader,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It was stopped and saved, so many batches into the epoch after `epochs` finished ones.
    Stopped {
        /// Finished epochs.
        epochs: usize,
        /// Batches trained after those.
        batches: usize,
    },
}

/// Trains a network on class labels with cross-entropy, and keeps the books of the run.
pub struct Trainer<'a> {
    model: &'a dyn Module,
    optimizer: &'a mut dyn Optimizer,
    loaders: Loaders,
    run: &'a RunDir,
    console: &'a mut Console,
    loss_terms: Vec<LossTerm<'a>>,
    eval_mode: bool,
    step: TrainStep,
    at: Position,
    history: Vec<EpochMetrics>,
    /// Losses that have not been read yet.
    unread: Vec<Tensor>,
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
        let (at, history, unread) = (Position::START, Vec::new(), Vec::new());
        let (loss_terms, eval_mode) = (Vec::new(), true);
        let step = TrainStep::capture();
        Ok(Trainer {
            model,
            optimizer,
            loaders,
            run,
            console,
            loss_terms,
            eval_mode,
            step,
            at,
            history,
            unread,
        })
    }

    /// Adds `term`, a scalar worked out of tensors in every training step, to the cross-entropy: a
    /// [`Penalty`](crate::penalty::Penalty) on large weights, for example. The training loss includes
    /// it, the validation loss does not.
    ///
    /// On a CUDA device the steps after the second are replays of it (see [`TrainStep`]), which launch what `term`
    /// launched then and do not call it: numbers that it takes from the host stay what they were. A term that
    /// changes by itself needs [`Trainer::launch_each_kernel`].
    ///
    /// ```
    /// # use voxgrad_engine::{nn::Module, optim::Optimizer};
    /// # use voxgrad_models::{Result, penalty::Penalty, trainer::*};
    /// # fn penalised(
    /// #     model: &dyn Module, optimizer: &mut dyn Optimizer, loaders: Loaders, run: &RunDir, console: &mut Console,
    /// # ) -> Result<()> {
    /// let parameters = model.parameters();
    /// let penalty = || Penalty::L2(0.001).of(&parameters);
    /// let mut trainer = Trainer::new(model, optimizer, loaders, run, console)?;
    /// trainer.add_to_loss(&penalty);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_to_loss(&mut self, term: LossTerm<'a>) {
        self.loss_terms.push(term);
    }

    /// Works every training step out anew instead of replaying a recorded one: for what a replay does not notice,
    /// such as numbers of the host that change from step to step.
    pub fn launch_each_kernel(&mut self) {
        self.step = TrainStep::eager();
    }

    /// Whether losses and accuracies after an epoch are measured in evaluation mode, as they should
    /// be and are unless this says otherwise. See [`evaluate_in_training_mode`].
    pub fn measure_in_eval_mode(&mut self, on: bool) {
        self.eval_mode = on;
    }

    /// Puts everything back to where the run in the directory stopped, to train until `epochs`
    /// epochs are done. Call [`RunDir::check_resume`] before it.
    ///
    /// # Errors
    /// When a file of the run is missing or broken, or when more epochs are begun or done already.
    pub fn resume(&mut self, epochs: usize) -> Result<()> {
        let path = self.run.file("resume.safetensors");
        let at = snapshot::load(&path, self.model, self.optimizer)?;
        check_epochs(epochs, at)?;
        let batches = self.loaders.train.len();
        if at.batches > batches {
            let message = format!("it stopped at batch {} of an epoch of {batches}", at.batches);
            return Err(Error::file(&path, message));
        }
        self.history = history::read_and_cut(&self.run.file("metrics.jsonl"), at.epochs, at.seal)?;
        self.at = at;
        self.console.say(&match at.batches {
            0 => format!("Going on after epoch {}", at.epochs),
            n => format!("Going on in epoch {} after batch {n} of {batches}", at.epochs + 1),
        });
        Ok(())
    }

    /// The measurements of all finished epochs, those of earlier sessions included.
    pub fn history(&self) -> &[EpochMetrics] {
        &self.history
    }

    /// Trains until `epochs` epochs are done or `stop` is set, which it looks at after every batch.
    ///
    /// # Errors
    /// When the loss is no longer a number, when a file can't be written, or when fewer epochs are
    /// asked for than are done. What was saved before stays.
    pub fn fit(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Outcome> {
        check_epochs(epochs, self.at)?;
        let per_epoch = self.loaders.train.len();
        self.console.start_bar(self.batches_done(), epochs.saturating_mul(per_epoch) as u64);
        let fitted = self.fit_epochs(epochs, stop);
        self.console.end_bar();
        self.model.eval();
        fitted
    }

    fn fit_epochs(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Outcome> {
        while self.at.epochs < epochs {
            let (began, before) = (Instant::now(), self.at.seconds);
            let measured = self.train_epoch(epochs, stop)?;
            self.at.seconds = before + began.elapsed().as_secs_f64();
            let Some((train, val)) = measured else {
                self.save_position()?;
                self.draw_curves()?;
                return Ok(Outcome::Stopped { epochs: self.at.epochs, batches: self.at.batches });
            };
            self.finish_epoch(epochs, train, val)?;
        }
        Ok(Outcome::Finished)
    }

    /// The rest of an epoch's batches, then its measurements: of the training and of the validation
    /// data. `None` when it was stopped.
    fn train_epoch(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Option<(Evaluation, Evaluation)>> {
        self.model.train();
        for batch in self.loaders.train.epoch_from(self.at.epochs as u64, self.at.batches) {
            let loss = step::step(&mut self.step, self.model, self.optimizer, &batch?, &self.loss_terms)?;
            self.unread.push(loss);
            self.at.batches += 1;
            if self.unread.len() == BATCHES_AT_ONCE {
                self.read_losses()?;
            }
            let epoch = self.at.epochs + 1;
            self.console.move_bar(self.batches_done(), || format!("epoch {epoch}/{epochs}"));
            if stop.load(Ordering::Relaxed) {
                self.read_losses()?;
                return Ok(None);
            }
        }
        self.read_losses()?;
        // A stop from here on is one after the last batch: resuming measures, and trains no batch twice.
        let evaluate = if self.eval_mode { evaluate } else { evaluate_in_training_mode };
        let Some(train) = evaluate(self.model, &self.loaders.train_eval, stop)? else { return Ok(None) };
        let Some(val) = evaluate(self.model, &self.loaders.val, stop)? else { return Ok(None) };
        Ok(Some((train, val)))
    }

    /// Adds the losses read from the device to the epoch's sum, in the order of their batches.
    fn read_losses(&mut self) -> Result<()> {
        let first = self.at.batches - self.unread.len() + 1;
        let losses = Tensor::read_all::<f32>(&std::mem::take(&mut self.unread))?;
        for (i, loss) in losses.into_iter().map(f64::from).enumerate() {
            if !loss.is_finite() {
                return Err(Error::Run(format!(
                    "the training loss is {loss} in epoch {}, batch {}: the weights have run away. \
                     A learning rate below {} may help. {}",
                    self.at.epochs + 1,
                    first + i,
                    self.optimizer.lr(),
                    self.what_is_saved(),
                )));
            }
            self.at.loss_sum += loss;
        }
        Ok(())
    }

    fn what_is_saved(&self) -> String {
        let out = self.run.path().display();
        match self.at.epochs {
            0 if self.run.file("resume.safetensors").exists() => format!("What was saved in {out} stays"),
            0 => "Nothing was saved yet".to_string(),
            epoch => format!("The files in {out} are those of epoch {epoch}"),
        }
    }

    fn finish_epoch(&mut self, epochs: usize, train: Evaluation, val: Evaluation) -> Result<()> {
        let metrics = EpochMetrics {
            epoch: self.at.epochs + 1,
            train_loss: self.at.loss_sum / self.at.batches as f64,
            val_loss: val.loss,
            train_acc: train.accuracy,
            val_acc: val.accuracy,
            seconds: self.at.seconds,
        };
        let EpochMetrics { epoch, train_loss, .. } = metrics;
        let best = val.loss < self.at.best_val_loss;
        self.save_weights("last.safetensors", &metrics)?;
        if best || epoch == 1 {
            self.save_weights("best.safetensors", &metrics)?;
        }
        let seal = Some(history::append(&self.run.file("metrics.jsonl"), &metrics)?);
        self.history.push(metrics);
        let best_val_loss = if best { val.loss } else { self.at.best_val_loss };
        self.at = Position { epochs: epoch, best_val_loss, seal, ..Position::START };
        // Last of all: after a crash before this line the epoch is trained again.
        self.save_position()?;

        let tenth = epoch == 1 || epoch.is_multiple_of(10);
        if tenth {
            self.console.say_with_time(&format!("Epoch {epoch}, Training loss {train_loss:.4}"));
        }
        if tenth || epoch == epochs {
            self.draw_curves()?;
        }
        Ok(())
    }

    fn save_weights(&self, name: &str, metrics: &EpochMetrics) -> Result<()> {
        let metadata = [
            // Other programs ask for this one.
            ("format", "pt".to_string()),
            ("epoch", metrics.epoch.to_string()),
            ("train_loss", metrics.train_loss.to_string()),
            ("val_loss", metrics.val_loss.to_string()),
            ("val_acc", metrics.val_acc.to_string()),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_string(), value)).into_iter().collect();
        Ok(checkpoint::save(self.run.file(name), &self.model.state_dict()?, &metadata)?)
    }

    fn save_position(&self) -> Result<()> {
        snapshot::save(&self.run.file("resume.safetensors"), self.model, self.optimizer, self.at)
    }

    /// Draws the curves of all finished epochs.
    fn draw_curves(&self) -> Result<()> {
        if self.history.is_empty() {
            return Ok(());
        }
        let curve = |value: fn(&EpochMetrics) -> f64| {
            self.history.iter().map(move |m| (m.epoch as f64, value(m))).collect::<Vec<_>>()
        };
        let (measure, training) = match self.loss_terms.is_empty() {
            true => ("cross-entropy", "training"),
            false => ("loss", "training, penalty included"),
        };
        let loss = LineChart::new("Loss").x_label("epoch").y_label(measure).from_zero();
        let loss = loss.series(training, curve(|m| m.train_loss));
        loss.series("validation", curve(|m| m.val_loss)).save(self.run.file("loss.png"))?;
        let accuracy = LineChart::new("Accuracy").x_label("epoch").y_label("accuracy");
        let accuracy = accuracy.series("training", curve(|m| m.train_acc));
        accuracy.series("validation", curve(|m| m.val_acc)).save(self.run.file("accuracy.png"))
    }

    fn batches_done(&self) -> u64 {
        (self.at.epochs.saturating_mul(self.loaders.train.len())).saturating_add(self.at.batches) as u64
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

/// Training until `epochs` epochs are done is possible from `at`.
fn check_epochs(epochs: usize, at: Position) -> Result<()> {
    let done = at.epochs.saturating_add(usize::from(at.batches > 0));
    if epochs < done {
        let allowed = format!("--epochs {epochs}: {done} epochs are begun or done already");
        return Err(Error::Usage(format!("{allowed}; give at least that many")));
    }
    Ok(())
}
