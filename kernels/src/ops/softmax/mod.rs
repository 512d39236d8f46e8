//! Softmax and its logarithm along one dimension.
//!
//! With the tensor seen as `[outer, dim, inner]`, for every `outer` and `inner`:
//! ```text
//! softmax:      y_i  = exp(x_i - m) / sum_j exp(x_j - m)              m = max_j x_j
//! log_softmax:  y_i  = x_i - m - log(sum_j exp(x_j - m))
//! backward:     dx_i = y_i (dy_i - sum_j dy_j y_j)                    softmax
//!               dx_i = dy_i - exp(y_i) sum_j dy_j                     log_softmax
//! ```
//! Subtracting the maximum changes nothing in exact arithmetic and keeps `exp` from overflowing.
//! The backward pass needs only `y`, so the input is not kept.

mod cpu;

use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

/// The tensor as `[outer, dim, inner]`, and which of the two functions is wanted.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Softmax {
    /// Product of the dimensions before the normalised one.
    pub outer: u32,
    /// Length of the normalised dimension.
    pub dim: u32,
    /// Product of the dimensions after it.
    pub inner: u32,
    /// 1 for log_softmax, 0 for softmax.
    pub log: u32,
}

impl Softmax {
    fn check(&self, x: &Storage) -> Result<()> {
        let wanted = self.outer as usize * self.dim as usize * self.inner as usize;
        if x.len() != wanted {
            let Softmax { outer, dim, inner, .. } = self;
            let message = format!("{} elements are not [{outer}, {dim}, {inner}]", x.len());
            return shape_error("softmax", message);
        }
        Ok(())
    }
}

/// `y` from `x`, both `[outer, dim, inner]`.
pub fn forward(p: &Softmax, x: &Storage) -> Result<Storage> {
    p.check(x)?;
    let mut y = Storage::empty(&x.device(), x.dtype(), x.len())?;
    match x.device() {
        Device::Cpu => for_float!("softmax", x.dtype(), T => {
            cpu::forward::<T>(p, x.as_slice()?, y.as_mut_slice()?)
        }),
    }
    Ok(y)
}

/// `dx` from the output `y` and its gradient `dy`, all `[outer, dim, inner]`.
pub fn backward(p: &Softmax, y: &Storage, dy: &Storage) -> Result<Storage> {
    same_device_and_dtype("softmax_backward", &[y, dy])?;
    p.check(y)?;
    p.check(dy)?;
    let mut dx = Storage::empty(&y.device(), y.dtype(), y.len())?;
    match y.device() {
        Device::Cpu => for_float!("softmax_backward", y.dtype(), T => {
            cpu::backward::<T>(p, y.as_slice()?, dy.as_slice()?, dx.as_mut_slice()?)
        }),
    }
    Ok(dx)
}
