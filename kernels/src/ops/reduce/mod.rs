//! Sums and extremes along a dimension.
//!
//! With the tensor seen as `[outer, dim, inner]`, for every `outer` and `inner`:
//! ```text
//! sum:       y = sum_d x_d
//! extreme:   y = max_d x_d (or min), index = the first d that has it; NaN counts as the extreme
//! backward:  dx_d = dy where d = index, else 0
//! ```
//! Any set of dimensions is reduced with these: neighbouring ones are one, and a sum over several
//! groups is a sum over one after the other. A GPU adds up two groups at once.

mod cpu;
mod extreme;
pub(crate) mod group;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(crate) use cpu::sum_row;
#[cfg(test)]
pub(crate) use extreme::SOURCE as EXTREME_SOURCE;
pub use extreme::{EXTREME_RUNGS, Extreme, extreme, extreme_backward, extreme_rung};
use group::Share;

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
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

pub(crate) static SOURCE: Source = source!("sum": "group", "sum");
static SUM: Kernel = Kernel::new(&SOURCE, "sum");
static SUM_TREE: Kernel = Kernel::new(&SOURCE, "sum_tree");

/// What the GPU's sums are told: the tensor as `[outer, dim, inner, tail]`, of which `dim` and `tail`
/// are added up.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SumCall {
    outer: u32,
    dim: u32,
    inner: u32,
    tail: u32,
    width: u32,
    parts: u32,
    chunk: u32,
}

/// Rung 0 adds up one output at a time; rung 1 adds whole vectors and shares long sums between
/// threads. Both add in a fixed order, though not in the same one.
pub const SUM_RUNGS: &[&str] = &["plain", "blocked"];
/// The kernels on a GPU, of sums and of extremes: a thread per output, and threads that share one.
pub const GPU_RUNGS: &[&str] = &["plain", "tree"];

/// `y`, `[outer, inner]`: the sum of `x`, `[outer, dim, inner]`, along `dim`. 0 where `dim` is 0.
pub fn sum(p: &Reduce, x: &Storage) -> Result<Storage> {
    sum_rung(usize::MAX, p, x)
}

/// [`sum`] by the given rung of [`SUM_RUNGS`].
pub fn sum_rung(rung: usize, p: &Reduce, x: &Storage) -> Result<Storage> {
    p.check("sum", x)?;
    match x.device() {
        Device::Cpu => {
            let mut y = Storage::empty(&Device::Cpu, x.dtype(), p.outputs())?;
            for_float!("sum", x.dtype(), T => {
                log::describe(p, 0);
                let (x, y) = (x.as_slice::<T>()?, y.as_mut_slice::<T>()?);
                match rung {
                    0 => cpu::sum_plain(p, x, y),
                    _ => cpu::sum(p, x, y),
                }
            });
            Ok(y)
        }
        gpu => sum_on(&gpu, rung, p, 1, x),
    }
}

/// On a GPU `x` is seen as `[outer, dim, inner, tail]`, and `dim` and `tail` are added up.
fn sum_on(gpu: &Device, rung: usize, p: &Reduce, tail: u32, x: &Storage) -> Result<Storage> {
    let Reduce { outer, dim, inner } = *p;
    let (outputs, terms) = (p.outputs(), dim as usize * tail as usize);
    let share = match rung {
        0 => Share::plain(terms),
        // With a tail the terms of an output lie side by side, without one the outputs do.
        _ => Share::new(outputs, terms, if tail == 1 { inner as usize } else { 1 }),
    };
    let Share { width, parts, chunk } = share;
    let mut y = Storage::empty(gpu, x.dtype(), outputs * parts as usize)?;
    let (kernel, grid) = match rung {
        0 => (&SUM, Grid::threads(y.len())),
        _ => (&SUM_TREE, Grid::groups(share.groups(outputs))),
    };
    let call = SumCall { outer, dim, inner, tail, width, parts, chunk };
    gpu.launch(kernel, grid, &call, &[x], &mut [&mut y])?;
    match parts {
        1 => Ok(y),
        _ => sum_on(gpu, rung, &Reduce { outer, dim: parts, inner }, 1, &y),
    }
}

/// The sum of `x`, of `shape`, over every dimension that is `reduced`. None when no dimension of
/// a size other than 1 is: then the sum is `x` itself.
pub fn sum_dims(x: &Storage, shape: &[usize], reduced: &[bool]) -> Result<Option<Storage>> {
    sum_dims_rung(usize::MAX, x, shape, reduced)
}

/// [`sum_dims`] by the given rung of [`SUM_RUNGS`].
pub fn sum_dims_rung(rung: usize, x: &Storage, shape: &[usize], reduced: &[bool]) -> Result<Option<Storage>> {
    check_size("sum", x, shape)?;
    if shape.len() != reduced.len() {
        return shape_error("sum", format!("{} flags for the dimensions of {shape:?}", reduced.len()));
    }
    let mut shape = shape.to_vec();
    let mut y = None;
    // From the last group to the first, so that every pass leaves less for the next one.
    while let Some(last) = last_group(&shape, reduced, shape.len()) {
        let x = y.as_ref().unwrap_or(x);
        let p = sides(&shape, &last)?;
        y = Some(match (x.device(), last_group(&shape, reduced, last.start)) {
            // A GPU takes two groups in one launch, as in [N, C, places] over all but C.
            (gpu, Some(before)) if gpu != Device::Cpu && p.inner == 1 => {
                let sum = sum_on(&gpu, rung, &sides(&shape[..last.start], &before)?, p.dim, x)?;
                shape[before].fill(1);
                sum
            }
            _ => sum_rung(rung, &p, x)?,
        });
        shape[last].fill(1);
    }
    Ok(y)
}

/// The last reduced dimension before `end` that has a size other than 1, with its reduced neighbours.
fn last_group(shape: &[usize], reduced: &[bool], end: usize) -> Option<Range<usize>> {
    let last = (0..end).rev().find(|&d| reduced[d] && shape[d] != 1)?;
    let first = (0..last).rev().find(|&d| !reduced[d]).map_or(0, |kept| kept + 1);
    Some(first..last + 1)
}

/// The tensor with the dimensions of `group` as one.
fn sides(shape: &[usize], group: &Range<usize>) -> Result<Reduce> {
    let product = |sizes: &[usize]| u32::try_from(sizes.iter().product::<usize>());
    let parts = [&shape[..group.start], &shape[group.clone()], &shape[group.end..]];
    let [Ok(outer), Ok(dim), Ok(inner)] = parts.map(product) else {
        return shape_error("sum", format!("{shape:?} has a side of more than {} elements", u32::MAX));
    };
    Ok(Reduce { outer, dim, inner })
}
