//! RMSprop.

use voxgrad_kernels::ops::optimizer;

use super::parameters::Parameters;
use super::{Optimizer, at_least_zero, below_one, shared_methods};
use crate::{Result, Tensor};

/// RMSprop (Hinton, lecture 6e of "Neural networks for machine learning", 2012),
/// `torch.optim.RMSprop`: each element's step is divided by the root of its running mean square.
///
/// ```text
/// g = g + weight_decay w
/// v = alpha v + (1 - alpha) g^2
/// w = w - lr g / (sqrt(v) + eps)
/// ```
/// Defaults: alpha 0.99, eps 1e-8, no weight decay, no momentum, not centered.
#[derive(Debug)]
pub struct RMSprop {
    parameters: Parameters,
    lr: f64,
    alpha: f64,
    eps: f64,
    weight_decay: f64,
    momentum: f64,
    centered: bool,
}

impl RMSprop {
    /// PyTorch's default settings (its default `lr` is 0.01).
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value), here as in the settings, for a number out of range.
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Result<RMSprop> {
        Ok(RMSprop {
            parameters: Parameters::new("RMSprop", parameters, &["square_avg"])?,
            lr: at_least_zero("RMSprop", "lr", lr)?,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        })
    }

    /// How much of the average square is kept.
    pub fn alpha(mut self, alpha: f64) -> Result<RMSprop> {
        self.alpha = below_one("RMSprop", "alpha", alpha)?;
        Ok(self)
    }

    /// Keeps the denominator from 0.
    pub fn eps(mut self, eps: f64) -> Result<RMSprop> {
        self.eps = at_least_zero("RMSprop", "eps", eps)?;
        Ok(self)
    }

    /// Pulls the parameters towards zero.
    pub fn weight_decay(mut self, weight_decay: f64) -> Result<RMSprop> {
        self.weight_decay = at_least_zero("RMSprop", "weight_decay", weight_decay)?;
        Ok(self)
    }

    /// How much of the last direction is kept.
    pub fn momentum(mut self, momentum: f64) -> Result<RMSprop> {
        self.momentum = at_least_zero("RMSprop", "momentum", momentum)?;
        Ok(self.with_buffers())
    }

    /// Whether to divide by the root of the variance instead of the mean square.
    pub fn centered(mut self, centered: bool) -> RMSprop {
        self.centered = centered;
        self.with_buffers()
    }

    fn with_buffers(mut self) -> RMSprop {
        self.parameters.buffers = vec!["square_avg"];
        self.parameters.buffers.extend(self.centered.then_some("grad_avg"));
        self.parameters.buffers.extend((self.momentum != 0.0).then_some("momentum_buffer"));
        self
    }
}

impl Optimizer for RMSprop {
    fn step(&mut self) -> Result<()> {
        let p = optimizer::RmsProp {
            lr: self.lr,
            alpha: self.alpha,
            mix: 1.0 - self.alpha,
            eps: self.eps,
            weight_decay: self.weight_decay,
            momentum: self.momentum,
            centered: self.centered.into(),
            padding: 0,
        };
        self.parameters.step(|_, w, g, state| optimizer::rmsprop(&p, w, g, state))
    }

    shared_methods!();
}
