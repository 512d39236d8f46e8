//! The fully connected layer.

use super::{Module, Slot, at_least_one, init, slots_of};
use crate::{Result, Tensor};

/// `y = x weight^T + bias`, `torch.nn.Linear`: `[.., in]` becomes `[.., out]`.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

impl Linear {
    /// A layer with initial values as PyTorch's: uniform within 1 / sqrt(in_features).
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value) for a size of 0.
    pub fn new(in_features: usize, out_features: usize) -> Result<Linear> {
        at_least_one("Linear", &[("in_features", in_features), ("out_features", out_features)])?;
        let (weight, bias) = init::default_parameters(&[out_features, in_features])?;
        Ok(Linear { weight, bias: Some(bias) })
    }

    /// Without a bias when `false`.
    pub fn bias(mut self, bias: bool) -> Linear {
        self.bias = self.bias.filter(|_| bias);
        self
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.linear(&self.weight, self.bias.as_ref())
    }

    fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
        slots_of([("weight", Some(&self.weight)), ("bias", self.bias.as_ref())]).collect()
    }
}
