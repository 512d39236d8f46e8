//! Rows picked by number, and the way back.
//! ```text
//! y[o, k, i]  = x[o, index_k, i]
//! dx[o, d, i] = sum of dy[o, k, i] over all k with index_k = d
//! ```

use super::cpu;
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
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

pub(crate) static SOURCE: Source = source!("index_select": "index_select");
static FORWARD: Kernel = Kernel::new(&SOURCE, "index_select");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "index_select_backward");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct IndexSelectCall {
    outer: u32,
    dim: u32,
    inner: u32,
    count: u32,
    missing: u32,
    first: u32,
    end: u32,
}

/// Indices that one launch of the backward pass goes through: a thread that runs for too long may be
/// stopped by its driver.
const AT_ONCE: usize = 1 << 15;

impl IndexSelectCall {
    fn new(p: &IndexSelect, dtype: DType) -> IndexSelectCall {
        let IndexSelect { outer, dim, inner, count } = *p;
        let missing = if dtype == DType::F32 { f32::NAN.to_bits() } else { 0 };
        IndexSelectCall { outer, dim, inner, count, missing, first: 0, end: count }
    }

    /// A thread for each element of `y`, and for each index to be looked at.
    fn grid(&self, y: &Storage) -> Grid {
        Grid::threads(y.len().max(self.count as usize))
    }
}

/// `y`, `[outer, count, inner]`, from `x`, `[outer, dim, inner]`, and u32 `index`, `[count]`.
///
/// # Errors
/// When an index is not below `dim`. A GPU notes it for whoever next reads from the device, and gives
/// NaN, or 0 of a type that has none.
pub fn index_select(p: &IndexSelect, x: &Storage, index: &Storage) -> Result<Storage> {
    p.check(x, p.dim, index)?;
    let mut y =
        Storage::empty(&x.device(), x.dtype(), p.outer as usize * p.count as usize * p.inner as usize)?;
    match x.device() {
        Device::Cpu => {
            let index = index.as_slice::<u32>()?;
            check_range(p, index)?;
            for_element!("index_select", x.dtype(), T => {
                log::describe(p, 0);
                cpu::index_select::<T>(p, x.as_slice()?, index, y.as_mut_slice()?)
            })
        }
        gpu => {
            let call = IndexSelectCall::new(p, x.dtype());
            gpu.launch(&FORWARD, call.grid(&y), &call, &[x, index], &mut [&mut y])?
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
        Device::Cpu => {
            let index = index.as_slice::<u32>()?;
            check_range(p, index)?;
            for_float!("index_select_backward", dy.dtype(), T => {
                cpu::index_select_backward::<T>(p, dy.as_slice()?, index, dx.as_mut_slice()?)
            })
        }
        gpu => {
            for first in (0..index.len().max(1)).step_by(AT_ONCE) {
                let (first, end) = (first as u32, index.len().min(first + AT_ONCE) as u32);
                let call = IndexSelectCall { first, end, ..IndexSelectCall::new(p, dy.dtype()) };
                gpu.launch(&BACKWARD, call.grid(&dx), &call, &[dy, index], &mut [&mut dx])?
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::gpus;

    /// More indices than one launch goes through, and rows that hardly anybody or nearly everybody picks.
    #[test]
    fn a_gpu_adds_up_what_was_picked_many_times() {
        for gpu in gpus() {
            let count = 2 * AT_ONCE + 1000;
            let p = IndexSelect { outer: 2, dim: 5, inner: 3, count: count as u32 };
            let index: Vec<u32> = (0..count).map(|k| if k % 1000 == 0 { k as u32 % 3 } else { 4 }).collect();
            let dy: Vec<f32> = (0..2 * count * 3).map(|i| (i % 128) as f32 / 128.0).collect();
            let mut wanted = [0.0f64; 30];
            for (i, dy) in dy.iter().enumerate() {
                let (o, k) = (i / 3 / count, i / 3 % count);
                wanted[(o * 5 + index[k] as usize) * 3 + i % 3] += f64::from(*dy);
            }
            let dy = Storage::from_slice(&gpu, &dy).unwrap();
            let index = Storage::from_slice(&gpu, &index).unwrap();
            let dx = index_select_backward(&p, &dy, &index).unwrap().to_vec::<f32>().unwrap();
            for (dx, wanted) in dx.iter().zip(wanted) {
                assert!((f64::from(*dx) - wanted).abs() <= 1e-6 * wanted, "{dx}, expected {wanted}");
            }
        }
    }
}
