//! Convolution on a GPU: the kernels of the `.cu` and `.wgsl` files.

use super::{Conv, volume};
use crate::device::kernel::GROUP;
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("conv": "geometry", "conv");
static FORWARD: Kernel = Kernel::new(&SOURCE, "conv_forward");
static BACKWARD_INPUT: Kernel = Kernel::new(&SOURCE, "conv_backward_input");
static BACKWARD_WEIGHT: Kernel = Kernel::new(&SOURCE, "conv_backward_weight");
static ADD_PARTS: Kernel = Kernel::new(&SOURCE, "conv_add_parts");

pub(crate) static TILED: Source = source!("conv_tiled": "geometry", "conv_tiled");
static FORWARD_TILED: Kernel = Kernel::new(&TILED, "conv_forward_tiled");
static BACKWARD_INPUT_TILED: Kernel = Kernel::new(&TILED, "conv_backward_input_tiled");
static BACKWARD_WEIGHT_TILED: Kernel = Kernel::new(&TILED, "conv_backward_weight_tiled");

/// Rows of a tile, columns of one of y or dx, columns of one of dw, as the kernels have them.
const ROWS: usize = 16;
const COLUMNS: usize = 256;
const TAPS: usize = 64;
/// The terms of dw in a part are a multiple of this.
const BLOCK: usize = 128;
/// Terms of dw in a part at least, and the groups that keep a GPU busy.
const TERMS: usize = 512;
const ENOUGH: usize = 256;

/// What the kernels are told: the sizes, and how the work is cut.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ConvCall {
    batch: u32,
    in_channels: u32,
    out_channels: u32,
    groups: u32,
    input: [u32; 3],
    kernel: [u32; 3],
    output: [u32; 3],
    stride: [u32; 3],
    padding: [u32; 3],
    dilation: [u32; 3],
    has_bias: u32,
    parts: u32,
    chunk: u32,
}

/// What the sum of the parts of dw is told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ConvParts {
    n: u32,
    parts: u32,
}

impl ConvCall {
    fn new(p: &Conv) -> ConvCall {
        let Conv { batch, in_channels, out_channels, groups, .. } = *p;
        let Conv { input, kernel, output, stride, padding, dilation, .. } = *p;
        #[rustfmt::skip]
        return ConvCall {
            batch, in_channels, out_channels, groups, input, kernel, output, stride, padding, dilation,
            has_bias: 0, parts: 1, chunk: 0,
        };
    }
}

/// Tiles over `rows` channels in each group and `columns`.
fn tiles(p: &Conv, rows: u32, columns: usize, width: usize) -> usize {
    let rows = (rows / p.groups) as usize;
    p.groups as usize * rows.div_ceil(ROWS) * columns.div_ceil(width)
}

pub fn forward(
    gpu: &Device,
    rung: usize,
    p: &Conv,
    x: &Storage,
    w: &Storage,
    bias: Option<&Storage>,
    y: &mut Storage,
) -> Result<()> {
    let call = ConvCall { has_bias: bias.is_some().into(), ..ConvCall::new(p) };
    let columns = p.batch as usize * volume(p.output);
    let (kernel, grid) = match rung {
        0 => (&FORWARD, Grid::threads(y.len())),
        _ => (&FORWARD_TILED, Grid::groups(tiles(p, p.out_channels, columns, COLUMNS))),
    };
    gpu.launch(kernel, grid.flops(p.flops()), &call, &[x, w, bias.unwrap_or(w)], &mut [y])
}

pub fn backward_input(
    gpu: &Device,
    rung: usize,
    p: &Conv,
    dy: &Storage,
    w: &Storage,
    dx: &mut Storage,
) -> Result<()> {
    let columns = p.batch as usize * volume(p.input);
    let (kernel, grid) = match rung {
        0 => (&BACKWARD_INPUT, Grid::threads(dx.len())),
        _ => (&BACKWARD_INPUT_TILED, Grid::groups(tiles(p, p.in_channels, columns, COLUMNS))),
    };
    gpu.launch(kernel, grid.flops(p.flops()), &ConvCall::new(p), &[dy, w], &mut [dx])
}

pub fn backward_weight(
    gpu: &Device,
    rung: usize,
    p: &Conv,
    dy: &Storage,
    x: &Storage,
    dw: &mut Storage,
) -> Result<()> {
    let terms = p.batch as usize * volume(p.output);
    let tiles = match rung {
        0 => dw.len().div_ceil(GROUP),
        _ => tiles(p, p.out_channels, p.terms(), TAPS),
    };
    // Parts for a busy GPU, but no smaller ones than pay for a second launch.
    let parts = ENOUGH.div_ceil(tiles).min(terms / TERMS).max(1);
    let chunk = terms.div_ceil(parts).next_multiple_of(BLOCK).max(BLOCK);
    let parts = terms.div_ceil(chunk).max(1);
    let call = ConvCall { parts: parts as u32, chunk: chunk as u32, ..ConvCall::new(p) };
    let (kernel, grid) = match rung {
        0 => (&BACKWARD_WEIGHT, Grid::threads(parts * dw.len())),
        _ => (&BACKWARD_WEIGHT_TILED, Grid::groups(tiles * parts)),
    };
    let grid = grid.flops(p.flops());
    if parts == 1 {
        return gpu.launch(kernel, grid, &call, &[x, dy], &mut [dw]);
    }
    let mut sums = Storage::empty(gpu, dw.dtype(), parts * dw.len())?;
    gpu.launch(kernel, grid, &call, &[x, dy], &mut [&mut sums])?;
    let call = ConvParts { n: dw.len() as u32, parts: parts as u32 };
    gpu.launch(&ADD_PARTS, Grid::threads(dw.len()), &call, &[&sums], &mut [dw])
}

#[cfg(test)]
mod tests {
    use super::super::{GPU_RUNGS, backward_input_rung, backward_weight_rung, forward_rung};
    use super::*;
    use crate::device::gpus;

    fn sizes(x: [usize; 4], w: [usize; 4]) -> Conv {
        Conv::new("conv2d", &x, &w, [1, 1], [0, 0], [1, 1], 1).unwrap()
    }

    fn constant(gpu: &Device, value: f32, len: usize) -> Storage {
        Storage::from_slice(gpu, &vec![value; len]).unwrap()
    }

    /// One running sum of so many equal numbers would be off by a ten-thousandth and more.
    #[test]
    fn long_sums_keep_their_digits() {
        for gpu in gpus() {
            let terms = 200 * 10 * 10;
            let (a, b) = (constant(&gpu, 0.7, terms), constant(&gpu, 0.3, terms));
            let expected = terms as f64 * f64::from(0.7f32) * f64::from(0.3f32);
            let check = |what: &str, sums: Result<Storage>, at: usize| {
                let sum = f64::from(sums.unwrap().to_vec::<f32>().unwrap()[at]);
                assert!((sum / expected - 1.0).abs() < 1e-5, "{what}: {sum} instead of {expected}");
            };
            for (rung, name) in GPU_RUNGS.iter().enumerate() {
                let p = sizes([1, 200, 10, 10], [1, 200, 10, 10]);
                check(&format!("forward, {name}"), forward_rung(rung, &p, &a, &b, None), 0);
                // The middle of 19 x 19 inputs is seen by every output, each time through another tap.
                let p = sizes([1, 1, 19, 19], [200, 1, 10, 10]);
                check(&format!("backward_input, {name}"), backward_input_rung(rung, &p, &a, &b), 9 * 19 + 9);
                let p = sizes([1, 1, 100, 200], [1, 1, 1, 1]);
                check(&format!("backward_weight, {name}"), backward_weight_rung(rung, &p, &a, &b), 0);
            }
        }
    }

    /// The gradient of the weights comes from several workgroups, in whatever order they run.
    #[test]
    fn a_second_run_gives_the_same_bits() {
        for gpu in gpus() {
            let p = sizes([4, 2, 50, 50], [3, 2, 3, 3]);
            let random = |len: usize, stream| {
                let number = |i| crate::philox::uniform(crate::philox::random_u32(7, stream, i as u64)) - 0.5;
                Storage::from_slice(&gpu, &(0..len).map(number).collect::<Vec<f32>>()).unwrap()
            };
            let (x, dy) = (random(p.x_len(), 0), random(p.y_len(), 1));
            for rung in 0..GPU_RUNGS.len() {
                let run = || backward_weight_rung(rung, &p, &dy, &x).unwrap().to_vec::<f32>().unwrap();
                let (first, second) = (run(), run());
                assert!(first.iter().zip(&second).all(|(a, b)| a.to_bits() == b.to_bits()), "rung {rung}");
            }
        }
    }
}
