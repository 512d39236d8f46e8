//! Keeping the books: what is written down and drawn when an epoch is done or a run stops.

use voxgrad_engine::checkpoint;

use super::{EpochMetrics, Evaluation, Position, Trainer, history, snapshot};
use crate::Result;
use crate::plot::LineChart;

impl Trainer<'_> {
    pub(super) fn finish_epoch(&mut self, epochs: usize, train_acc: f64, val: Evaluation) -> Result<()> {
        let mut metrics = EpochMetrics {
            epoch: self.at.epochs + 1,
            train_loss: self.at.loss_sum / self.at.batches as f64,
            val_loss: val.loss,
            train_acc,
            val_acc: val.accuracy,
            seconds: self.at.seconds,
            more: Default::default(),
        };
        // Asked of the schedule: the optimizer of a run that is resumed here has not made that step.
        if let Some(lr) = self.choices.lr(self.at.epochs, self.at.batches - 1, self.at.batches) {
            metrics.more.insert("lr".to_string(), lr);
        }
        self.observers.epoch(&mut metrics, self.console)?;
        let epoch = metrics.epoch;
        let best = self.choices.is_best(&metrics, &self.history)?;
        self.save_weights("last.safetensors", &metrics)?;
        if best {
            self.save_weights("best.safetensors", &metrics)?;
        }
        let seal = Some(history::append(&self.run.file("metrics.jsonl"), &metrics)?);
        let line = (self.choices.report)(&metrics);
        self.history.push(metrics);
        self.at = Position { epochs: epoch, seal, ..Position::START };
        // Last of all: after a crash before this line the epoch is trained again.
        self.save_position()?;

        if let Some(line) = line {
            self.console.say_with_time(&line);
        }
        if epoch == 1 || epoch.is_multiple_of(10) || epoch == epochs {
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

    pub(super) fn save_position(&self) -> Result<()> {
        let (path, observed) = (self.run.file("resume.safetensors"), self.observers.state()?);
        snapshot::save(&path, self.model, self.optimizer, &self.at, observed)
    }

    /// Draws the curves of all finished epochs.
    pub(super) fn draw_curves(&self) -> Result<()> {
        if self.history.is_empty() {
            return Ok(());
        }
        let curve = |value: fn(&EpochMetrics) -> f64| {
            self.history.iter().map(move |m| (m.epoch as f64, value(m))).collect::<Vec<_>>()
        };
        let (measure, training) = match self.choices.loss_terms.is_empty() {
            true => (self.choices.loss.label(), "training"),
            false => ("loss", "training, penalty included"),
        };
        let loss = LineChart::new("Loss").x_label("epoch").y_label(measure).from_zero();
        let loss = loss.series(training, curve(|m| m.train_loss));
        loss.series("validation", curve(|m| m.val_loss)).save(self.run.file("loss.png"))?;
        let accuracy = LineChart::new("Accuracy").x_label("epoch").y_label("accuracy");
        let accuracy = accuracy.series("training", curve(|m| m.train_acc));
        accuracy.series("validation", curve(|m| m.val_acc)).save(self.run.file("accuracy.png"))
    }
}
