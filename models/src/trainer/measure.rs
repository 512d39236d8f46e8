//! Metrics by name, measured in every epoch.

use voxgrad_engine::{Device, Tensor};

use super::console::Console;
use super::history::EpochMetrics;
use super::observe::{Observer, Split};
use crate::losses::Loss;
use crate::metrics::{Gathered, Metric, Predictions};
use crate::{Error, Result};

/// An [`Observer`] of [`Metric`]s: `train_precision` of the training pass, `val_precision` after the epoch,
/// and so on.
#[derive(Debug)]
pub struct Measure {
    metrics: Vec<Metric>,
    threshold: f64,
    train: Predictions,
    unread_train: Gathered,
    val: Gathered,
}

impl Measure {
    /// Measures `metrics` of a network that is trained with `loss`.
    pub fn new(metrics: &[Metric], loss: Loss) -> Measure {
        let (metrics, threshold) = (metrics.to_vec(), loss.threshold());
        let (unread_train, val) = (Gathered::with_scores(), Gathered::with_scores());
        Measure { metrics, threshold, train: Predictions::default(), unread_train, val }
    }

    /// The training samples seen so far.
    fn train(&self) -> Result<Predictions> {
        let mut all = self.train.clone();
        let unread = self.unread_train.read(self.threshold)?;
        all.said.extend(unread.said);
        all.truth.extend(unread.truth);
        all.scores.extend(unread.scores);
        Ok(all)
    }
}

impl Observer for Measure {
    fn batch(&mut self, split: Split, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        match split {
            Split::Train => self.unread_train.push(outputs, targets),
            Split::Val => self.val.push(outputs, targets),
        }
    }

    fn epoch(&mut self, _: &EpochMetrics, _: &mut Console) -> Result<Vec<(String, f64)>> {
        let (train, val) = (self.train()?, self.val.read(self.threshold)?);
        self.load_state(&[])?;
        let mut measured = Vec::new();
        for metric in &self.metrics {
            measured.push((format!("train_{metric}"), metric.of(&train)?));
            measured.push((format!("val_{metric}"), metric.of(&val)?));
        }
        Ok(measured)
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let Predictions { said, truth, scores } = self.train()?;
        if truth.is_empty() {
            return Ok(Vec::new());
        }
        let cpu = Device::cpu();
        let state = [
            ("said", Tensor::new(&said, [said.len()], &cpu)?),
            ("truth", Tensor::new(&truth, [truth.len()], &cpu)?),
            ("scores", Tensor::new(&scores, [scores.len()], &cpu)?),
        ];
        Ok(state.map(|(name, tensor)| (name.to_string(), tensor)).to_vec())
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        (self.unread_train, self.val) = (Gathered::with_scores(), Gathered::with_scores());
        self.train = Predictions::default();
        for (name, tensor) in state {
            match name.as_str() {
                "said" => self.train.said = tensor.to_vec()?,
                "truth" => self.train.truth = tensor.to_vec()?,
                "scores" => self.train.scores = tensor.to_f64_vec()?,
                _ => return Err(Error::Run(format!("{name:?} is no state of metrics"))),
            }
        }
        if self.train.said.len() != self.train.truth.len() {
            return Err(Error::Run("the state of the metrics has not as many outputs as targets".into()));
        }
        Ok(())
    }
}
