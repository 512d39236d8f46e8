//! Measuring a network without changing it.

use std::sync::atomic::{AtomicBool, Ordering};

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::{Tensor, no_grad, random};

use super::BATCHES_AT_ONCE;
use crate::Result;

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
    measure(model, loader, stop)
}

/// As [`evaluate`], but in training mode, as a program measures that forgets to switch: dropout drops,
/// and batch-norm uses the statistics of each batch. Such a measurement would leave its traces in the
/// running statistics and in the random generator; both are put back. The model stays in training mode.
pub fn evaluate_in_training_mode(
    model: &dyn Module,
    loader: &DataLoader,
    stop: &AtomicBool,
) -> Result<Option<Evaluation>> {
    let (state, rng) = (model.state_dict()?, random::rng_state());
    model.train();
    let measured = measure(model, loader, stop);
    model.load_state_dict(&state)?;
    random::set_rng_state(rng);
    measured
}

fn measure(model: &dyn Module, loader: &DataLoader, stop: &AtomicBool) -> Result<Option<Evaluation>> {
    no_grad(|| {
        let (mut unread, mut sums) = (Unread::default(), Sums::default());
        for batch in loader.epoch(0) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = batch?;
            let logits = model.forward(&batch.inputs)?;
            unread.losses.push(logits.cross_entropy(&batch.targets, &CrossEntropyOptions::default())?);
            unread.predicted.push(logits.argmax(&[1], false)?);
            unread.targets.push(batch.targets);
            if unread.losses.len() == BATCHES_AT_ONCE {
                sums.add(std::mem::take(&mut unread))?;
            }
        }
        sums.add(unread)?;
        let samples = sums.samples as f64;
        Ok(Some(Evaluation { loss: sums.loss / samples, accuracy: sums.correct as f64 / samples }))
    })
}

/// What some batches gave, still on the device.
#[derive(Default)]
struct Unread {
    losses: Vec<Tensor>,
    predicted: Vec<Tensor>,
    targets: Vec<Tensor>,
}

/// What all batches read so far gave.
#[derive(Default)]
struct Sums {
    loss: f64,
    correct: usize,
    samples: usize,
}

impl Sums {
    fn add(&mut self, unread: Unread) -> Result<()> {
        // The last batch is smaller: the mean of all samples is not the mean of the means.
        let means = Tensor::read_all::<f32>(&unread.losses)?;
        for (mean, targets) in means.iter().zip(&unread.targets) {
            self.loss += f64::from(*mean) * targets.numel() as f64;
            self.samples += targets.numel();
        }
        let labels = Tensor::read_all::<u32>(&[unread.predicted, unread.targets].concat())?;
        let (predicted, targets) = labels.split_at(labels.len() / 2);
        self.correct += predicted.iter().zip(targets).filter(|(p, t)| p == t).count();
        Ok(())
    }
}
