//! What a training can be told beside its network, optimizer and data.

use voxgrad_engine::TrainStep;
use voxgrad_engine::optim::Schedule;

use super::Trainer;
use super::history::EpochMetrics;
use super::observe::Observer;
use super::profile::Profiling;
use super::step::LossTerm;
use crate::losses::Loss;
use crate::{Error, Result};

/// How often a schedule's step goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// With every batch, all epochs together.
    Batch,
    /// With every epoch.
    Epoch,
}

/// Which epoch's weights are kept as `best.safetensors`. Of equal ones it is the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Best {
    /// That of the lowest validation loss.
    #[default]
    LowestValLoss,
    /// That of the highest measurement of this name: `val_acc`, or one that an observer adds.
    Highest(String),
}

/// The line to print after an epoch, if any.
pub type Report = fn(&EpochMetrics) -> Option<String>;

/// The book's lines: epochs 1, 10, 20, ...
fn every_tenth(metrics: &EpochMetrics) -> Option<String> {
    let EpochMetrics { epoch, train_loss, .. } = metrics;
    (*epoch == 1 || epoch.is_multiple_of(10)).then(|| format!("Epoch {epoch}, Training loss {train_loss:.4}"))
}

/// A [`Report`] of every epoch: both losses and the validation accuracy.
pub fn every_epoch(metrics: &EpochMetrics) -> Option<String> {
    let EpochMetrics { epoch, train_loss, val_loss, val_acc, .. } = metrics;
    let losses = format!("train_loss {train_loss:.4}, val_loss {val_loss:.4}");
    Some(format!("Epoch {epoch}, {losses}, val_acc {val_acc:.4}"))
}

/// What was chosen.
pub(super) struct Choices<'a> {
    pub loss: Loss,
    pub loss_terms: Vec<LossTerm<'a>>,
    pub schedule: Option<(Every, Box<dyn Schedule>)>,
    pub patience: Option<usize>,
    pub best: Best,
    pub report: Report,
    pub eval_mode: bool,
}

impl Default for Choices<'_> {
    fn default() -> Self {
        Choices {
            loss: Loss::CrossEntropy,
            loss_terms: Vec::new(),
            schedule: None,
            patience: None,
            best: Best::LowestValLoss,
            report: every_tenth,
            eval_mode: true,
        }
    }
}

impl<'a> Trainer<'a> {
    /// What the training makes small, cross-entropy unless this says otherwise.
    pub fn loss(&mut self, loss: Loss) {
        self.choices.loss = loss;
    }

    /// Adds `term`, a scalar worked out of tensors in every training step, to the loss: a
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
        self.choices.loss_terms.push(term);
    }

    /// Works every training step out anew instead of replaying a recorded one: for what a replay does not notice,
    /// such as numbers of the host that change from step to step.
    pub fn launch_each_kernel(&mut self) {
        self.step = TrainStep::eager();
    }

    /// Shows where the time of some steps goes, if `on`: from the first epoch's 11th step on, 50 of them. A table
    /// of the ops, forward and backward, is printed when they are done, and `trace.json` in the run's directory
    /// has the first 10 of them for `chrome://tracing` or Perfetto. On a GPU each of their launches is waited
    /// for.
    pub fn profile(&mut self, on: bool) {
        self.profiling = on.then(Profiling::default);
    }

    /// Sets the learning rate by `schedule`, before every batch or every epoch. Its steps count on from
    /// where a run is resumed. The learning rate of an epoch's last batch is among its measurements, `lr`.
    pub fn schedule(&mut self, every: Every, schedule: impl Schedule + 'static) {
        self.choices.schedule = Some((every, Box::new(schedule)));
    }

    /// Ends the training, as [`Finished`](super::Outcome::Finished) and with a line that says so, when the
    /// validation loss has not fallen below its lowest for `patience` epochs, at least one. The weights stay
    /// those of the last epoch; `best.safetensors` has the best ones. Resuming such a run trains no further.
    pub fn stop_early(&mut self, patience: usize) {
        self.choices.patience = Some(patience.max(1));
    }

    /// Which epoch's weights are kept as `best.safetensors`.
    pub fn best_by(&mut self, best: Best) {
        self.choices.best = best;
    }

    /// Hands what the network says to `observer`, which measures what it likes.
    pub fn observe(&mut self, observer: &'a mut dyn Observer) {
        self.observers.add(observer);
    }

    /// What is printed after an epoch, with the time in front; the training loss of epochs 1, 10, 20, ...
    /// unless this says otherwise: [`every_epoch`], for example.
    pub fn report(&mut self, report: Report) {
        self.choices.report = report;
    }

    /// Whether losses and accuracies after an epoch are measured in evaluation mode, as they should
    /// be and are unless this says otherwise. See
    /// [`evaluate_in_training_mode`](super::evaluate_in_training_mode).
    pub fn measure_in_eval_mode(&mut self, on: bool) {
        self.choices.eval_mode = on;
    }
}

impl Choices<'_> {
    /// The learning rate of batch `batch`, from 0, in the epoch after `epochs`, each of `per_epoch` batches,
    /// if there is a schedule.
    pub fn lr(&self, epochs: usize, batch: usize, per_epoch: usize) -> Option<f64> {
        let (every, schedule) = self.schedule.as_ref()?;
        Some(schedule.lr(match every {
            Every::Batch => epochs.saturating_mul(per_epoch).saturating_add(batch),
            Every::Epoch => epochs,
        }))
    }

    /// Why to train no further after the epochs of `history`, if there is a reason.
    pub fn enough(&self, history: &[EpochMetrics]) -> Option<String> {
        let patience = self.patience?;
        let (mut epoch, mut lowest) = (0, f64::INFINITY);
        for metrics in history {
            if metrics.val_loss < lowest {
                (epoch, lowest) = (metrics.epoch, metrics.val_loss);
            }
        }
        let since = history.len() - epoch;
        let epochs = if since == 1 { "epoch" } else { "epochs" };
        (since >= patience).then(|| {
            format!(
                "Stopped early: the validation loss has not fallen below {lowest:.4}, that of epoch {epoch}, \
                 for {since} {epochs}"
            )
        })
    }

    /// Whether the epoch of `metrics` is better than all of `history`.
    ///
    /// # Errors
    /// When there is no measurement of the name to go by.
    pub fn is_best(&self, metrics: &EpochMetrics, history: &[EpochMetrics]) -> Result<bool> {
        let value = |metrics: &EpochMetrics| match &self.best {
            Best::LowestValLoss => Some(-metrics.val_loss),
            Best::Highest(name) => metrics.get(name),
        };
        let Some(now) = value(metrics) else {
            let (name, names) = (self.name_of_best(), metrics.names().join(", "));
            return Err(Error::Run(format!("the best epoch can't be told by {name}: there are {names}")));
        };
        // What is not a number is never the best.
        let before = history.iter().filter_map(value).fold(f64::NEG_INFINITY, f64::max);
        Ok(history.is_empty() || now > before)
    }

    fn name_of_best(&self) -> &str {
        match &self.best {
            Best::LowestValLoss => "val_loss",
            Best::Highest(name) => name,
        }
    }
}
