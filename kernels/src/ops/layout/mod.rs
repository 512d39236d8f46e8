//! Moving elements without changing them. Every tensor is contiguous and row-major, so a view of
//! another order or extent is a copy, and three ops make them all:
//! ```text
//! read_strided:   y[i] = x[offset + sum_d index_d(i) strides_d]      permute, expand, slice
//! write_strided:  y[offset + sum_d index_d(i) strides_d] = x[i]      concat, pad, backward of slice
//! index_select:   y[o, k, i] = x[o, index_k, i]                      rows picked by number
//! ```
//! where `index(i)` is element `i`'s position in `shape`, row-major.

mod cpu;
mod index_select;
mod strides;

#[cfg(test)]
pub(crate) use index_select::SOURCE as INDEX_SELECT_SOURCE;
pub use index_select::{IndexSelect, index_select, index_select_backward};
pub(crate) use strides::{check_size, collapse, runs, stretched_strides};

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_element;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("layout": "layout");
static READ: Kernel = Kernel::new(&SOURCE, "read_strided");
static WRITE: Kernel = Kernel::new(&SOURCE, "write_strided");

/// The most dimensions a parameter struct describes.
pub const MAX_DIMS: usize = 8;

/// A view into a buffer: element `index` of `shape` stands at `offset + sum_d index_d strides_d`.
/// Neighbouring dimensions that one stride describes are merged.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Strided {
    /// The number of elements in the view.
    pub n: u32,
    /// Where its first element stands.
    pub offset: u32,
    /// How many entries of the arrays count, at least 1.
    pub ndim: u32,
    /// Sizes of the view.
    pub shape: [u32; MAX_DIMS],
    /// Strides into the buffer.
    pub strides: [u32; MAX_DIMS],
}

impl Strided {
    /// The view of a buffer of `len` elements; it must lie inside.
    fn new(
        op: &'static str,
        len: usize,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Strided> {
        let (n, ndim, merged, [merged_strides]) = collapse(op, shape, [strides])?;
        let last = shape.iter().zip(strides).map(|(&size, &stride)| size.saturating_sub(1) * stride);
        if n > 0 && offset + last.sum::<usize>() >= len {
            let message = format!(
                "the view {shape:?} with strides {strides:?} from {offset} leaves a buffer of {len} elements"
            );
            return shape_error(op, message);
        }
        // An empty view may begin anywhere.
        let offset = if n == 0 { 0 } else { offset as u32 };
        Ok(Strided { n, offset, ndim, shape: merged, strides: merged_strides })
    }
}

/// The elements of `x` that the view names, in the view's order. Strides may be 0.
///
/// # Errors
/// When the view leaves the buffer.
pub fn read_strided(x: &Storage, offset: usize, shape: &[usize], strides: &[usize]) -> Result<Storage> {
    let p = Strided::new("read_strided", x.len(), offset, shape, strides)?;
    let mut y = Storage::empty(&x.device(), x.dtype(), p.n as usize)?;
    match x.device() {
        Device::Cpu => for_element!("read_strided", x.dtype(), T => {
            log::describe(&p, 0);
            cpu::read::<T>(&p, x.as_slice()?, y.as_mut_slice()?)
        }),
        gpu => gpu.launch(&READ, Grid::threads(y.len()), &p, &[x], &mut [&mut y])?,
    }
    Ok(y)
}

/// Writes `x` to the elements of `y` that the view names, and leaves the others alone. No element
/// may be named twice.
///
/// # Errors
/// When the view leaves the buffer, or `x` isn't as large as the view.
pub fn write_strided(
    y: &mut Storage,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    x: &Storage,
) -> Result<()> {
    let p = Strided::new("write_strided", y.len(), offset, shape, strides)?;
    same_device_and_dtype("write_strided", &[y, x])?;
    check_size("write_strided", x, shape)?;
    match x.device() {
        Device::Cpu => for_element!("write_strided", x.dtype(), T => {
            log::describe(&p, 0);
            cpu::write::<T>(&p, x.as_slice()?, y.as_mut_slice()?)
        }),
        gpu => gpu.launch(&WRITE, Grid::threads(x.len()), &p, &[x], &mut [y])?,
    }
    Ok(())
}
