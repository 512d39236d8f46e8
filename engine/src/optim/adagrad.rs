//! Adagrad.

use voxgrad_kernels::ops::optimizer;

use super::parameters::Parameters;
use super::{Optimizer, at_least_zero, shared_methods};
use crate::{Result, Tensor};

/// Adagrad (Duchi, Hazan, Singer 2011), `torch.optim.Adagrad`: each element's step is divided by the
/// root of the sum of all its squared gradients.
///
/// ```text
/// g = g + weight_decay w
/// s = s + g^2
/// w = w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
/// ```
/// Defaults: no learning-rate decay, no weight decay, sums from 0, eps 1e-10.
#[derive(Debug)]
pub struct Adagrad {
    parameters: Parameters,
    lr: f64,
    lr_decay: f64,
    weight_decay: f64,
    eps: f64,
}

impl Adagrad {
    /// PyTorch's default settings (its default `lr` is 0.01).
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value), here as in the settings, for a number out of range.
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Result<Adagrad> {
        let parameters = Parameters::new("Adagrad", parameters, &["sum"])?;
        let lr = at_least_zero("Adagrad", "lr", lr)?;
        Ok(Adagrad { parameters, lr, lr_decay: 0.0, weight_decay: 0.0, eps: 1e-10 })
    }

    /// How fast the learning rate falls with the steps.
    pub fn lr_decay(mut self, lr_decay: f64) -> Result<Adagrad> {
        self.lr_decay = at_least_zero("Adagrad", "lr_decay", lr_decay)?;
        Ok(self)
    }

    /// Pulls the parameters towards zero.
    pub fn weight_decay(mut self, weight_decay: f64) -> Result<Adagrad> {
        self.weight_decay = at_least_zero("Adagrad", "weight_decay", weight_decay)?;
        Ok(self)
    }

    /// Where the sums of squares start.
    pub fn initial_accumulator_value(mut self, value: f64) -> Result<Adagrad> {
        self.parameters.initial = at_least_zero("Adagrad", "initial_accumulator_value", value)?;
        Ok(self)
    }

    /// Keeps the denominator from 0.
    pub fn eps(mut self, eps: f64) -> Result<Adagrad> {
        self.eps = at_least_zero("Adagrad", "eps", eps)?;
        Ok(self)
    }
}

impl Optimizer for Adagrad {
    fn step(&mut self) -> Result<()> {
        let (eps, weight_decay) = (self.eps, self.weight_decay);
        self.parameters.step(|step, w, g, state| {
            let lr = self.lr / (1.0 + f64::from(step - 1) * self.lr_decay);
            optimizer::adagrad(&optimizer::Adagrad { lr, eps, weight_decay }, w, g, state)
        })
    }

    shared_methods!();
}
