//! Grid sampling on a GPU: which kernels are launched.

use super::{AffineGrid, GridSample};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::{DType, Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("grid_sample": "../elementwise/math", "point", "grid_sample");
static FORWARD: Kernel = Kernel::new(&SOURCE, "grid_sample");
static BACKWARD_INPUT: Kernel = Kernel::new(&SOURCE, "grid_sample_backward_input");
static BACKWARD_GRID: Kernel = Kernel::new(&SOURCE, "grid_sample_backward_grid");

pub(crate) static BRICKS: Source =
    source!("grid_sample_bricks": "../elementwise/math", "point", "grid_sample_bricks");
static BOXES: Kernel = Kernel::new(&BRICKS, "grid_sample_boxes");
static BACKWARD_INPUT_BRICKS: Kernel = Kernel::new(&BRICKS, "grid_sample_backward_input_bricks");

pub(crate) static AFFINE: Source = source!("affine_grid": "affine_grid");
static AFFINE_FORWARD: Kernel = Kernel::new(&AFFINE, "affine_grid");
static AFFINE_BACKWARD: Kernel = Kernel::new(&AFFINE, "affine_grid_backward");
static AFFINE_BACKWARD_TOTAL: Kernel = Kernel::new(&AFFINE, "affine_grid_backward_total");

/// What the kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct GridSampleCall {
    samples: u32,
    channels: u32,
    in_d: u32,
    in_h: u32,
    in_w: u32,
    out_d: u32,
    out_h: u32,
    out_w: u32,
    border: u32,
    align_corners: u32,
    first: u32,
    end: u32,
}

impl GridSampleCall {
    fn new(p: &GridSample) -> GridSampleCall {
        let GridSample { samples, channels, in_d, in_h, in_w, out_d, out_h, out_w, border, align_corners } =
            *p;
        GridSampleCall {
            samples,
            channels,
            in_d,
            in_h,
            in_w,
            out_d,
            out_h,
            out_w,
            border,
            align_corners,
            first: 0,
            end: 0,
        }
    }
}

pub fn forward(gpu: &Device, p: &GridSample, x: &Storage, grid: &Storage, y: &mut Storage) -> Result<()> {
    gpu.launch(&FORWARD, Grid::threads(y.len()), &GridSampleCall::new(p), &[grid, x], &mut [y])
}

/// Bricks of points that one launch goes through: a thread that runs for too long may be stopped by its
/// driver.
const AT_ONCE: usize = 128;

pub fn backward_input(
    gpu: &Device,
    rung: usize,
    p: &GridSample,
    grid: &Storage,
    dy: &Storage,
    dx: &mut Storage,
) -> Result<()> {
    let call = GridSampleCall::new(p);
    if rung == 0 {
        return gpu.launch(&BACKWARD_INPUT, Grid::threads(dx.len()), &call, &[grid, dy], &mut [dx]);
    }
    let bricks =
        |[d, h, w]: [u32; 3]| d.div_ceil(4) as usize * h.div_ceil(8) as usize * w.div_ceil(8) as usize;
    let of_points = bricks([p.out_d, p.out_h, p.out_w]);
    let of_voxels = bricks([p.in_d, p.in_h, p.in_w]);
    let samples = p.samples as usize;
    let mut boxes = Storage::empty(gpu, DType::F32, samples * of_points * 6)?;
    gpu.launch(&BOXES, Grid::groups(samples * of_points), &call, &[grid], &mut [&mut boxes])?;
    let groups = Grid::groups(samples * p.channels.div_ceil(4) as usize * of_voxels);
    for first in (0..of_points.max(1)).step_by(AT_ONCE) {
        let (first, end) = (first as u32, of_points.min(first + AT_ONCE) as u32);
        let call = GridSampleCall { first, end, ..call };
        gpu.launch(&BACKWARD_INPUT_BRICKS, groups, &call, &[grid, dy, &boxes], &mut [dx])?;
    }
    Ok(())
}

pub fn backward_grid(
    gpu: &Device,
    p: &GridSample,
    x: &Storage,
    grid: &Storage,
    dy: &Storage,
    dgrid: &mut Storage,
) -> Result<()> {
    let points = Grid::threads(dgrid.len() / 3);
    gpu.launch(&BACKWARD_GRID, points, &GridSampleCall::new(p), &[grid, x, dy], &mut [dgrid])
}

pub fn affine_forward(gpu: &Device, p: &AffineGrid, theta: &Storage, grid: &mut Storage) -> Result<()> {
    gpu.launch(&AFFINE_FORWARD, Grid::threads(grid.len() / 3), p, &[theta], &mut [grid])
}

pub fn affine_backward(gpu: &Device, p: &AffineGrid, dgrid: &Storage, dtheta: &mut Storage) -> Result<()> {
    // A workgroup adds up 4096 points, and a thread what the workgroups of its sample give.
    let pieces = p.samples as usize * p.points().div_ceil(4096);
    let mut parts = Storage::empty(gpu, DType::F32, 12 * pieces)?;
    gpu.launch(&AFFINE_BACKWARD, Grid::groups(pieces), p, &[dgrid], &mut [&mut parts])?;
    gpu.launch(&AFFINE_BACKWARD_TOTAL, Grid::threads(dtheta.len()), p, &[&parts], &mut [dtheta])
}
