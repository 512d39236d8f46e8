//! Stochastic gradient descent.

use voxgrad_kernels::ops::optimizer;

use super::parameters::Parameters;
use super::{Optimizer, at_least_zero, shared_methods};
use crate::{Error, Result, Tensor};

/// Stochastic gradient descent with momentum, `torch.optim.SGD`.
///
/// ```text
/// g = g + weight_decay w
/// b = momentum b + (1 - dampening) g        g at the first step
/// w = w - lr b                              w - lr (g + momentum b) with nesterov
/// ```
#[derive(Debug)]
pub struct SGD {
    parameters: Parameters,
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
}

impl SGD {
    /// Plain descent: `w = w - lr g`.
    ///
    /// # Errors
    /// [`Error::Value`], here as in the other settings, for a number out of range.
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Result<SGD> {
        let parameters = Parameters::new("SGD", parameters, &[])?;
        let lr = at_least_zero("SGD", "lr", lr)?;
        Ok(SGD { parameters, lr, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false })
    }

    /// How much of the last direction is kept: usually 0.9.
    pub fn momentum(mut self, momentum: f64) -> Result<SGD> {
        self.momentum = at_least_zero("SGD", "momentum", momentum)?;
        self.parameters.buffers = if momentum == 0.0 { vec![] } else { vec!["momentum_buffer"] };
        self.checked()
    }

    /// How much of the gradient is kept out of the momentum.
    pub fn dampening(mut self, dampening: f64) -> Result<SGD> {
        self.dampening = at_least_zero("SGD", "dampening", dampening)?;
        self.checked()
    }

    /// Pulls the parameters towards zero: the gradient of `weight_decay / 2` times their squares.
    pub fn weight_decay(mut self, weight_decay: f64) -> Result<SGD> {
        self.weight_decay = at_least_zero("SGD", "weight_decay", weight_decay)?;
        Ok(self)
    }

    /// Whether to look ahead along the momentum (Nesterov). Set the momentum first.
    pub fn nesterov(mut self, nesterov: bool) -> Result<SGD> {
        self.nesterov = nesterov;
        self.checked()
    }

    fn checked(self) -> Result<SGD> {
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let (momentum, dampening) = (self.momentum, self.dampening);
            let message = format!(
                "nesterov needs a momentum above 0 and no dampening; they are {momentum} and {dampening}"
            );
            return Err(Error::Value { what: "SGD", message });
        }
        Ok(self)
    }
}

impl Optimizer for SGD {
    fn step(&mut self) -> Result<()> {
        self.parameters.step(|step, w, g, state| {
            let p = optimizer::Sgd {
                lr: self.lr,
                momentum: self.momentum,
                mix: 1.0 - self.dampening,
                weight_decay: self.weight_decay,
                nesterov: self.nesterov.into(),
                first: (step == 1).into(),
            };
            optimizer::sgd(&p, w, g, state)
        })
    }

    shared_methods!();
}
