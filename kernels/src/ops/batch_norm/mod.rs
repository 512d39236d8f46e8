//! Batch normalisation of each channel of `[N, C, ...]`.
//!
//! With m and v of a channel over its `M` values (all samples, all positions):
//! ```text
//! m = sum x / M        v = sum (x - m)^2 / M
//! x^ = (x - m) / sqrt(v + eps)         y = weight x^ + bias
//! dbias = sum dy       dweight = sum dy x^
//! dx = weight / sqrt(v + eps) (dy - dbias / M - x^ dweight / M)      m and v of this batch
//! dx = weight / sqrt(v + eps)  dy                                    m and v given: running statistics
//! running = (1 - momentum) running + momentum (m, or v M / (M - 1))
//! ```
//! The second pass for v keeps the digits that `mean(x^2) - m^2` would lose. Ioffe, Szegedy: "Batch
//! normalization", 2015.

mod cpu;
pub(crate) mod gpu;
#[cfg(test)]
mod tests;

use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

/// The kernels from the plain one up: a channel at a time, and threads sharing the planes.
pub const RUNGS: &[&str] = &["plain", "planes"];
/// The kernels on a GPU: sums over a channel by a thread per part of it, and by threads that share it.
pub const GPU_RUNGS: &[&str] = &["plain", "tree"];

/// The tensor as `[samples, channels, inner]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct BatchNorm {
    /// Samples.
    pub samples: u32,
    /// Channels, each with statistics of its own.
    pub channels: u32,
    /// Positions: pixels, voxels, or 1.
    pub inner: u32,
    /// 1 when the statistics are those of this very batch, so that the gradient flows through them.
    pub of_batch: u32,
}

/// What a channel is shifted and scaled by: buffers of `[channels]`.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    /// The mean.
    pub mean: &'a Storage,
    /// The variance (divided by `M`).
    pub var: &'a Storage,
    /// 1 where there is none.
    pub weight: Option<&'a Storage>,
    /// 0 where there is none.
    pub bias: Option<&'a Storage>,
    /// What keeps the root away from 0.
    pub eps: f64,
}

/// What flows back.
pub struct Gradients {
    /// `[samples, channels, inner]`, if it was wanted.
    pub dx: Option<Storage>,
    /// `[channels]`.
    pub dweight: Storage,
    /// `[channels]`.
    pub dbias: Storage,
}

impl BatchNorm {
    /// The number of values of a channel: `M`.
    pub fn count(&self) -> usize {
        self.samples as usize * self.inner as usize
    }

    fn check(&self, op: &'static str, x: &[&Storage], channels: &[&Storage]) -> Result<()> {
        let BatchNorm { samples, channels: c, inner, .. } = self;
        if let Some(x) = x.iter().find(|x| x.len() != self.count() * *c as usize) {
            return shape_error(op, format!("{} elements are not [{samples}, {c}, {inner}]", x.len()));
        }
        if let Some(one) = channels.iter().find(|one| one.len() != *c as usize) {
            return shape_error(op, format!("{} values for {c} channels", one.len()));
        }
        same_device_and_dtype(op, &[x, channels].concat())
    }
}

impl Channels<'_> {
    fn all(&self) -> Vec<&Storage> {
        [Some(self.mean), Some(self.var), self.weight, self.bias].into_iter().flatten().collect()
    }
}

/// Mean and variance (divided by `M`) of every channel; NaN when there are no values.
pub fn statistics(p: &BatchNorm, x: &Storage) -> Result<(Storage, Storage)> {
    statistics_rung(usize::MAX, p, x)
}

/// [`statistics`] by the kernel `RUNGS[rung]`.
pub fn statistics_rung(rung: usize, p: &BatchNorm, x: &Storage) -> Result<(Storage, Storage)> {
    p.check("batch_norm", &[x], &[])?;
    match x.device() {
        Device::Cpu => {
            let mut mean = Storage::empty(&Device::Cpu, x.dtype(), p.channels as usize)?;
            let mut var = Storage::empty(&Device::Cpu, x.dtype(), p.channels as usize)?;
            for_float!("batch_norm", x.dtype(), T => {
                log::describe(p, 0);
                let kernel = match rung {
                    0 => cpu::statistics::<T>,
                    _ => cpu::statistics_by_plane::<T>,
                };
                kernel(p, x.as_slice()?, mean.as_mut_slice()?, var.as_mut_slice()?)
            });
            Ok((mean, var))
        }
        gpu => gpu::statistics(&gpu, rung, p, x),
    }
}

/// `y` from `x`.
pub fn forward(p: &BatchNorm, channels: &Channels, x: &Storage) -> Result<Storage> {
    forward_rung(usize::MAX, p, channels, x)
}

/// [`forward`] by the kernel `RUNGS[rung]`.
pub fn forward_rung(rung: usize, p: &BatchNorm, channels: &Channels, x: &Storage) -> Result<Storage> {
    p.check("batch_norm", &[x], &channels.all())?;
    match x.device() {
        Device::Cpu => {
            let mut y = Storage::empty(&Device::Cpu, x.dtype(), x.len())?;
            for_float!("batch_norm", x.dtype(), T => {
                log::describe(p, 0);
                let kernel = match rung {
                    0 => cpu::forward::<T>,
                    _ => cpu::forward_by_plane::<T>,
                };
                kernel(p, &cpu::Slices::new(channels)?, x.as_slice()?, y.as_mut_slice()?)
            });
            Ok(y)
        }
        gpu => gpu::forward(&gpu, p, channels, x),
    }
}

/// The gradients from `x` and `dy`; `dx` only where it is wanted.
pub fn backward(
    p: &BatchNorm,
    channels: &Channels,
    x: &Storage,
    dy: &Storage,
    dx_wanted: bool,
) -> Result<Gradients> {
    backward_rung(usize::MAX, p, channels, x, dy, dx_wanted)
}

/// [`backward`] by the kernel `RUNGS[rung]`.
pub fn backward_rung(
    rung: usize,
    p: &BatchNorm,
    channels: &Channels,
    x: &Storage,
    dy: &Storage,
    dx_wanted: bool,
) -> Result<Gradients> {
    p.check("batch_norm_backward", &[x, dy], &channels.all())?;
    match x.device() {
        Device::Cpu => {
            let new = |len| Storage::empty(&Device::Cpu, x.dtype(), len);
            let (mut dweight, mut dbias) = (new(p.channels as usize)?, new(p.channels as usize)?);
            let mut dx = if dx_wanted { Some(new(x.len())?) } else { None };
            for_float!("batch_norm_backward", x.dtype(), T => {
                log::describe(p, 0);
                let (sums, input) = match rung {
                    0 => (cpu::sums::<T> as cpu::Sums<T>, cpu::backward::<T> as cpu::Backward<T>),
                    _ => (cpu::sums_by_plane::<T> as _, cpu::backward_by_plane::<T> as _),
                };
                let channels = cpu::Slices::new(channels)?;
                let (x, dy) = (x.as_slice()?, dy.as_slice()?);
                sums(p, &channels, x, dy, dweight.as_mut_slice()?, dbias.as_mut_slice()?);
                if let Some(dx) = &mut dx {
                    input(p, &channels, x, dy, dweight.as_slice()?, dbias.as_slice()?, dx.as_mut_slice()?);
                }
            });
            Ok(Gradients { dx, dweight, dbias })
        }
        gpu => {
            let (dweight, dbias) = gpu::sums(&gpu, rung, p, channels, x, dy)?;
            let dx = match dx_wanted {
                true => Some(gpu::backward(&gpu, p, channels, [x, dy], [&dweight, &dbias])?),
                false => None,
            };
            Ok(Gradients { dx, dweight, dbias })
        }
    }
}

/// `running = (1 - momentum) running + momentum factor batch`, all `[channels]`; the factor is 1 for
/// means and `M / (M - 1)` for variances.
pub fn update_running(running: &mut Storage, batch: &Storage, momentum: f64, factor: f64) -> Result<()> {
    same_device_and_dtype("batch_norm", &[running, batch])?;
    if running.len() != batch.len() {
        let message = format!("{} running values for {} channels", running.len(), batch.len());
        return shape_error("batch_norm", message);
    }
    match running.device() {
        Device::Cpu => for_float!("batch_norm", running.dtype(), T => {
            log::describe(&format_args!("running"), 0);
            cpu::update_running::<T>(running.as_mut_slice()?, batch.as_slice()?, momentum, factor)
        }),
        gpu => gpu::update_running(&gpu, running, batch, momentum, factor)?,
    }
    Ok(())
}
