//! Cross-entropy on a GPU: the kernels of the `.cu` and `.wgsl` files.

use super::{CrossEntropy, Forward, Target};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::ops::loss::Reduction;
use crate::ops::reduce::group;
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source =
    source!("cross_entropy": "../elementwise/math", "../reduce/group", "cross_entropy", "cross_entropy_rows");
static LOSSES: Kernel = Kernel::new(&SOURCE, "cross_entropy");
static ROWS: Kernel = Kernel::new(&SOURCE, "cross_entropy_rows");
static TOTAL: Kernel = Kernel::new(&SOURCE, "cross_entropy_total");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "cross_entropy_backward");
static BACKWARD_ROWS: Kernel = Kernel::new(&SOURCE, "cross_entropy_rows_backward");

/// Scores up to which one workgroup takes all rows, because a second launch would cost more.
const ONE_GROUP: usize = 1 << 14;
/// Parts at most: what the second launch adds up quickly.
const PARTS: usize = 4096;

/// What the kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct CrossEntropyCall {
    outer: u32,
    classes: u32,
    inner: u32,
    ignore_index: u32,
    log_probabilities: u32,
    has_weight: u32,
    mean: u32,
    each_loss: u32,
    width: u32,
    parts: u32,
    chunk: u32,
    on_label: f32,
    on_each: f32,
}

impl CrossEntropyCall {
    fn new(p: &CrossEntropy, target: &Target) -> CrossEntropyCall {
        let CrossEntropy { outer, classes, inner, ignore_index, log_probabilities } = *p;
        CrossEntropyCall {
            outer,
            classes,
            inner,
            ignore_index,
            log_probabilities,
            has_weight: target.weight.is_some().into(),
            mean: 0,
            each_loss: 0,
            width: group::width(classes as usize, inner as usize),
            parts: 1,
            chunk: p.rows() as u32,
            on_label: (1.0 - target.label_smoothing) as f32,
            on_each: (target.label_smoothing / f64::from(classes)) as f32,
        }
    }
}

pub fn forward(
    gpu: &Device,
    rung: usize,
    p: &CrossEntropy,
    reduction: Reduction,
    x: &Storage,
    target: &Target,
) -> Result<Forward> {
    let (rows, each_loss) = (p.rows(), reduction == Reduction::None);
    let mean = u32::from(reduction == Reduction::Mean);
    let call = CrossEntropyCall::new(p, target);
    let width = call.width as usize;
    // How many rows become one loss: in the end all of them, unless each has its own.
    let (kernel, chunk) = match rung {
        0 => (&LOSSES, 1),
        _ if each_loss => (&ROWS, width),
        _ if x.len() <= ONE_GROUP => (&ROWS, rows.max(1)),
        _ => (&ROWS, width * rows.div_ceil(width * PARTS).max(4)),
    };
    let parts = rows.div_ceil(chunk);
    let grid = if rung == 0 { Grid::threads(rows) } else { Grid::groups(parts) };
    let done = each_loss || (rung > 0 && parts == 1);
    let call = CrossEntropyCall {
        mean: if done { mean } else { 0 },
        each_loss: each_loss.into(),
        parts: parts as u32,
        chunk: chunk as u32,
        ..call
    };
    let new = |len| Storage::empty(gpu, x.dtype(), len);
    let len = if each_loss { rows } else { parts };
    let (mut loss, mut weight) = (new(len)?, new(len)?);
    let inputs = [x, target.labels, target.weight.unwrap_or(x)];
    gpu.launch(kernel, grid, &call, &inputs, &mut [&mut loss, &mut weight])?;
    if !done {
        let (losses, weights) = (loss, weight);
        (loss, weight) = (new(1)?, new(1)?);
        let call = CrossEntropyCall { mean, ..call };
        gpu.launch(&TOTAL, Grid::groups(1), &call, &[&losses, &weights], &mut [&mut loss, &mut weight])?;
    }
    Ok(Forward { loss, total_weight: (mean == 1).then_some(weight) })
}

pub fn backward(
    gpu: &Device,
    rung: usize,
    p: &CrossEntropy,
    x: &Storage,
    target: &Target,
    total_weight: Option<&Storage>,
    dloss: &Storage,
) -> Result<Storage> {
    let call = CrossEntropyCall {
        mean: total_weight.is_some().into(),
        each_loss: (dloss.len() != 1).into(),
        ..CrossEntropyCall::new(p, target)
    };
    let (kernel, grid) = match rung {
        0 => (&BACKWARD, Grid::threads(p.rows())),
        _ => (&BACKWARD_ROWS, Grid::groups(p.rows().div_ceil(call.width as usize))),
    };
    let mut dx = Storage::empty(gpu, x.dtype(), x.len())?;
    let inputs = [x, target.labels, target.weight.unwrap_or(x), total_weight.unwrap_or(x), dloss];
    gpu.launch(kernel, grid, &call, &inputs, &mut [&mut dx])?;
    Ok(dx)
}
