//! The loop: batches, epochs, stopping and going on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use voxgrad_engine::Tensor;
use voxgrad_engine::profile::span;

use super::evaluate::{Evaluation, How};
use super::step::{Part, step};
use super::{BATCHES_AT_ONCE, Outcome, Position, Split, Trainer, history, snapshot};
use crate::{Error, Result};

impl Trainer<'_> {
    /// Puts everything back to where the run in the directory stopped, to train until `epochs`
    /// epochs are done. Call [`RunDir::check_resume`](super::RunDir::check_resume) before it, and choose
    /// what the run was made with.
    ///
    /// # Errors
    /// When a file of the run is missing or broken, or when more epochs are begun or done already.
    pub fn resume(&mut self, epochs: usize) -> Result<()> {
        let path = self.run.file("resume.safetensors");
        let (at, observed) = snapshot::load(&path, self.model, self.optimizer)?;
        check_epochs(epochs, &at)?;
        let batches = self.loaders.train.len();
        if at.batches > batches {
            let message = format!("it stopped at batch {} of an epoch of {batches}", at.batches);
            return Err(Error::file(&path, message));
        }
        self.observers.load_state(&observed).map_err(|e| Error::file(&path, e.to_string()))?;
        self.history = history::read_and_cut(&self.run.file("metrics.jsonl"), at.epochs, at.seal)?;
        self.at = at;
        self.console.say(&match at.batches {
            0 => format!("Going on after epoch {}", at.epochs),
            n => format!("Going on in epoch {} after batch {n} of {batches}", at.epochs + 1),
        });
        Ok(())
    }

    /// Trains until `epochs` epochs are done or `stop` is set, which it looks at after every batch.
    ///
    /// # Errors
    /// When the loss is no longer a number, when a file can't be written, or when fewer epochs are
    /// asked for than are done. What was saved before stays.
    pub fn fit(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Outcome> {
        check_epochs(epochs, &self.at)?;
        let per_epoch = self.loaders.train.len();
        self.console.start_bar(self.batches_done(), epochs.saturating_mul(per_epoch) as u64);
        let fitted = self.fit_epochs(epochs, stop).and_then(|outcome| {
            self.end_profile()?;
            Ok(outcome)
        });
        self.console.end_bar();
        self.model.eval();
        fitted
    }

    fn fit_epochs(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Outcome> {
        while self.at.epochs < epochs {
            if let Some(why) = self.choices.enough(&self.history) {
                self.console.say(&why);
                self.draw_curves()?;
                break;
            }
            let (began, before) = (Instant::now(), self.at.seconds);
            let measured = self.train_epoch(epochs, stop)?;
            self.at.seconds = before + began.elapsed().as_secs_f64();
            let Some((train_acc, val)) = measured else {
                self.save_position()?;
                self.draw_curves()?;
                return Ok(Outcome::Stopped { epochs: self.at.epochs, batches: self.at.batches });
            };
            self.finish_epoch(epochs, train_acc, val)?;
        }
        Ok(Outcome::Finished)
    }

    /// The rest of an epoch's batches, then its measurements: the training accuracy, and the validation
    /// data. `None` when it was stopped.
    fn train_epoch(&mut self, epochs: usize, stop: &AtomicBool) -> Result<Option<(f64, Evaluation)>> {
        self.model.train();
        let per_epoch = self.loaders.train.len();
        let mut batches = self.loaders.train.epoch_from(self.at.epochs as u64, self.at.batches);
        loop {
            self.profile_step()?;
            let Some(batch) = span("loader", || batches.next()) else { break };
            let batch = batch?;
            if let Some(lr) = self.choices.lr(self.at.epochs, self.at.batches, per_epoch) {
                self.optimizer.set_lr(lr)?;
            }
            let (model, choices) = (self.model, &self.choices);
            let part = Part { model, loss: choices.loss, terms: &choices.loss_terms, keep: self.keeps() };
            let (loss, outputs) = step(&mut self.step, self.optimizer, &batch, &part)?;
            self.unread.push(loss);
            if let Some(outputs) = outputs {
                if self.loaders.train_eval.is_none() {
                    self.unread_said.push(&outputs, &batch.targets)?;
                }
                self.observers.batch(Split::Train, &outputs, &batch.targets)?;
            }
            self.at.batches += 1;
            self.profiling.iter_mut().for_each(|profiling| profiling.done += 1);
            if self.unread.len() == BATCHES_AT_ONCE {
                self.read_batches()?;
            }
            let epoch = self.at.epochs + 1;
            self.console.move_bar(self.batches_done(), || format!("epoch {epoch}/{epochs}"));
            if stop.load(Ordering::Relaxed) {
                self.read_batches()?;
                return Ok(None);
            }
        }
        self.read_batches()?;
        // A stop from here on is one after the last batch: resuming measures, and trains no batch twice.
        span("evaluation", || self.measure(stop))
    }

    /// Whether a step's outputs are wanted.
    fn keeps(&self) -> bool {
        self.loaders.train_eval.is_none() || !self.observers.is_empty()
    }

    fn measure(&mut self, stop: &AtomicBool) -> Result<Option<(f64, Evaluation)>> {
        let how = How { loss: self.choices.loss, eval_mode: self.choices.eval_mode };
        let train_acc = match &self.loaders.train_eval {
            None => self.at.correct as f64 / self.at.samples as f64,
            Some(loader) => match how.measure(self.model, loader, stop, |_, _| Ok(()))? {
                Some(train) => train.accuracy,
                None => return Ok(None),
            },
        };
        let observed = self.observers.state()?;
        let each = |outputs: &Tensor, targets: &Tensor| self.observers.batch(Split::Val, outputs, targets);
        let val = how.measure(self.model, &self.loaders.val, stop, each)?;
        if val.is_none() {
            // The validation data is measured from its beginning when the run goes on.
            self.observers.load_state(&observed)?;
        }
        Ok(val.map(|val| (train_acc, val)))
    }

    /// Adds the losses read from the device to the epoch's sum, in the order of their batches, and what
    /// the batches were called.
    fn read_batches(&mut self) -> Result<()> {
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
        let said = std::mem::take(&mut self.unread_said);
        if said.batches() > 0 {
            let predictions = said.read(self.choices.loss.threshold())?;
            self.at.correct += predictions.correct() as u64;
            self.at.samples += predictions.len() as u64;
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

    fn batches_done(&self) -> u64 {
        (self.at.epochs.saturating_mul(self.loaders.train.len())).saturating_add(self.at.batches) as u64
    }
}

/// Training until `epochs` epochs are done is possible from `at`.
fn check_epochs(epochs: usize, at: &Position) -> Result<()> {
    let done = at.epochs.saturating_add(usize::from(at.batches > 0));
    if epochs < done {
        let allowed = format!("--epochs {epochs}: {done} epochs are begun or done already");
        return Err(Error::Usage(format!("{allowed}; give at least that many")));
    }
    Ok(())
}
