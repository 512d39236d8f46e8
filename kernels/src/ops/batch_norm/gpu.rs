//! Batch normalisation on a GPU: the kernels of the `.cu` and `.wgsl` files.

use super::{BatchNorm, Channels};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::ops::reduce::group::Share;
use crate::{Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("batch_norm": "../reduce/group", "batch_norm", "batch_norm_tree");
static STATISTICS: [Kernel; 3] = [
    Kernel::new(&SOURCE, "batch_norm_statistics"),
    Kernel::new(&SOURCE, "batch_norm_statistics_tree"),
    Kernel::new(&SOURCE, "batch_norm_merge_statistics"),
];
static FORWARD: Kernel = Kernel::new(&SOURCE, "batch_norm");
static SUMS: [Kernel; 3] = [
    Kernel::new(&SOURCE, "batch_norm_sums"),
    Kernel::new(&SOURCE, "batch_norm_sums_tree"),
    Kernel::new(&SOURCE, "batch_norm_merge_sums"),
];
static BACKWARD: Kernel = Kernel::new(&SOURCE, "batch_norm_backward");
static UPDATE_RUNNING: Kernel = Kernel::new(&SOURCE, "update_running");

/// What the kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct BatchNormCall {
    samples: u32,
    channels: u32,
    inner: u32,
    of_batch: u32,
    has_weight: u32,
    has_bias: u32,
    width: u32,
    parts: u32,
    chunk: u32,
    eps: f32,
}

/// What `update_running` is told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct UpdateRunning {
    channels: u32,
    keep: f32,
    take: f32,
}

impl BatchNormCall {
    fn new(p: &BatchNorm) -> BatchNormCall {
        let BatchNorm { samples, channels, inner, of_batch } = *p;
        let (width, parts, chunk, eps) = (1, 1, p.count() as u32, 0.0);
        BatchNormCall {
            samples,
            channels,
            inner,
            of_batch,
            has_weight: 0,
            has_bias: 0,
            width,
            parts,
            chunk,
            eps,
        }
    }

    fn with(self, channels: &Channels) -> BatchNormCall {
        BatchNormCall {
            has_weight: channels.weight.is_some().into(),
            has_bias: channels.bias.is_some().into(),
            eps: channels.eps as f32,
            ..self
        }
    }
}

/// Two numbers for every channel, by the kernel of the rung, `kernels[0]` or `kernels[1]`, and where it
/// gives them for parts of channels, `kernels[2]` after it.
fn for_channels(
    gpu: &Device,
    kernels: &'static [Kernel; 3],
    rung: usize,
    call: BatchNormCall,
    inputs: &[&Storage],
) -> Result<(Storage, Storage)> {
    let (channels, values) = (call.channels as usize, call.samples as usize * call.inner as usize);
    let share = match rung {
        0 => Share::plain(values),
        // Where a channel has one value per sample, channels lie side by side.
        _ => Share::new(channels, values, if call.inner == 1 { channels } else { 1 }),
    };
    let Share { width, parts, chunk } = share;
    let call = BatchNormCall { width, parts, chunk, ..call };
    let new = |len| Storage::empty(gpu, inputs[0].dtype(), len);
    let len = channels * parts as usize;
    let (mut first, mut second) = (new(len)?, new(len)?);
    let grid = if rung == 0 { Grid::threads(len) } else { Grid::groups(share.groups(channels)) };
    gpu.launch(&kernels[rung.min(1)], grid, &call, inputs, &mut [&mut first, &mut second])?;
    if parts > 1 {
        let of_parts = (first, second);
        (first, second) = (new(channels)?, new(channels)?);
        let to = &mut [&mut first, &mut second];
        gpu.launch(&kernels[2], Grid::groups(channels), &call, &[&of_parts.0, &of_parts.1], to)?;
    }
    Ok((first, second))
}

pub fn statistics(gpu: &Device, rung: usize, p: &BatchNorm, x: &Storage) -> Result<(Storage, Storage)> {
    for_channels(gpu, &STATISTICS, rung, BatchNormCall::new(p), &[x])
}

pub fn forward(gpu: &Device, p: &BatchNorm, channels: &Channels, x: &Storage) -> Result<Storage> {
    let Channels { mean, var, weight, bias, .. } = *channels;
    let mut y = Storage::empty(gpu, x.dtype(), x.len())?;
    let inputs = [x, mean, var, weight.unwrap_or(mean), bias.unwrap_or(mean)];
    let call = BatchNormCall::new(p).with(channels);
    gpu.launch(&FORWARD, Grid::threads(x.len()), &call, &inputs, &mut [&mut y])?;
    Ok(y)
}

/// The gradients of weight and bias.
pub fn sums(
    gpu: &Device,
    rung: usize,
    p: &BatchNorm,
    channels: &Channels,
    x: &Storage,
    dy: &Storage,
) -> Result<(Storage, Storage)> {
    let call = BatchNormCall::new(p).with(channels);
    for_channels(gpu, &SUMS, rung, call, &[x, dy, channels.mean, channels.var])
}

/// The gradient of the input, from the sums.
pub fn backward(
    gpu: &Device,
    p: &BatchNorm,
    channels: &Channels,
    [x, dy]: [&Storage; 2],
    [dweight, dbias]: [&Storage; 2],
) -> Result<Storage> {
    let Channels { mean, var, weight, .. } = *channels;
    let mut dx = Storage::empty(gpu, x.dtype(), x.len())?;
    let inputs = [x, dy, mean, var, weight.unwrap_or(mean), dweight, dbias];
    let call = BatchNormCall::new(p).with(channels);
    gpu.launch(&BACKWARD, Grid::threads(x.len()), &call, &inputs, &mut [&mut dx])?;
    Ok(dx)
}

pub fn update_running(
    gpu: &Device,
    running: &mut Storage,
    batch: &Storage,
    momentum: f64,
    factor: f64,
) -> Result<()> {
    let (channels, keep, take) = (batch.len() as u32, 1.0 - momentum, momentum * factor);
    let call = UpdateRunning { channels, keep: keep as f32, take: take as f32 };
    gpu.launch(&UPDATE_RUNNING, Grid::threads(batch.len()), &call, &[batch], &mut [running])
}
