//! Measuring a network without changing it.

use std::sync::atomic::{AtomicBool, Ordering};

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::{Tensor, no_grad, random};

use super::BATCHES_AT_ONCE;
use crate::Result;
use crate::losses::Loss;
use crate::metrics::Gathered;

/// How a network does on a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The mean loss of all samples.
    pub loss: f64,
    /// The part of them that is called what it is, see [`Gathered::push`]. For losses of numbers that
    /// stand for no class it means nothing.
    pub accuracy: f64,
}

/// Measures `model` in evaluation mode on the samples of `loader`, by cross-entropy, recording no graph.
/// The model is in evaluation mode afterwards. `None` when `stop` was set on the way.
pub fn evaluate(model: &dyn Module, loader: &DataLoader, stop: &AtomicBool) -> Result<Option<Evaluation>> {
    evaluate_by(Loss::CrossEntropy, model, loader, stop)
}

/// [`evaluate`] by another loss.
pub fn evaluate_by(
    loss: Loss,
    model: &dyn Module,
    loader: &DataLoader,
    stop: &AtomicBool,
) -> Result<Option<Evaluation>> {
    How { loss, eval_mode: true }.measure(model, loader, stop, |_, _| Ok(()))
}

/// As [`evaluate`], but in training mode, as a program measures that forgets to switch: dropout drops,
/// and batch-norm uses the statistics of each batch. Such a measurement would leave its traces in the
/// running statistics and in the random generator; both are put back. The model stays in training mode.
pub fn evaluate_in_training_mode(
    model: &dyn Module,
    loader: &DataLoader,
    stop: &AtomicBool,
) -> Result<Option<Evaluation>> {
    How { loss: Loss::CrossEntropy, eval_mode: false }.measure(model, loader, stop, |_, _| Ok(()))
}

/// How a network is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub loss: Loss,
    pub eval_mode: bool,
}

impl How {
    /// Measures `model`, and hands each batch's outputs and targets to `each`.
    pub fn measure(
        self,
        model: &dyn Module,
        loader: &DataLoader,
        stop: &AtomicBool,
        each: impl FnMut(&Tensor, &Tensor) -> Result<()>,
    ) -> Result<Option<Evaluation>> {
        if self.eval_mode {
            model.eval();
            return self.batches(model, loader, stop, each);
        }
        let (state, rng) = (model.state_dict()?, random::rng_state());
        model.train();
        let measured = self.batches(model, loader, stop, each);
        model.load_state_dict(&state)?;
        random::set_rng_state(rng);
        measured
    }

    fn batches(
        self,
        model: &dyn Module,
        loader: &DataLoader,
        stop: &AtomicBool,
        mut each: impl FnMut(&Tensor, &Tensor) -> Result<()>,
    ) -> Result<Option<Evaluation>> {
        no_grad(|| {
            let (mut unread, mut sums) = (Unread::default(), Sums::default());
            for batch in loader.epoch(0) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let batch = batch?;
                let outputs = model.forward(&batch.inputs)?;
                unread.losses.push(self.loss.of(&outputs, &batch.targets)?);
                unread.samples.push(batch.indices.len());
                unread.said.push(&outputs, &batch.targets)?;
                each(&outputs, &batch.targets)?;
                if unread.losses.len() == BATCHES_AT_ONCE {
                    sums.add(std::mem::take(&mut unread), self.loss)?;
                }
            }
            sums.add(unread, self.loss)?;
            let (loss, accuracy) = (sums.loss / sums.samples as f64, sums.correct as f64 / sums.said as f64);
            Ok(Some(Evaluation { loss, accuracy }))
        })
    }
}

/// What some batches gave, still on the device.
#[derive(Default)]
struct Unread {
    losses: Vec<Tensor>,
    samples: Vec<usize>,
    said: Gathered,
}

/// What all batches read so far gave.
#[derive(Default)]
struct Sums {
    loss: f64,
    samples: usize,
    correct: usize,
    said: usize,
}

impl Sums {
    fn add(&mut self, unread: Unread, loss: Loss) -> Result<()> {
        // The last batch is smaller: the mean of all samples is not the mean of the means.
        let means = Tensor::read_all::<f32>(&unread.losses)?;
        for (mean, samples) in means.iter().zip(&unread.samples) {
            self.loss += f64::from(*mean) * *samples as f64;
            self.samples += samples;
        }
        let predictions = unread.said.read(loss.threshold())?;
        self.correct += predictions.correct();
        self.said += predictions.len();
        Ok(())
    }
}
