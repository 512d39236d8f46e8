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
mod vectorised;

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::elementwise::math::Fast;
use crate::ops::reduce::group;
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

    /// Rows to normalise; none where they have no elements.
    fn rows(&self) -> usize {
        if self.dim == 0 { 0 } else { self.outer as usize * self.inner as usize }
    }
}

pub(crate) static SOURCE: Source = source!("softmax": "../elementwise/math", "../reduce/group", "softmax");
static FORWARD: Kernel = Kernel::new(&SOURCE, "softmax");
static FORWARD_ROWS: Kernel = Kernel::new(&SOURCE, "softmax_rows");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "softmax_backward");
static BACKWARD_ROWS: Kernel = Kernel::new(&SOURCE, "softmax_rows_backward");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SoftmaxCall {
    outer: u32,
    dim: u32,
    inner: u32,
    log: u32,
    width: u32,
}

impl SoftmaxCall {
    /// The call and its grid: a thread per row, or the lanes of a group for `width` rows.
    fn new(rung: usize, p: &Softmax) -> (SoftmaxCall, Grid) {
        let Softmax { outer, dim, inner, log } = *p;
        let width = group::width(dim as usize, inner as usize);
        let grid = match rung {
            0 => Grid::threads(p.rows()),
            _ => Grid::groups(p.rows().div_ceil(width as usize)),
        };
        (SoftmaxCall { outer, dim, inner, log, width }, grid)
    }
}

/// Rung 0 takes one row at a time and calls the standard library's exp for every element; rung 1
/// computes exp in vector registers, advances all columns together and shares out the work.
pub const RUNGS: &[&str] = &["plain", "vectorised"];
/// The kernels on a GPU: a thread per row, and threads that share a row.
pub const GPU_RUNGS: &[&str] = &["plain", "rows"];

/// `y` from `x`, both `[outer, dim, inner]`.
pub fn forward(p: &Softmax, x: &Storage) -> Result<Storage> {
    forward_rung(usize::MAX, p, x)
}

/// [`forward`] by the given rung of [`RUNGS`].
pub fn forward_rung(rung: usize, p: &Softmax, x: &Storage) -> Result<Storage> {
    p.check(x)?;
    let mut y = Storage::empty(&x.device(), x.dtype(), x.len())?;
    match x.device() {
        Device::Cpu => for_float!("softmax", x.dtype(), T => {
            log::describe(p, 0);
            let (x, y) = (x.as_slice::<T>()?, y.as_mut_slice::<T>()?);
            match rung {
                0 => cpu::forward(p, x, y),
                _ => vectorised::forward::<T, Fast>(p, x, y),
            }
        }),
        gpu => {
            let kernel = if rung == 0 { &FORWARD } else { &FORWARD_ROWS };
            let (call, grid) = SoftmaxCall::new(rung, p);
            gpu.launch(kernel, grid, &call, &[x], &mut [&mut y])?
        }
    }
    Ok(y)
}

/// `dx` from the output `y` and its gradient `dy`, all `[outer, dim, inner]`.
pub fn backward(p: &Softmax, y: &Storage, dy: &Storage) -> Result<Storage> {
    backward_rung(usize::MAX, p, y, dy)
}

/// [`backward`] by the given rung of [`RUNGS`].
pub fn backward_rung(rung: usize, p: &Softmax, y: &Storage, dy: &Storage) -> Result<Storage> {
    same_device_and_dtype("softmax_backward", &[y, dy])?;
    p.check(y)?;
    p.check(dy)?;
    let mut dx = Storage::empty(&y.device(), y.dtype(), y.len())?;
    match y.device() {
        Device::Cpu => for_float!("softmax_backward", y.dtype(), T => {
            log::describe(p, 0);
            let (y, dy, dx) = (y.as_slice::<T>()?, dy.as_slice::<T>()?, dx.as_mut_slice::<T>()?);
            match rung {
                0 => cpu::backward(p, y, dy, dx),
                _ => vectorised::backward::<T, Fast>(p, y, dy, dx),
            }
        }),
        gpu => {
            let kernel = if rung == 0 { &BACKWARD } else { &BACKWARD_ROWS };
            let (call, grid) = SoftmaxCall::new(rung, p);
            gpu.launch(kernel, grid, &call, &[y, dy], &mut [&mut dx])?
        }
    }
    Ok(dx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::gpus;

    /// Rows, few and many columns, strips that are not full, nothing at all: both rungs agree.
    #[test]
    fn the_rungs_agree() {
        for (outer, dim, inner) in [(3, 7, 1), (2, 1000, 1), (2, 5, 3), (40, 2, 700), (1, 1, 513), (2, 0, 3)]
        {
            for log in [0, 1] {
                let p = Softmax { outer, dim, inner, log };
                let n = outer * dim * inner;
                let x: Vec<f32> = (0..n).map(|i| (i * i % 97) as f32 / 10.0 - 5.0).collect();
                let dy: Vec<f32> = (0..n).map(|i| (i * 7 % 31) as f32 / 16.0 - 1.0).collect();
                let x = Storage::from_slice(&Device::Cpu, &x).unwrap();
                let dy = Storage::from_slice(&Device::Cpu, &dy).unwrap();
                let y = forward_rung(0, &p, &x).unwrap();
                agree(&y, &forward_rung(1, &p, &x).unwrap(), &p);
                let dx = backward_rung(0, &p, &y, &dy).unwrap();
                agree(&dx, &backward_rung(1, &p, &y, &dy).unwrap(), &p);
                for gpu in gpus() {
                    let on_gpu = [&x, &y, &dy].map(|storage| storage.to_device(&gpu).unwrap());
                    for rung in 0..GPU_RUNGS.len() {
                        agree(&y, &forward_rung(rung, &p, &on_gpu[0]).unwrap(), &p);
                        agree(&dx, &backward_rung(rung, &p, &on_gpu[1], &on_gpu[2]).unwrap(), &p);
                    }
                }
            }
        }
    }

    fn agree(a: &Storage, b: &Storage, p: &Softmax) {
        let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
        assert_eq!(a.len(), b.len());
        for (a, b) in a.into_iter().zip(b) {
            assert!((a - b).abs() <= 1e-6 + 1e-5 * a.abs(), "{p:?}: {a} and {b}");
        }
    }

    #[test]
    fn large_numbers_do_not_overflow_and_nan_stays_in_its_row() {
        let p = Softmax { outer: 3, dim: 2, inner: 1, log: 0 };
        for device in std::iter::once(Device::Cpu).chain(gpus()) {
            let x = Storage::from_slice(&device, &[1e30f32, 0.0, f32::NAN, 0.0, -1e4, -1e4]).unwrap();
            for rung in 0..RUNGS.len() {
                let y = forward_rung(rung, &p, &x).unwrap().to_vec::<f32>().unwrap();
                assert_eq!((y[0], y[1], y[4], y[5]), (1.0, 0.0, 0.5, 0.5), "{device}, rung {rung}");
                assert!(y[2].is_nan() && y[3].is_nan(), "{device}, rung {rung}");
            }
        }
    }
}
