//! Convolution on a GPU: the kernels of the `.wgsl` files.

use super::{Conv, volume};
use crate::device::{Grid, Kernel, Source};
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source =
    Source { name: "conv", wgsl: concat!(include_str!("geometry.wgsl"), include_str!("conv.wgsl")) };
static FORWARD: Kernel = Kernel::new(&SOURCE, "conv_forward");
static BACKWARD_INPUT: Kernel = Kernel::new(&SOURCE, "conv_backward_input");
static BACKWARD_WEIGHT: Kernel = Kernel::new(&SOURCE, "conv_backward_weight");
static ADD_PARTS: Kernel = Kernel::new(&SOURCE, "conv_add_parts");

pub(crate) static TILED: Source = Source {
    name: "conv_tiled",
    wgsl: concat!(include_str!("geometry.wgsl"), include_str!("conv_tiled.wgsl")),
};
static FORWARD_TILED: Kernel = Kernel::new(&TILED, "conv_forward_tiled");
static BACKWARD_INPUT_TILED: Kernel = Kernel::new(&TILED, "conv_backward_input_tiled");
static BACKWARD_WEIGHT_TILED: Kernel = Kernel::new(&TILED, "conv_backward_weight_tiled");

/// Rows and columns of a tile, as the kernels have them; those of backward_weight have half the columns.
const ROWS: usize = 16;
const COLUMNS: usize = 128;
/// Terms of dw in a part, of the tiled kernel at least so many; and the groups that keep a GPU busy.
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
    let tiles = tiles(p, p.out_channels, p.terms(), COLUMNS / 2);
    let parts = match rung {
        0 => terms.div_ceil(TERMS),
        // Parts for a busy GPU, but no smaller ones than pay for a second launch.
        _ => ENOUGH.div_ceil(tiles.max(1)).min(terms / TERMS),
    };
    let chunk = terms.div_ceil(parts.max(1)).max(1);
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
