//! Losses on a GPU: the kernels of `loss.cu` and `loss.wgsl`.

use super::{Inputs, Kind, Reduction, Side};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("loss": "../elementwise/math", "../reduce/group", "loss");
static LOSSES: Kernel = Kernel::new(&SOURCE, "losses");
static SUM: Kernel = Kernel::new(&SOURCE, "loss_sum");
static TOTAL: Kernel = Kernel::new(&SOURCE, "loss_total");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "loss_backward");

/// Elements that one workgroup adds up before more than one is worth a second launch, and the part of
/// each when there are more.
const ONE_GROUP: usize = 1 << 14;
const CHUNK: usize = 1 << 12;

/// What the kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct LossCall {
    kind: u32,
    n: u32,
    has_weight: u32,
    has_pos_weight: u32,
    each_dloss: u32,
    side: u32,
    parts: u32,
    chunk: u32,
    delta: f32,
    divisor: f32,
}

impl LossCall {
    fn new(kind: Kind, inputs: &Inputs) -> LossCall {
        let (kind, delta) = match kind {
            Kind::Mse => (0, 0.0),
            Kind::L1 => (1, 0.0),
            Kind::Huber { delta } => (2, delta),
            Kind::Bce => (3, 0.0),
            Kind::BceWithLogits => (4, 0.0),
        };
        let n = inputs.x.len();
        let parts = if n <= ONE_GROUP { 1 } else { n.div_ceil(CHUNK) };
        LossCall {
            kind,
            n: n as u32,
            has_weight: inputs.weight.is_some().into(),
            has_pos_weight: inputs.pos_weight.is_some().into(),
            each_dloss: 0,
            side: 0,
            parts: parts as u32,
            chunk: if parts == 1 { n } else { CHUNK } as u32,
            delta: delta as f32,
            divisor: 1.0,
        }
    }
}

/// What the sum of the losses is divided by.
fn divisor(reduction: Reduction, n: usize) -> f32 {
    if reduction == Reduction::Mean { n as f32 } else { 1.0 }
}

pub fn forward(gpu: &Device, kind: Kind, reduction: Reduction, inputs: &Inputs) -> Result<Storage> {
    let Inputs { x, t, weight, pos_weight } = *inputs;
    let all = [x, t, weight.unwrap_or(x), pos_weight.unwrap_or(x)];
    let call = LossCall::new(kind, inputs);
    let new = |len| Storage::empty(gpu, x.dtype(), len);
    if reduction == Reduction::None {
        let mut losses = new(x.len())?;
        gpu.launch(&LOSSES, Grid::threads(x.len()), &call, &all, &mut [&mut losses])?;
        return Ok(losses);
    }
    let mut sums = new(call.parts as usize)?;
    let (grid, divisor) = (Grid::groups(sums.len()), divisor(reduction, x.len()));
    if call.parts == 1 {
        gpu.launch(&SUM, grid, &LossCall { divisor, ..call }, &all, &mut [&mut sums])?;
        return Ok(sums);
    }
    gpu.launch(&SUM, grid, &call, &all, &mut [&mut sums])?;
    let mut loss = new(1)?;
    let call = LossCall { n: call.parts, divisor, ..call };
    gpu.launch(&TOTAL, Grid::groups(1), &call, &[&sums], &mut [&mut loss])?;
    Ok(loss)
}

pub fn backward(
    gpu: &Device,
    kind: Kind,
    reduction: Reduction,
    side: Side,
    inputs: &Inputs,
    dloss: &Storage,
) -> Result<Storage> {
    let Inputs { x, t, weight, pos_weight } = *inputs;
    let call = LossCall {
        each_dloss: (reduction == Reduction::None).into(),
        side: (side == Side::Target).into(),
        divisor: divisor(reduction, x.len()),
        ..LossCall::new(kind, inputs)
    };
    let mut dx = Storage::empty(gpu, x.dtype(), x.len())?;
    let all = [x, t, weight.unwrap_or(x), pos_weight.unwrap_or(x), dloss];
    gpu.launch(&BACKWARD, Grid::threads(x.len()), &call, &all, &mut [&mut dx])?;
    Ok(dx)
}
