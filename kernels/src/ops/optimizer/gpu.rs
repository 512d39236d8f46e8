//! What the optimizers' GPU kernels are told: the settings rounded to f32.

use super::{Adagrad, Adam, RmsProp, Sgd};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::{Device, Result, Storage};

pub static SGD_SOURCE: Source = source!("sgd": "../elementwise/math", "rules", "sgd");
static SGD: Kernel = Kernel::new(&SGD_SOURCE, "sgd").changing();
static SGD_MOMENTUM: Kernel = Kernel::new(&SGD_SOURCE, "sgd_momentum").changing();

pub static ADAM_SOURCE: Source = source!("adam": "../elementwise/math", "rules", "adam");
static ADAM: Kernel = Kernel::new(&ADAM_SOURCE, "adam").changing();
static ADAM_AMSGRAD: Kernel = Kernel::new(&ADAM_SOURCE, "adam_amsgrad").changing();

pub static RMSPROP_SOURCE: Source = source!("rmsprop": "../elementwise/math", "rules", "rmsprop");
static RMSPROP: Kernel = Kernel::new(&RMSPROP_SOURCE, "rmsprop").changing();
static RMSPROP_MOMENTUM: Kernel = Kernel::new(&RMSPROP_SOURCE, "rmsprop_momentum").changing();
static RMSPROP_CENTERED: Kernel = Kernel::new(&RMSPROP_SOURCE, "rmsprop_centered").changing();
static RMSPROP_CENTERED_MOMENTUM: Kernel =
    Kernel::new(&RMSPROP_SOURCE, "rmsprop_centered_momentum").changing();

pub static ADAGRAD_SOURCE: Source = source!("adagrad": "../elementwise/math", "rules", "adagrad");
static ADAGRAD: Kernel = Kernel::new(&ADAGRAD_SOURCE, "adagrad").changing();

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SgdCall {
    n: u32,
    nesterov: u32,
    first: u32,
    lr: f32,
    momentum: f32,
    mix: f32,
    weight_decay: f32,
}

pub fn sgd(gpu: &Device, p: &Sgd, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    let call = SgdCall {
        n: w.len() as u32,
        nesterov: p.nesterov,
        first: p.first,
        lr: p.lr as f32,
        momentum: p.momentum as f32,
        mix: p.mix as f32,
        weight_decay: p.weight_decay as f32,
    };
    let kernel = if state.is_empty() { &SGD } else { &SGD_MOMENTUM };
    step(gpu, kernel, &call, w, g, state)
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct AdamCall {
    n: u32,
    step_size: f32,
    correction: f32,
    mix1: f32,
    beta2: f32,
    mix2: f32,
    eps: f32,
    shrink: f32,
    weight_decay: f32,
}

pub fn adam(gpu: &Device, p: &Adam, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    let call = AdamCall {
        n: w.len() as u32,
        step_size: p.step_size as f32,
        correction: p.correction as f32,
        mix1: p.mix1 as f32,
        beta2: p.beta2 as f32,
        mix2: p.mix2 as f32,
        eps: p.eps as f32,
        shrink: p.shrink as f32,
        weight_decay: p.weight_decay as f32,
    };
    let kernel = if p.amsgrad == 0 { &ADAM } else { &ADAM_AMSGRAD };
    step(gpu, kernel, &call, w, g, state)
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct RmsPropCall {
    n: u32,
    lr: f32,
    alpha: f32,
    mix: f32,
    eps: f32,
    weight_decay: f32,
    momentum: f32,
}

pub fn rmsprop(gpu: &Device, p: &RmsProp, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    let call = RmsPropCall {
        n: w.len() as u32,
        lr: p.lr as f32,
        alpha: p.alpha as f32,
        mix: p.mix as f32,
        eps: p.eps as f32,
        weight_decay: p.weight_decay as f32,
        momentum: p.momentum as f32,
    };
    let kernel = match (p.centered == 1, p.momentum != 0.0) {
        (false, false) => &RMSPROP,
        (false, true) => &RMSPROP_MOMENTUM,
        (true, false) => &RMSPROP_CENTERED,
        (true, true) => &RMSPROP_CENTERED_MOMENTUM,
    };
    step(gpu, kernel, &call, w, g, state)
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct AdagradCall {
    n: u32,
    lr: f32,
    eps: f32,
    weight_decay: f32,
}

pub fn adagrad(gpu: &Device, p: &Adagrad, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    let call = AdagradCall {
        n: w.len() as u32,
        lr: p.lr as f32,
        eps: p.eps as f32,
        weight_decay: p.weight_decay as f32,
    };
    step(gpu, &ADAGRAD, &call, w, g, state)
}

/// A thread for each element of the parameter.
fn step<P: bytemuck::Pod + std::fmt::Debug>(
    gpu: &Device,
    kernel: &'static Kernel,
    call: &P,
    w: &mut Storage,
    g: &Storage,
    state: &mut [Storage],
) -> Result<()> {
    let grid = Grid::threads(w.len());
    let mut outputs: Vec<&mut Storage> = std::iter::once(w).chain(state).collect();
    gpu.launch(kernel, grid, call, &[g], &mut outputs)
}
