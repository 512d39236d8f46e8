//! Losses that compare two tensors element by element, and how losses become one number.
//!
//! With `x` the input, `t` the target, `d = x - t`, and each element multiplied by its `weight` in the end:
//! ```text
//! mse              d^2                                         dx = 2 d
//! l1               |d|                                         dx = sign d
//! huber            d^2 / 2  if |d| <= delta                    dx = d clamped to -delta..delta
//!                  delta (|d| - delta / 2) otherwise
//! bce              -t log x - (1 - t) log(1 - x)               dx = (x - t) / (x (1 - x))
//! bce_with_logits  -p t log s(x) - (1 - t) log(1 - s(x))       dx = (1 - t) s(x) - p t s(-x)
//! ```
//! with `s` the logistic function and `p` the weight of positives. The gradient of the target is `-dx`
//! for the first three, `log(1 - x) - log x` for bce and `-x + (p - 1) softplus(-x)` for
//! bce_with_logits. As in PyTorch the logarithms of bce are at least -100 and the divisor of its
//! gradient at least 1e-12. bce_with_logits is computed as
//! `(1 - t) x + (1 + (p - 1) t) softplus(-x)`, which neither overflows nor takes the logarithm of 0.

mod cpu;
pub(crate) mod gpu;
#[cfg(test)]
mod tests;

use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Error, Float, Result, Storage, split};

/// How the losses of a batch become the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// One loss per element or sample.
    None,
    /// Their mean (weighted, where there are weights).
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Squared error.
    Mse,
    /// Absolute error.
    L1,
    /// Squared error up to `delta`, absolute error beyond.
    Huber {
        /// Where the one becomes the other.
        delta: f64,
    },
    /// Binary cross-entropy of probabilities.
    Bce,
    /// Binary cross-entropy of logits.
    BceWithLogits,
}

impl Kind {
    fn op(self) -> &'static str {
        match self {
            Kind::Mse => "mse_loss",
            Kind::L1 => "l1_loss",
            Kind::Huber { .. } => "huber_loss",
            Kind::Bce => "binary_cross_entropy",
            Kind::BceWithLogits => "binary_cross_entropy_with_logits",
        }
    }
}

/// What is compared: buffers of one size.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The input.
    pub x: &'a Storage,
    /// The target.
    pub t: &'a Storage,
    /// A factor for every loss.
    pub weight: Option<&'a Storage>,
    /// A factor for the part of positives (bce_with_logits).
    pub pos_weight: Option<&'a Storage>,
}

impl Inputs<'_> {
    fn check(&self, kind: Kind) -> Result<()> {
        let op = kind.op();
        let all: Vec<&Storage> =
            [Some(self.x), Some(self.t), self.weight, self.pos_weight].into_iter().flatten().collect();
        if let Some(other) = all.iter().find(|other| other.len() != self.x.len()) {
            return shape_error(op, format!("{} and {} elements", self.x.len(), other.len()));
        }
        same_device_and_dtype(op, &all)?;
        match kind {
            Kind::Huber { delta } if delta.is_nan() || delta <= 0.0 => {
                Err(Error::Value { op, message: format!("delta is {delta}, must be above 0") })
            }
            _ => Ok(()),
        }
    }
}

/// The losses, one per element (none) or one number.
///
/// # Errors
/// For bce, when an input is not a probability; the message names the first one. On a GPU the loss is
/// then NaN, and the error comes from the next read.
pub fn forward(kind: Kind, reduction: Reduction, inputs: &Inputs) -> Result<Storage> {
    inputs.check(kind)?;
    let x = inputs.x;
    match x.device() {
        Device::Cpu => for_float!(kind.op(), x.dtype(), T => {
            let mut losses = Storage::empty(&Device::Cpu, x.dtype(), x.len())?;
            let slices = cpu::Slices::<T>::new(inputs)?;
            if kind == Kind::Bce {
                slices.check_probabilities(kind.op())?;
            }
            cpu::forward(kind, &slices, losses.as_mut_slice()?);
            let sum = || Ok(split::sum(losses.as_slice::<T>()?));
            let one = |value: f64| Storage::from_slice(&Device::Cpu, &[<T as Float>::of(value)]);
            match reduction {
                Reduction::None => Ok(losses),
                Reduction::Sum => one(sum()?),
                Reduction::Mean => one(sum()? / x.len() as f64),
            }
        }),
        gpu => gpu::forward(&gpu, kind, reduction, inputs),
    }
}

/// Whose gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The input's.
    Input,
    /// The target's.
    Target,
}

/// The gradient of one side from the gradient of the loss.
pub fn backward(
    kind: Kind,
    reduction: Reduction,
    side: Side,
    inputs: &Inputs,
    dloss: &Storage,
) -> Result<Storage> {
    inputs.check(kind)?;
    let x = inputs.x;
    let wanted = if reduction == Reduction::None { x.len() } else { 1 };
    if dloss.len() != wanted {
        return shape_error(kind.op(), format!("{} gradients for {wanted} losses", dloss.len()));
    }
    same_device_and_dtype(kind.op(), &[x, dloss])?;
    match x.device() {
        Device::Cpu => for_float!(kind.op(), x.dtype(), T => {
            log::describe(&format_args!("backward"), 0);
            let mut dx = Storage::empty(&Device::Cpu, x.dtype(), x.len())?;
            let slices = cpu::Slices::<T>::new(inputs)?;
            cpu::backward(kind, reduction, side, &slices, dloss.as_slice()?, dx.as_mut_slice()?);
            Ok(dx)
        }),
        gpu => gpu::backward(&gpu, kind, reduction, side, inputs, dloss),
    }
}
