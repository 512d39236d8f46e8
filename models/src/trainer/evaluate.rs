//! Measuring a network without changing it.

use std::sync::atomic::{AtomicBool, Ordering};

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::no_grad;
use voxgrad_engine::ops::CrossEntropyOptions;

use crate::Result;
use crate::metrics::count_correct;

/// How a network does on a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The mean cross-entropy of all samples.
    pub loss: f64,
    /// The part of them whose class has the largest output.
    pub accuracy: f64,
}

/// Measures `model` in evaluation mode on the samples of `loader`, recording no graph. The model is
/// in evaluation mode afterwards. `None` when `stop` was set on the way.
pub fn evaluate(model: &dyn Module, loader: &DataLoader, stop: &AtomicBool) -> Result<Option<Evaluation>> {
    model.eval();
    no_grad(|| {
        let (mut loss_sum, mut correct, mut samples) = (0.0, 0, 0);
        for batch in loader.epoch(0) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = batch?;
            let logits = model.forward(&batch.inputs)?;
            let loss = logits.cross_entropy(&batch.targets, &CrossEntropyOptions::default())?;
            let n = batch.indices.len();
            // The last batch is smaller: the mean of all samples is not the mean of the means.
            loss_sum += loss.item()? * n as f64;
            correct += count_correct(&logits, &batch.targets)?;
            samples += n;
        }
        let (loss, accuracy) = (loss_sum / samples as f64, correct as f64 / samples as f64);
        Ok(Some(Evaluation { loss, accuracy }))
    })
}
