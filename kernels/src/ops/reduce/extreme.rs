//! The largest or smallest element, and where it stands.

use super::group::Share;
use super::{Reduce, cpu};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::{DType, Device, Error, Result, Storage};

pub(crate) static SOURCE: Source = source!("extreme": "extreme");
static EXTREME: Kernel = Kernel::new(&SOURCE, "extreme");
static EXTREME_TREE: Kernel = Kernel::new(&SOURCE, "extreme_tree");
static EXTREME_BACKWARD: Kernel = Kernel::new(&SOURCE, "extreme_backward");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ExtremeCall {
    outer: u32,
    dim: u32,
    inner: u32,
    max: u32,
    width: u32,
    parts: u32,
    chunk: u32,
    chosen: u32,
}

/// The kernel on the CPU.
pub const EXTREME_RUNGS: &[&str] = &["plain"];

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
    extreme_rung(usize::MAX, which, p, x)
}

/// [`extreme`] by the given rung of [`EXTREME_RUNGS`].
pub fn extreme_rung(rung: usize, which: Extreme, p: &Reduce, x: &Storage) -> Result<(Storage, Storage)> {
    let op = which.name();
    p.check(op, x)?;
    if p.dim == 0 && p.outputs() > 0 {
        let message = format!("[{}, 0, {}] has no elements to choose from", p.outer, p.inner);
        return shape_error(op, message);
    }
    match x.device() {
        Device::Cpu => {
            let mut y = Storage::empty(&Device::Cpu, x.dtype(), p.outputs())?;
            let mut index = Storage::empty(&Device::Cpu, DType::U32, p.outputs())?;
            for_float!(op, x.dtype(), T => {
                log::describe(p, 0);
                cpu::extreme::<T>(which, p, x.as_slice()?, y.as_mut_slice()?, index.as_mut_slice()?)
            });
            Ok((y, index))
        }
        gpu => extreme_on(&gpu, rung, which, p, x, None),
    }
}

/// On a GPU, among all elements of `dim` or among those that `choice`, `[outer, chosen, inner]`, names.
fn extreme_on(
    gpu: &Device,
    rung: usize,
    which: Extreme,
    p: &Reduce,
    x: &Storage,
    choice: Option<(&Storage, u32)>,
) -> Result<(Storage, Storage)> {
    let Reduce { outer, dim, inner } = *p;
    let (outputs, chosen) = (p.outputs(), choice.map_or(0, |(_, chosen)| chosen));
    let terms = if chosen > 0 { chosen } else { dim };
    let share = match rung {
        0 => Share::plain(terms as usize),
        _ => Share::new(outputs, terms as usize, inner as usize),
    };
    let Share { width, parts, chunk } = share;
    let mut y = Storage::empty(gpu, x.dtype(), outputs * parts as usize)?;
    let mut index = Storage::empty(gpu, DType::U32, outputs * parts as usize)?;
    let max = u32::from(which == Extreme::Max);
    let call = ExtremeCall { outer, dim, inner, max, width, parts, chunk, chosen };
    let inputs = &[x, choice.map_or(x, |(choice, _)| choice)];
    let (kernel, grid) = match rung {
        0 => (&EXTREME, Grid::threads(index.len())),
        _ => (&EXTREME_TREE, Grid::groups(share.groups(outputs))),
    };
    gpu.launch(kernel, grid, &call, inputs, &mut [&mut y, &mut index])?;
    match parts {
        1 => Ok((y, index)),
        _ => extreme_on(gpu, rung, which, p, x, Some((&index, parts))),
    }
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
        Device::Cpu => for_float!(op, dy.dtype(), T => {
            log::describe(&format_args!("backward {p:?}"), 0);
            let index = index.as_slice::<u32>()?;
            if let Some(&d) = index.iter().find(|&&d| d >= p.dim) {
                let message = format!("index {d} is not below the dimension's size, {}", p.dim);
                return Err(Error::Value { op, message });
            }
            cpu::extreme_backward::<T>(p, index, dy.as_slice()?, dx.as_mut_slice()?)
        }),
        gpu => gpu.launch(&EXTREME_BACKWARD, Grid::threads(dx.len()), p, &[index, dy], &mut [&mut dx])?,
    }
    Ok(dx)
}
