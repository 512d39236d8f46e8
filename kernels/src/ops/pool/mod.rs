//! Max- and average-pooling over windows of the last three dimensions; pooling in two dimensions
//! is the case of depth 1, and pooling over everything that of a window as large as the input.
//!
//! ```text
//! max:       y[o] = max over k of x[i]          i = o * stride - pad + k * dilation, where 0 <= i < in
//!            argmax[o] = the first such i that has the maximum
//!            dx[i] = sum over the windows o with argmax[o] = i of dy[o]
//! average:   y[o] = sum over k of x[i] / count(o)
//!            dx[i] = sum over the windows o that contain i of dy[o] / count(o)
//! ```
//! `i`, `o`, `k` stand for three indices each. The margin is minus infinity for the maximum and zero
//! for the average; `count` is the size of the window, with or without its part in the margin.
//! A NaN in a window is its maximum.

mod cpu;
mod cpu_rows;
#[cfg(test)]
mod tests;

pub(crate) use cpu_rows::{max_backward_of_planes, max_of_planes};

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device;
use crate::{DType, Device, Result, Storage};

/// The kernels from the plain one up: one output at a time, and whole rows of outputs.
pub const RUNGS: &[&str] = &["plain", "rows"];
/// The kernels on a GPU: one output at a time, and four in a column.
pub const GPU_RUNGS: &[&str] = &["plain", "columns"];

pub(crate) static SOURCE: Source = source!("pool": "../elementwise/math", "window", "pool");
static MAX_FORWARD: Kernel = Kernel::new(&SOURCE, "max_pool_forward");
static MAX_BACKWARD: Kernel = Kernel::new(&SOURCE, "max_pool_backward");
static AVG_FORWARD: Kernel = Kernel::new(&SOURCE, "avg_pool_forward");
static AVG_BACKWARD: Kernel = Kernel::new(&SOURCE, "avg_pool_backward");

pub(crate) static COLUMNS_SOURCE: Source =
    source!("pool_columns": "../elementwise/math", "window", "pool_columns");
static MAX_FORWARD_COLUMNS: Kernel = Kernel::new(&COLUMNS_SOURCE, "max_pool_forward_columns");
static MAX_BACKWARD_COLUMNS: Kernel = Kernel::new(&COLUMNS_SOURCE, "max_pool_backward_columns");
static AVG_FORWARD_COLUMNS: Kernel = Kernel::new(&COLUMNS_SOURCE, "avg_pool_forward_columns");
static AVG_BACKWARD_COLUMNS: Kernel = Kernel::new(&COLUMNS_SOURCE, "avg_pool_backward_columns");
static MAX_FORWARD_SHARED: Kernel = Kernel::new(&COLUMNS_SOURCE, "max_pool_forward_shared");
static AVG_FORWARD_SHARED: Kernel = Kernel::new(&COLUMNS_SOURCE, "avg_pool_forward_shared");

/// What `argmax` holds for a window that lies in the margin altogether.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The sizes of a pooling: `x` is `[planes, in_d, in_h, in_w]`, `y` is `[planes, out_d, out_h, out_w]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[allow(missing_docs)] // depth, height and width of what the first of the three says
pub struct Pool {
    /// Samples times channels.
    pub planes: u32,
    /// Input.
    pub in_d: u32,
    pub in_h: u32,
    pub in_w: u32,
    /// Output.
    pub out_d: u32,
    pub out_h: u32,
    pub out_w: u32,
    /// Elements of the window.
    pub kernel_d: u32,
    pub kernel_h: u32,
    pub kernel_w: u32,
    /// Steps between neighbouring windows.
    pub stride_d: u32,
    pub stride_h: u32,
    pub stride_w: u32,
    /// Margin on either side.
    pub pad_d: u32,
    pub pad_h: u32,
    pub pad_w: u32,
    /// Steps between neighbouring elements of a window.
    pub dilation_d: u32,
    pub dilation_h: u32,
    pub dilation_w: u32,
    /// 1 when the margin counts in an average.
    pub count_include_pad: u32,
}

/// What a window looks like, per dimension: depth, height, width.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Elements of the window.
    pub kernel: [usize; 3],
    /// Steps between neighbouring windows.
    pub stride: [usize; 3],
    /// Margin on either side.
    pub padding: [usize; 3],
    /// Steps between neighbouring elements of a window.
    pub dilation: [usize; 3],
    /// Whether the margin counts in an average.
    pub count_include_pad: bool,
}

impl Pool {
    /// The pooling of `planes` planes of size `input` with `window`.
    ///
    /// # Errors
    /// As PyTorch: a window, stride or dilation of 0, a margin of more than half the window, an
    /// empty plane, or a window larger than the plane with its margins.
    pub fn new(op: &'static str, planes: usize, input: [usize; 3], window: &Window) -> Result<Pool> {
        let Window { kernel, stride, padding, dilation, count_include_pad } = *window;
        if input.contains(&0) {
            return shape_error(op, format!("nothing to pool in planes of {input:?}"));
        }
        for (what, sizes) in [("kernel_size", kernel), ("stride", stride), ("dilation", dilation)] {
            if sizes.contains(&0) {
                return shape_error(op, format!("{what} {sizes:?} must be at least 1 in every dimension"));
            }
        }
        let mut out = [0; 3];
        for d in 0..3 {
            if padding[d] > kernel[d] / 2 {
                let message = format!("padding {padding:?} is more than half of kernel_size {kernel:?}");
                return shape_error(op, message);
            }
            let reach = (kernel[d] - 1).saturating_mul(dilation[d]).saturating_add(1);
            let room = input[d].saturating_add(2 * padding[d]);
            if room < reach {
                let message = format!(
                    "the window does not fit: input {input:?} with padding {padding:?}, \
                     kernel_size {kernel:?} with dilation {dilation:?}"
                );
                return shape_error(op, message);
            }
            out[d] = (room - reach) / stride[d] + 1;
        }
        let [in_d, in_h, in_w] = narrow(op, input)?;
        let [out_d, out_h, out_w] = narrow(op, out)?;
        let [kernel_d, kernel_h, kernel_w] = narrow(op, kernel)?;
        let [stride_d, stride_h, stride_w] = narrow(op, stride)?;
        let [pad_d, pad_h, pad_w] = narrow(op, padding)?;
        let [dilation_d, dilation_h, dilation_w] = narrow(op, dilation)?;
        let [planes] = narrow(op, [planes])?;
        let count_include_pad = count_include_pad as u32;
        #[rustfmt::skip]
        return Ok(Pool {
            planes, in_d, in_h, in_w, out_d, out_h, out_w, kernel_d, kernel_h, kernel_w, stride_d, stride_h,
            stride_w, pad_d, pad_h, pad_w, dilation_d, dilation_h, dilation_w, count_include_pad,
        });
    }

    /// Depth, height and width of the output.
    pub fn out_size(&self) -> [usize; 3] {
        [self.out_d as usize, self.out_h as usize, self.out_w as usize]
    }

    pub(crate) fn in_len(&self) -> usize {
        self.planes as usize * self.in_plane()
    }

    pub(crate) fn out_len(&self) -> usize {
        self.planes as usize * self.out_plane()
    }

    fn in_plane(&self) -> usize {
        self.in_d as usize * self.in_h as usize * self.in_w as usize
    }

    pub(crate) fn out_plane(&self) -> usize {
        self.out_d as usize * self.out_h as usize * self.out_w as usize
    }

    /// The outputs of one depth of a plane.
    fn out_slice(&self) -> usize {
        self.out_h as usize * self.out_w as usize
    }

    /// Whether a GPU gives each window to a workgroup: large ones, unless there are a great many.
    fn shares_windows(&self) -> bool {
        self.taps() >= 4096 || self.taps() >= 256 && self.out_len() < 1 << 16
    }

    /// A thread for every four outputs in a column.
    fn out_columns(&self) -> Grid {
        let [depth, height, width] = self.out_size();
        Grid::threads(self.planes as usize * depth * height.div_ceil(4) * width)
    }

    /// A thread for every four inputs in a column.
    fn in_columns(&self) -> Grid {
        let [planes, depth, height, width] =
            [self.planes, self.in_d, self.in_h, self.in_w].map(|size| size as usize);
        Grid::threads(planes * depth * height.div_ceil(4) * width)
    }

    /// The elements of a window.
    fn taps(&self) -> usize {
        self.kernel_d as usize * self.kernel_h as usize * self.kernel_w as usize
    }
}

/// Sizes as the parameter struct holds them.
fn narrow<const N: usize>(op: &'static str, sizes: [usize; N]) -> Result<[u32; N]> {
    if sizes.iter().any(|&size| size > i32::MAX as usize) {
        return shape_error(op, format!("{sizes:?}: sizes up to {} are possible", i32::MAX));
    }
    Ok(sizes.map(|size| size as u32))
}

fn check(op: &'static str, what: &str, buffer: &Storage, wanted: usize) -> Result<()> {
    if buffer.len() != wanted {
        return shape_error(op, format!("{what} has {} elements, expected {wanted}", buffer.len()));
    }
    Ok(())
}

/// The maximum of every window, and where in its plane the first one stands (u32).
pub fn max_forward(p: &Pool, x: &Storage) -> Result<(Storage, Storage)> {
    max_forward_rung(usize::MAX, p, x)
}

/// [`max_forward`] by the kernel `RUNGS[rung]`, or `GPU_RUNGS[rung]`.
pub fn max_forward_rung(rung: usize, p: &Pool, x: &Storage) -> Result<(Storage, Storage)> {
    check("max_pool", "input", x, p.in_len())?;
    let mut y = Storage::empty(&x.device(), x.dtype(), p.out_len())?;
    let mut argmax = Storage::empty(&x.device(), DType::U32, p.out_len())?;
    match x.device() {
        Device::Cpu => for_float!("max_pool", x.dtype(), T => {
            log::describe(p, 0);
            let kernel = match rung {
                0 => cpu::max_forward::<T>,
                _ => cpu_rows::max_forward::<T>,
            };
            kernel(p, x.as_slice()?, y.as_mut_slice()?, argmax.as_mut_slice()?)
        }),
        gpu => {
            let (kernel, grid) = match rung {
                0 => (&MAX_FORWARD, Grid::threads(y.len())),
                _ if p.shares_windows() => (&MAX_FORWARD_SHARED, Grid::groups(y.len())),
                _ => (&MAX_FORWARD_COLUMNS, p.out_columns()),
            };
            gpu.launch(kernel, grid, p, &[x], &mut [&mut y, &mut argmax])?
        }
    }
    Ok((y, argmax))
}

/// `dx` of max-pooling from `argmax` and the gradient of the output.
pub fn max_backward(p: &Pool, argmax: &Storage, dy: &Storage) -> Result<Storage> {
    max_backward_rung(usize::MAX, p, argmax, dy)
}

/// [`max_backward`] by the kernel `RUNGS[rung]`, or `GPU_RUNGS[rung]`.
pub fn max_backward_rung(rung: usize, p: &Pool, argmax: &Storage, dy: &Storage) -> Result<Storage> {
    same_device("max_pool_backward", &[argmax, dy])?;
    check("max_pool_backward", "argmax", argmax, p.out_len())?;
    check("max_pool_backward", "gradient", dy, p.out_len())?;
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), p.in_len())?;
    match dy.device() {
        Device::Cpu => for_float!("max_pool_backward", dy.dtype(), T => {
            log::describe(p, 0);
            let kernel = match rung {
                0 => cpu::max_backward::<T>,
                _ => cpu_rows::max_backward::<T>,
            };
            kernel(p, argmax.as_slice()?, dy.as_slice()?, dx.as_mut_slice()?)
        }),
        gpu => {
            let (kernel, grid) = match rung {
                0 => (&MAX_BACKWARD, Grid::threads(dx.len())),
                _ => (&MAX_BACKWARD_COLUMNS, p.in_columns()),
            };
            gpu.launch(kernel, grid, p, &[argmax, dy], &mut [&mut dx])?
        }
    }
    Ok(dx)
}

/// The average of every window.
pub fn avg_forward(p: &Pool, x: &Storage) -> Result<Storage> {
    avg_forward_rung(usize::MAX, p, x)
}

/// [`avg_forward`] by the kernel `RUNGS[rung]`, or `GPU_RUNGS[rung]`.
pub fn avg_forward_rung(rung: usize, p: &Pool, x: &Storage) -> Result<Storage> {
    check("avg_pool", "input", x, p.in_len())?;
    let mut y = Storage::empty(&x.device(), x.dtype(), p.out_len())?;
    match x.device() {
        Device::Cpu => for_float!("avg_pool", x.dtype(), T => {
            log::describe(p, 0);
            let kernel = match rung {
                0 => cpu::avg_forward::<T>,
                _ => cpu_rows::avg_forward::<T>,
            };
            kernel(p, x.as_slice()?, y.as_mut_slice()?)
        }),
        gpu => {
            let (kernel, grid) = match rung {
                0 => (&AVG_FORWARD, Grid::threads(y.len())),
                _ if p.shares_windows() => (&AVG_FORWARD_SHARED, Grid::groups(y.len())),
                _ => (&AVG_FORWARD_COLUMNS, p.out_columns()),
            };
            gpu.launch(kernel, grid, p, &[x], &mut [&mut y])?
        }
    }
    Ok(y)
}

/// `dx` of average-pooling from the gradient of the output.
pub fn avg_backward(p: &Pool, dy: &Storage) -> Result<Storage> {
    avg_backward_rung(usize::MAX, p, dy)
}

/// [`avg_backward`] by the kernel `RUNGS[rung]`, or `GPU_RUNGS[rung]`.
pub fn avg_backward_rung(rung: usize, p: &Pool, dy: &Storage) -> Result<Storage> {
    check("avg_pool_backward", "gradient", dy, p.out_len())?;
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), p.in_len())?;
    match dy.device() {
        Device::Cpu => for_float!("avg_pool_backward", dy.dtype(), T => {
            log::describe(p, 0);
            let kernel = match rung {
                0 => cpu::avg_backward::<T>,
                _ => cpu_rows::avg_backward::<T>,
            };
            kernel(p, dy.as_slice()?, dx.as_mut_slice()?)
        }),
        gpu => {
            let (kernel, grid) = match rung {
                0 => (&AVG_BACKWARD, Grid::threads(dx.len())),
                _ => (&AVG_BACKWARD_COLUMNS, p.in_columns()),
            };
            gpu.launch(kernel, grid, p, &[dy], &mut [&mut dx])?
        }
    }
    Ok(dx)
}
