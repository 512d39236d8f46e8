//! Resampling of volumes along a grid of points, and the grids of affine maps.
//!
//! Points are in normalised coordinates (x, y, z), where -1 and 1 are the ends of width, height and
//! depth: the centres of the outer voxels with `align_corners`, their outer faces without.
//! ```text
//! affine_grid:  grid[n, d, h, w] = theta[n] (x_w, y_h, z_d, 1)         theta[n]: 3 x 4
//!               x_w = 2 w / (W - 1) - 1   or   (2 w + 1) / W - 1       the centre of voxel w, as y_h, z_d
//! grid_sample:  y[n, c, o] = sum over the 8 voxels i around the point of weight(i) x[n, c, i]
//!               weight(i) = (1 - |u - i_w|) (1 - |v - i_h|) (1 - |t - i_d|)
//!               u = (x + 1) / 2 (W - 1)   or   ((x + 1) W - 1) / 2     the point in voxels, likewise v, t
//! ```
//! Voxels outside the volume are zero, or, with padding mode border, points outside are moved to the
//! border first (and get no gradient in that direction). Backward: `dx[i]` is the sum of `weight(i) dy`
//! over all points, `dgrid` the sum of `dy x[i]` times the derivative of the weight, `dtheta` that of
//! `dgrid` times (x, y, z, 1).

mod cpu;
pub(crate) mod gpu;
#[cfg(test)]
mod tests;

use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

/// The kernels of the gradient of the input on a GPU: every voxel looks at all points, or only at those
/// that come in bricks near its own.
pub const GPU_RUNGS: &[&str] = &["plain", "bricks"];

/// The sizes of a resampling: x is `[samples, channels, in_d, in_h, in_w]`, y is
/// `[samples, channels, out_d, out_h, out_w]`, and the grid `[samples, out_d, out_h, out_w, 3]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[allow(missing_docs)] // depth, height and width of what the first of the three says
pub struct GridSample {
    /// Samples, each with a grid of its own.
    pub samples: u32,
    /// Channels, which share it.
    pub channels: u32,
    /// Input.
    pub in_d: u32,
    pub in_h: u32,
    pub in_w: u32,
    /// Output.
    pub out_d: u32,
    pub out_h: u32,
    pub out_w: u32,
    /// 1 when points outside are moved to the border, 0 when it is all zeros outside.
    pub border: u32,
    /// 1 when -1 and 1 are the centres of the outer voxels, 0 when they are their outer faces.
    pub align_corners: u32,
}

impl GridSample {
    fn in_plane(&self) -> usize {
        self.in_d as usize * self.in_h as usize * self.in_w as usize
    }

    fn out_plane(&self) -> usize {
        self.out_d as usize * self.out_h as usize * self.out_w as usize
    }

    fn check(&self, op: &'static str, x: &Storage, grid: &Storage, dy: Option<&Storage>) -> Result<()> {
        let planes = self.samples as usize * self.channels as usize;
        let wanted = [planes * self.in_plane(), self.samples as usize * self.out_plane() * 3];
        if [x.len(), grid.len()] != wanted || dy.is_some_and(|dy| dy.len() != planes * self.out_plane()) {
            let message = format!("{} input and {} grid elements do not fit {self:?}", x.len(), grid.len());
            return shape_error(op, message);
        }
        if self.in_plane() == 0 {
            let GridSample { in_d, in_h, in_w, .. } = self;
            return shape_error(
                op,
                format!("there is nothing to sample in a volume [{in_d}, {in_h}, {in_w}]"),
            );
        }
        let all: Vec<&Storage> = [Some(x), Some(grid), dy].into_iter().flatten().collect();
        same_device_and_dtype(op, &all)
    }
}

/// `y` from `x` and the grid.
pub fn forward(p: &GridSample, x: &Storage, grid: &Storage) -> Result<Storage> {
    p.check("grid_sample", x, grid, None)?;
    let len = p.samples as usize * p.channels as usize * p.out_plane();
    let mut y = Storage::empty(&x.device(), x.dtype(), len)?;
    match x.device() {
        Device::Cpu => for_float!("grid_sample", x.dtype(), T => {
            log::describe(p, 0);
            cpu::forward::<T>(p, x.as_slice()?, grid.as_slice()?, y.as_mut_slice()?)
        }),
        device => gpu::forward(&device, p, x, grid, &mut y)?,
    }
    Ok(y)
}

/// The gradient of the input.
pub fn backward_input(p: &GridSample, x: &Storage, grid: &Storage, dy: &Storage) -> Result<Storage> {
    backward_input_rung(usize::MAX, p, x, grid, dy)
}

/// [`backward_input`] by the kernel `GPU_RUNGS[rung]`; a CPU has only one.
pub fn backward_input_rung(
    rung: usize,
    p: &GridSample,
    x: &Storage,
    grid: &Storage,
    dy: &Storage,
) -> Result<Storage> {
    p.check("grid_sample_backward", x, grid, Some(dy))?;
    let mut dx = Storage::empty(&x.device(), x.dtype(), x.len())?;
    match x.device() {
        Device::Cpu => for_float!("grid_sample_backward", x.dtype(), T => {
            log::describe(p, 0);
            cpu::backward_input::<T>(p, grid.as_slice()?, dy.as_slice()?, dx.as_mut_slice()?)
        }),
        device => gpu::backward_input(&device, rung, p, grid, dy, &mut dx)?,
    }
    Ok(dx)
}

/// The gradient of the grid.
pub fn backward_grid(p: &GridSample, x: &Storage, grid: &Storage, dy: &Storage) -> Result<Storage> {
    p.check("grid_sample_backward", x, grid, Some(dy))?;
    let mut dgrid = Storage::empty(&x.device(), x.dtype(), grid.len())?;
    match x.device() {
        Device::Cpu => for_float!("grid_sample_backward", x.dtype(), T => {
            log::describe(p, 0);
            cpu::backward_grid::<T>(p, x.as_slice()?, grid.as_slice()?, dy.as_slice()?, dgrid.as_mut_slice()?)
        }),
        device => gpu::backward_grid(&device, p, x, grid, dy, &mut dgrid)?,
    }
    Ok(dgrid)
}

/// The sizes of the grids of affine maps: theta is `[samples, 3, 4]`, the grid `[samples, d, h, w, 3]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[allow(missing_docs)]
pub struct AffineGrid {
    /// Maps.
    pub samples: u32,
    /// Depth, height and width of the output that the grid is for.
    pub d: u32,
    pub h: u32,
    pub w: u32,
    /// 1 when -1 and 1 are the centres of the outer voxels, 0 when they are their outer faces.
    pub align_corners: u32,
}

impl AffineGrid {
    fn points(&self) -> usize {
        self.d as usize * self.h as usize * self.w as usize
    }

    fn check(&self, buffer: &Storage, each: usize) -> Result<()> {
        let wanted = self.samples as usize * each;
        if buffer.len() != wanted {
            return shape_error("affine_grid", format!("{} elements, expected {wanted}", buffer.len()));
        }
        Ok(())
    }
}

/// The grid of every map.
pub fn affine_forward(p: &AffineGrid, theta: &Storage) -> Result<Storage> {
    p.check(theta, 12)?;
    let mut grid = Storage::empty(&theta.device(), theta.dtype(), p.samples as usize * p.points() * 3)?;
    match theta.device() {
        Device::Cpu => for_float!("affine_grid", theta.dtype(), T => {
            log::describe(p, 0);
            cpu::affine_forward::<T>(p, theta.as_slice()?, grid.as_mut_slice()?)
        }),
        device => gpu::affine_forward(&device, p, theta, &mut grid)?,
    }
    Ok(grid)
}

/// The gradient of the maps.
pub fn affine_backward(p: &AffineGrid, dgrid: &Storage) -> Result<Storage> {
    p.check(dgrid, p.points() * 3)?;
    let mut dtheta = Storage::empty(&dgrid.device(), dgrid.dtype(), p.samples as usize * 12)?;
    match dgrid.device() {
        Device::Cpu => for_float!("affine_grid_backward", dgrid.dtype(), T => {
            log::describe(p, 0);
            cpu::affine_backward::<T>(p, dgrid.as_slice()?, dtheta.as_mut_slice()?)
        }),
        device => gpu::affine_backward(&device, p, dgrid, &mut dtheta)?,
    }
    Ok(dtheta)
}
