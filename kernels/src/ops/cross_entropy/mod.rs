//! Cross-entropy between logits and class labels, and the negative log-likelihood of log-probabilities.
//!
//! For a row of `C` scores `x`, its label `t`, class weights `w` (1 without) and label smoothing `e`:
//! ```text
//! logp_c = x_c - log(sum_j exp(x_j))               cross_entropy;  nll_loss is given logp itself
//! q_c    = (1 - e) w_t [c = t] + e/C w_c            what the row is compared with
//! loss   = -sum_c q_c logp_c
//! none:    the losses      sum: their sum      mean: their sum / sum of w_t over the rows
//! backward: dx_c = g (softmax(x)_c sum_j q_j - q_c)      cross_entropy
//!           dx_c = -g q_c                                nll_loss
//! with g = dy of the row (none), dy (sum), or dy / sum of w_t (mean)
//! ```
//! Rows whose label is `ignore_index` count nowhere: their loss, weight and gradient are 0. If no row
//! is left, the mean is 0/0 = NaN, as in PyTorch.

mod cpu;
pub(crate) mod gpu;
#[cfg(test)]
mod tests;

use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::loss::Reduction;
use crate::storage::{same_device, same_device_and_dtype};
use crate::{DType, Device, Error, Float, Result, Storage, split};

/// The kernel on the CPU.
pub const RUNGS: &[&str] = &["plain"];
/// The kernels on a GPU: a thread per row, and threads that share a row.
pub const GPU_RUNGS: &[&str] = &["plain", "rows"];

/// The scores as `[outer, classes, inner]`, the labels as `[outer, inner]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct CrossEntropy {
    /// Samples.
    pub outer: u32,
    /// Classes.
    pub classes: u32,
    /// Labels per sample: pixels, voxels, or 1.
    pub inner: u32,
    /// The label whose rows do not count.
    pub ignore_index: u32,
    /// 1 when the scores are log-probabilities already (nll_loss), 0 for logits.
    pub log_probabilities: u32,
}

/// What the rows are compared with, besides their labels.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The class of every row, `[outer, inner]`, u32.
    pub labels: &'a Storage,
    /// A weight per class, `[classes]`.
    pub weight: Option<&'a Storage>,
    /// The share of every row's target that is spread over all classes.
    pub label_smoothing: f64,
}

/// The loss, and what the backward pass needs beside the inputs.
pub struct Forward {
    /// `[outer, inner]` losses, or one number.
    pub loss: Storage,
    /// The sum of `w_t` over the rows, when the loss is their mean.
    pub total_weight: Option<Storage>,
}

impl CrossEntropy {
    /// The number of labels.
    fn rows(&self) -> usize {
        self.outer as usize * self.inner as usize
    }

    fn op(&self) -> &'static str {
        if self.log_probabilities == 1 { "nll_loss" } else { "cross_entropy" }
    }

    fn check(&self, x: &Storage, target: &Target) -> Result<()> {
        let op = self.op();
        let CrossEntropy { outer, classes, inner, .. } = self;
        if x.len() != self.rows() * self.classes as usize || target.labels.len() != self.rows() {
            let (x, labels) = (x.len(), target.labels.len());
            let message = format!(
                "{x} scores and {labels} labels are not [{outer}, {classes}, {inner}] and [{outer}, {inner}]"
            );
            return shape_error(op, message);
        }
        if *classes == 0 && self.rows() > 0 {
            return shape_error(op, format!("[{outer}, 0, {inner}] has no classes to choose from"));
        }
        if target.labels.dtype() != DType::U32 {
            return Err(Error::DType { op, expected: "u32 labels".into(), got: target.labels.dtype() });
        }
        same_device(op, &[x, target.labels])?;
        if let Some(weight) = target.weight {
            same_device_and_dtype(op, &[x, weight])?;
            if weight.len() != self.classes as usize {
                return shape_error(op, format!("{} weights for {classes} classes", weight.len()));
            }
        }
        if !(0.0..=1.0).contains(&target.label_smoothing) {
            let message = format!("label_smoothing is {}, must be in 0..=1", target.label_smoothing);
            return Err(Error::Value { op, message });
        }
        Ok(())
    }
}

/// The loss of the scores `x`, one per row (none) or one number.
///
/// # Errors
/// When a label is neither a class nor `ignore_index`; the message names the first such row. On a GPU
/// the loss is then NaN, and the error comes from the next read.
pub fn forward(p: &CrossEntropy, reduction: Reduction, x: &Storage, target: &Target) -> Result<Forward> {
    forward_rung(usize::MAX, p, reduction, x, target)
}

/// [`forward`] by the given rung of [`RUNGS`].
pub fn forward_rung(
    rung: usize,
    p: &CrossEntropy,
    reduction: Reduction,
    x: &Storage,
    target: &Target,
) -> Result<Forward> {
    p.check(x, target)?;
    match x.device() {
        Device::Cpu => for_float!(p.op(), x.dtype(), T => {
            log::describe(p, 0);
            let mut losses = Storage::empty(&Device::Cpu, x.dtype(), p.rows())?;
            let rows = cpu::Rows::<T>::new(p, x, target)?;
            rows.check_labels()?;
            rows.losses(losses.as_mut_slice()?);
            let one = |value: f64| Storage::from_slice(&Device::Cpu, &[<T as Float>::of(value)]);
            Ok(match reduction {
                Reduction::None => Forward { loss: losses, total_weight: None },
                Reduction::Sum => {
                    let sum = split::sum(losses.as_slice::<T>()?);
                    Forward { loss: one(sum)?, total_weight: None }
                }
                Reduction::Mean => {
                    let (sum, total) = (split::sum(losses.as_slice::<T>()?), rows.total_weight());
                    Forward { loss: one(sum / total)?, total_weight: Some(one(total)?) }
                }
            })
        }),
        gpu => gpu::forward(&gpu, rung, p, reduction, x, target),
    }
}

/// `dx` from the gradient of the loss; `total_weight` is what [`forward`] gave.
pub fn backward(
    p: &CrossEntropy,
    x: &Storage,
    target: &Target,
    total_weight: Option<&Storage>,
    dloss: &Storage,
) -> Result<Storage> {
    backward_rung(usize::MAX, p, x, target, total_weight, dloss)
}

/// [`backward`] by the given rung of [`RUNGS`].
pub fn backward_rung(
    rung: usize,
    p: &CrossEntropy,
    x: &Storage,
    target: &Target,
    total_weight: Option<&Storage>,
    dloss: &Storage,
) -> Result<Storage> {
    p.check(x, target)?;
    same_device_and_dtype(p.op(), &[x, dloss])?;
    if dloss.len() != 1 && dloss.len() != p.rows() {
        return shape_error(p.op(), format!("{} gradients for {} losses", dloss.len(), p.rows()));
    }
    match x.device() {
        Device::Cpu => for_float!(p.op(), x.dtype(), T => {
            log::describe(&format_args!("backward {p:?}"), 0);
            let mut dx = Storage::empty(&Device::Cpu, x.dtype(), x.len())?;
            let total = match total_weight {
                Some(total) => total.as_slice::<T>()?.first().copied(),
                None => None,
            };
            let rows = cpu::Rows::<T>::new(p, x, target)?;
            rows.check_labels()?;
            rows.gradients(dloss.as_slice()?, total, dx.as_mut_slice()?);
            Ok(dx)
        }),
        gpu => gpu::backward(&gpu, rung, p, x, target, total_weight, dloss),
    }
}
