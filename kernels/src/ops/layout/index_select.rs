//! Rows picked by number, and the way back.
//! ```text
//! y[o, k, i]  = x[o, index_k, i]
//! dx[o, d, i] = sum of dy[o, k, i] over all k with index_k = d
//! ```

use super::cpu;
use crate::dtype::{for_element, for_float};
use crate::error::shape_error;
use crate::{DType, Device, Error, Result, Storage};

/// The tensor as `[outer, dim, inner]`, and how many of its `dim` rows are picked.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct IndexSelect {
    /// Product of the dimensions before the one picked from.
    pub outer: u32,
    /// Length of the dimension picked from.
    pub dim: u32,
    /// Product of the dimensions after it.
    pub inner: u32,
    /// How many are picked.
    pub count: u32,
}

impl IndexSelect {
    fn check(&self, data: &Storage, dim: u32, index: &Storage) -> Result<()> {
        let op = "index_select";
        let wanted = self.outer as usize * dim as usize * self.inner as usize;
        if data.len() != wanted || index.len() != self.count as usize {
            let IndexSelect { outer, inner, count, .. } = self;
            let message = format!(
                "{} elements and {} indices are not [{outer}, {dim}, {inner}] and [{count}]",
                data.len(),
                index.len()
            );
            return shape_error(op, message);
        }
        if index.dtype() != DType::U32 {
            return Err(Error::DType { op, expected: "u32 indices".into(), got: index.dtype() });
        }
        if index.device() != data.device() {
            return Err(Error::DeviceMismatch { op, left: data.device(), right: index.device() });
        }
        Ok(())
    }
}

/// `y`, `[outer, count, inner]`, from `x`, `[outer, dim, inner]`, and u32 `index`, `[count]`.
///
/// # Errors
/// When an index is not below `dim`.
pub fn index_select(p: &IndexSelect, x: &Storage, index: &Storage) -> Result<Storage> {
    p.check(x, p.dim, index)?;
    let mut y =
        Storage::empty(&x.device(), x.dtype(), p.outer as usize * p.count as usize * p.inner as usize)?;
    match x.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => {
            let index = index.as_slice::<u32>()?;
            check_range(p, index)?;
            for_element!(x.dtype(), T => {
                cpu::index_select::<T>(p, x.as_slice()?, index, y.as_mut_slice()?)
            })
        }
    }
    Ok(y)
}

/// `dx`, `[outer, dim, inner]`, from `dy`, `[outer, count, inner]`.
pub fn index_select_backward(p: &IndexSelect, dy: &Storage, index: &Storage) -> Result<Storage> {
    p.check(dy, p.count, index)?;
    let mut dx =
        Storage::empty(&dy.device(), dy.dtype(), p.outer as usize * p.dim as usize * p.inner as usize)?;
    match dy.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => {
            let index = index.as_slice::<u32>()?;
            check_range(p, index)?;
            for_float!("index_select_backward", dy.dtype(), T => {
                cpu::index_select_backward::<T>(p, dy.as_slice()?, index, dx.as_mut_slice()?)
            })
        }
    }
    Ok(dx)
}

fn check_range(p: &IndexSelect, index: &[u32]) -> Result<()> {
    match index.iter().position(|&i| i >= p.dim) {
        None => Ok(()),
        Some(at) => {
            let message = format!("index {} at position {at}, but the dimension has {}", index[at], p.dim);
            Err(Error::Value { op: "index_select", message })
        }
    }
}
