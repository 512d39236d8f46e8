//! The largest or smallest element, and where it stands.

use super::{Reduce, cpu};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::{DType, Device, Error, Result, Storage};

/// Which of the two is looked for.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    /// The smallest element.
    Min,
    /// The largest element.
    Max,
}

impl Extreme {
    /// The name messages and graphs use.
    pub fn name(self) -> &'static str {
        match self {
            Extreme::Min => "min",
            Extreme::Max => "max",
        }
    }
}

/// The extreme of `x`, `[outer, dim, inner]`, along `dim`, and its u32 index there, both
/// `[outer, inner]`: of several equal ones the first, of several NaN the first.
///
/// # Errors
/// When `dim` is 0: nothing has no extreme.
pub fn extreme(which: Extreme, p: &Reduce, x: &Storage) -> Result<(Storage, Storage)> {
    let op = which.name();
    p.check(op, x)?;
    if p.dim == 0 && p.outputs() > 0 {
        let message = format!("[{}, 0, {}] has no elements to choose from", p.outer, p.inner);
        return shape_error(op, message);
    }
    let mut y = Storage::empty(&x.device(), x.dtype(), p.outputs())?;
    let mut index = Storage::empty(&x.device(), DType::U32, p.outputs())?;
    match x.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => for_float!(op, x.dtype(), T => {
            cpu::extreme::<T>(which, p, x.as_slice()?, y.as_mut_slice()?, index.as_mut_slice()?)
        }),
    }
    Ok((y, index))
}

/// `dx`, `[outer, dim, inner]`, from `dy` and the index that [`extreme`] gave, `[outer, inner]`.
pub fn extreme_backward(p: &Reduce, index: &Storage, dy: &Storage) -> Result<Storage> {
    let op = "extreme_backward";
    if index.len() != p.outputs() || dy.len() != p.outputs() {
        let message = format!("{} indices, {} gradients for {} outputs", index.len(), dy.len(), p.outputs());
        return shape_error(op, message);
    }
    if index.device() != dy.device() {
        return Err(Error::DeviceMismatch { op, left: index.device(), right: dy.device() });
    }
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), p.outputs() * p.dim as usize)?;
    match dy.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => for_float!(op, dy.dtype(), T => {
            let index = index.as_slice::<u32>()?;
            if let Some(&d) = index.iter().find(|&&d| d >= p.dim) {
                let message = format!("index {d} is not below the dimension's size, {}", p.dim);
                return Err(Error::Value { op, message });
            }
            cpu::extreme_backward::<T>(p, index, dy.as_slice()?, dx.as_mut_slice()?)
        }),
    }
    Ok(dx)
}
