//! Sums and extremes along a dimension.
//!
//! With the tensor seen as `[outer, dim, inner]`, for every `outer` and `inner`:
//! ```text
//! sum:       y = sum_d x_d
//! extreme:   y = max_d x_d (or min), index = the first d that has it; NaN counts as the extreme
//! backward:  dx_d = dy where d = index, else 0
//! ```
//! Any set of dimensions is reduced with these: neighbouring ones are one, and a sum over several
//! groups is a sum over one after the other.

mod cpu;
mod extreme;

pub(crate) use cpu::sum_row;
pub use extreme::{Extreme, extreme, extreme_backward};

use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::layout::check_size;
use crate::{Device, Result, Storage};

/// The tensor as `[outer, dim, inner]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Reduce {
    /// Product of the dimensions before the reduced one.
    pub outer: u32,
    /// Length of the reduced dimension.
    pub dim: u32,
    /// Product of the dimensions after it.
    pub inner: u32,
}

impl Reduce {
    fn check(&self, op: &'static str, x: &Storage) -> Result<()> {
        check_size(op, x, &[self.outer as usize, self.dim as usize, self.inner as usize])
    }

    fn outputs(&self) -> usize {
        self.outer as usize * self.inner as usize
    }
}

/// Rung 0 adds up one output at a time; rung 1 adds whole vectors and shares long sums between
/// threads. Both add in a fixed order, though not in the same one.
pub const SUM_RUNGS: &[&str] = &["plain", "blocked"];

/// `y`, `[outer, inner]`: the sum of `x`, `[outer, dim, inner]`, along `dim`. 0 where `dim` is 0.
pub fn sum(p: &Reduce, x: &Storage) -> Result<Storage> {
    sum_rung(usize::MAX, p, x)
}

/// [`sum`] by the given rung of [`SUM_RUNGS`].
pub fn sum_rung(rung: usize, p: &Reduce, x: &Storage) -> Result<Storage> {
    p.check("sum", x)?;
    let mut y = Storage::empty(&x.device(), x.dtype(), p.outputs())?;
    match x.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => for_float!("sum", x.dtype(), T => {
            let (x, y) = (x.as_slice::<T>()?, y.as_mut_slice::<T>()?);
            match rung {
                0 => cpu::sum_plain(p, x, y),
                _ => cpu::sum(p, x, y),
            }
        }),
    }
    Ok(y)
}

/// The sum of `x`, of `shape`, over every dimension that is `reduced`. None when no dimension of
/// a size other than 1 is: then the sum is `x` itself.
pub fn sum_dims(x: &Storage, shape: &[usize], reduced: &[bool]) -> Result<Option<Storage>> {
    check_size("sum", x, shape)?;
    if shape.len() != reduced.len() {
        return shape_error("sum", format!("{} flags for the dimensions of {shape:?}", reduced.len()));
    }
    let product = |sizes: &[usize]| sizes.iter().product::<usize>();
    let mut shape = shape.to_vec();
    let mut y = None;
    // From the last group to the first, so that every pass leaves less for the next one.
    let mut end = shape.len();
    while let Some(last) = (0..end).rev().find(|&d| reduced[d] && shape[d] != 1) {
        let first = (0..=last).rev().find(|&d| !reduced[d]).map_or(0, |kept| kept + 1);
        let sizes = [product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])];
        let [Ok(outer), Ok(dim), Ok(inner)] = sizes.map(u32::try_from) else {
            return shape_error("sum", format!("{shape:?} has a side of more than {} elements", u32::MAX));
        };
        y = Some(sum(&Reduce { outer, dim, inner }, y.as_ref().unwrap_or(x))?);
        shape[first..=last].fill(1);
        end = first;
    }
    Ok(y)
}
