//! Dropout: every element, or every whole channel, is zeroed with probability `p`, and the rest
//! scaled up so that the expected value stays.
//!
//! ```text
//! y_i  = x_i  * keep_i / (1 - p)       keep_i = 1 if uniform_j >= p, else 0      j = i / group
//! dx_i = dy_i * keep_i / (1 - p)
//! ```
//! `uniform_j` is number `j` of the Philox stream that a seed and an offset name (see
//! [`crate::philox`]), the same on every device. The backward pass is the same function of `dy`: it
//! draws the mask once more, so nothing is saved.

mod cpu;
#[cfg(test)]
mod tests;

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::{Device, Error, Result, Storage};

/// The kernels from the plain one up: a draw per element, and a draw per four.
pub const RUNGS: &[&str] = &["plain", "four at a time"];
/// The kernels on a GPU.
pub const GPU_RUNGS: &[&str] = &["plain", "four at a time"];

pub(crate) static SOURCE: Source = source!("dropout": "../../philox", "dropout");
static FORWARD: Kernel = Kernel::new(&SOURCE, "dropout");
static FORWARD_BY_FOUR: Kernel = Kernel::new(&SOURCE, "dropout_by_four");

/// Which random numbers are drawn, and how many neighbours share one.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Dropout {
    /// The number of elements.
    pub len: u32,
    /// Elements that are kept or dropped together: 1, or the size of a channel.
    pub group: u32,
    /// The halves of the seed, lower first.
    pub seed: [u32; 2],
    /// The halves of the offset, lower first.
    pub offset: [u32; 2],
}

impl Dropout {
    /// Dropout of `len` elements in groups of `group`, with the numbers of `seed` and `offset`.
    pub fn new(len: u32, group: u32, seed: u64, offset: u64) -> Dropout {
        let halves = |x: u64| [x as u32, (x >> 32) as u32];
        Dropout { len, group, seed: halves(seed), offset: halves(offset) }
    }
}

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct DropoutCall {
    len: u32,
    group: u32,
    seed: [u32; 2],
    offset: [u32; 2],
    p: f32,
    scale: f32,
}

impl DropoutCall {
    fn new(params: &Dropout, p: f64) -> DropoutCall {
        let Dropout { len, group, seed, offset } = *params;
        DropoutCall { len, group, seed, offset, p: p as f32, scale: cpu::scale(p) }
    }
}

/// `y` from `x`, or `dx` from `dy`, with probability `p` of being dropped.
///
/// # Errors
/// When `p` is not in 0..=1.
pub fn forward(params: &Dropout, p: f64, x: &Storage) -> Result<Storage> {
    forward_rung(usize::MAX, params, p, x)
}

/// [`forward`] by the kernel `RUNGS[rung]`.
pub fn forward_rung(rung: usize, params: &Dropout, p: f64, x: &Storage) -> Result<Storage> {
    if !(0.0..=1.0).contains(&p) {
        let message = format!("the probability is {p}, must be in 0..=1");
        return Err(Error::Value { op: "dropout", message });
    }
    if x.len() != params.len as usize || (params.group == 0 && params.len > 0) {
        let message = format!("{} elements, expected {} in groups of {}", x.len(), params.len, params.group);
        return shape_error("dropout", message);
    }
    let mut y = Storage::empty(&x.device(), x.dtype(), x.len())?;
    match x.device() {
        Device::Cpu => for_float!("dropout", x.dtype(), T => {
            log::describe(params, 0);
            let kernel = match rung {
                0 => cpu::forward::<T>,
                _ => cpu::forward_by_four::<T>,
            };
            kernel(params, p, x.as_slice()?, y.as_mut_slice()?)
        }),
        gpu => {
            let (kernel, grid) = match rung {
                0 => (&FORWARD, Grid::threads(x.len())),
                // Each group has 1024 elements.
                _ => (&FORWARD_BY_FOUR, Grid::groups(x.len().div_ceil(1024))),
            };
            gpu.launch(kernel, grid, &DropoutCall::new(params, p), &[x], &mut [&mut y])?
        }
    }
    Ok(y)
}
