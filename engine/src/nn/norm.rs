//! Batch normalisation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Module, Slot, TrainingFlag, at_least_one, slots_of};
use crate::error::shape_error;
use crate::{DType, Device, Error, Result, Tensor, recorder, train_step};

/// Batch normalisation of `[N, C]` or `[N, C, L]`, `torch.nn.BatchNorm1d`.
pub type BatchNorm1d = BatchNorm<1>;
/// Batch normalisation of `[N, C, H, W]`, `torch.nn.BatchNorm2d`.
pub type BatchNorm2d = BatchNorm<2>;
/// Batch normalisation of `[N, C, D, H, W]`, `torch.nn.BatchNorm3d`.
pub type BatchNorm3d = BatchNorm<3>;

/// Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) with `D` spatial dimensions:
/// every channel is shifted and scaled to mean 0 and variance 1, then by a bias and a weight.
///
/// In training, mean and variance are those of the batch, and the running ones move towards them; in
/// evaluation they are the running ones.
#[derive(Debug)]
pub struct BatchNorm<const D: usize> {
    /// `[C]`, starts as 1.
    pub weight: Option<Tensor>,
    /// `[C]`, starts as 0.
    pub bias: Option<Tensor>,
    /// `[C]`, starts as 0.
    pub running_mean: Option<Tensor>,
    /// `[C]`, starts as 1.
    pub running_var: Option<Tensor>,
    /// How many batches the running statistics have seen.
    pub num_batches_tracked: Arc<AtomicU64>,
    channels: usize,
    eps: f64,
    momentum: Option<f64>,
    training: TrainingFlag,
}

impl<const D: usize> BatchNorm<D> {
    const NAME: &'static str = ["", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d"][D];

    /// A layer for `channels` channels with PyTorch's defaults: eps 1e-5, momentum 0.1.
    ///
    /// # Errors
    /// [`Error::Value`] for no channels.
    pub fn new(channels: usize) -> Result<Self> {
        at_least_one(Self::NAME, &[("channels", channels)])?;
        let full = |value| Tensor::full(value, [channels], DType::F32, &Device::cpu());
        Ok(BatchNorm {
            weight: Some(full(1.0)?.requires_grad()),
            bias: Some(full(0.0)?.requires_grad()),
            running_mean: Some(full(0.0)?),
            running_var: Some(full(1.0)?),
            num_batches_tracked: Arc::default(),
            channels,
            eps: 1e-5,
            momentum: Some(0.1),
            training: TrainingFlag::default(),
        })
    }

    /// What is added to the variance, so that a constant channel is not divided by 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// How far the running statistics move towards each batch's; `None` averages all batches.
    pub fn momentum(mut self, momentum: Option<f64>) -> Self {
        self.momentum = momentum;
        self
    }

    /// Without weight and bias when `false`.
    pub fn affine(mut self, affine: bool) -> Self {
        self.weight = self.weight.filter(|_| affine);
        self.bias = self.bias.filter(|_| affine);
        self
    }

    /// Without running statistics when `false`: evaluation uses the batch's too.
    pub fn track_running_stats(mut self, track: bool) -> Self {
        self.running_mean = self.running_mean.filter(|_| track);
        self.running_var = self.running_var.filter(|_| track);
        self
    }

    fn check(&self, x: &Tensor) -> Result<()> {
        let (expected, ranks): (_, &[usize]) = match D {
            1 => ("[N, C] or [N, C, L]", &[2, 3]),
            2 => ("[N, C, H, W]", &[4]),
            _ => ("[N, C, D, H, W]", &[5]),
        };
        let shape = x.shape();
        if !ranks.contains(&shape.len()) {
            return shape_error(Self::NAME, format!("expected {expected}, got {shape}"));
        }
        if shape[1] != self.channels {
            let channels = self.channels;
            let message = format!("input has {} channels, expected {channels} (input {shape})", shape[1]);
            return shape_error(Self::NAME, message);
        }
        Ok(())
    }
}

impl<const D: usize> Module for BatchNorm<D> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(tensor) = self.weight.as_ref().or(self.running_mean.as_ref()) {
            recorder::begin(tensor);
        }
        self.check(x)?;
        let training = self.training.get();
        let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
        let batches = self.num_batches_tracked.load(Ordering::Relaxed).saturating_add(1);
        let momentum = match self.momentum {
            Some(momentum) => momentum,
            None if train_step::is_recording() => {
                let message = "a running average of all batches changes its rule from step to step".into();
                return Err(Error::Value { what: Self::NAME, message });
            }
            None => 1.0 / batches as f64,
        };
        let (weight, bias) = (self.weight.as_ref(), self.bias.as_ref());
        let y = x.batch_norm(running, weight, bias, training, momentum, self.eps)?;
        if training && running.is_some() {
            train_step::count(&self.num_batches_tracked);
        }
        Ok(y)
    }

    fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
        let mut all: Vec<_> =
            slots_of([("weight", self.weight.as_ref()), ("bias", self.bias.as_ref())]).collect();
        if let (Some(mean), Some(var)) = (&self.running_mean, &self.running_var) {
            all.push(("running_mean", Slot::Buffer(mean)));
            all.push(("running_var", Slot::Buffer(var)));
            all.push(("num_batches_tracked", Slot::Counter(&self.num_batches_tracked)));
        }
        all
    }

    fn set_training(&self, on: bool) {
        self.training.set(on);
    }
}
