//! Dropout layers: they drop in training and do nothing in evaluation.

use super::{Module, TrainingFlag};
use crate::error::shape_error;
use crate::{Error, Result, Tensor};

/// Zeroes each element with probability `p` and divides the others by `1 - p` (Srivastava et al.
/// 2014), `torch.nn.Dropout`.
#[derive(Debug)]
pub struct Dropout {
    p: f64,
    training: TrainingFlag,
}

/// [`Dropout`] of whole channels of `[N, C, H, W]`, `torch.nn.Dropout2d`.
pub type Dropout2d = ChannelDropout<2>;
/// [`Dropout`] of whole channels of `[N, C, D, H, W]`, `torch.nn.Dropout3d`.
pub type Dropout3d = ChannelDropout<3>;

/// Dropout of whole channels with `D` spatial dimensions (Tompson et al. 2015, arXiv:1411.4280):
/// neighbours in one channel say much the same, so dropping single ones would lose little.
#[derive(Debug)]
pub struct ChannelDropout<const D: usize>(Dropout);

impl Dropout {
    /// A layer that drops with probability `p`.
    ///
    /// # Errors
    /// [`Error::Value`] unless `p` is in 0..=1.
    pub fn new(p: f64) -> Result<Dropout> {
        if !(0.0..=1.0).contains(&p) {
            let message = format!("the probability is {p}, it must be in 0..=1");
            return Err(Error::Value { what: "Dropout", message });
        }
        Ok(Dropout { p, training: TrainingFlag::default() })
    }

    fn drops(&self) -> bool {
        self.training.get() && self.p > 0.0
    }
}

impl<const D: usize> ChannelDropout<D> {
    /// A layer that drops each channel with probability `p`.
    ///
    /// # Errors
    /// [`Error::Value`] unless `p` is in 0..=1.
    pub fn new(p: f64) -> Result<Self> {
        Dropout::new(p).map(ChannelDropout)
    }
}

impl Module for Dropout {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.drops() { x.dropout(self.p) } else { Ok(x.clone()) }
    }

    fn set_training(&self, on: bool) {
        self.training.set(on);
    }
}

impl<const D: usize> Module for ChannelDropout<D> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.ndim() != D + 2 {
            let (name, expected) =
                if D == 2 { ("Dropout2d", "[N, C, H, W]") } else { ("Dropout3d", "[N, C, D, H, W]") };
            return shape_error(name, format!("expected {expected}, got {}", x.shape()));
        }
        if self.0.drops() { x.dropout_channels(self.0.p) } else { Ok(x.clone()) }
    }

    fn set_training(&self, on: bool) {
        self.0.set_training(on);
    }
}
