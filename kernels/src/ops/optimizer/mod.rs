//! One step of an optimizer, fused: each parameter and its state are read and written once.
//!
//! `w` is the parameter, `g` its gradient, everything elementwise, in PyTorch's order of operations:
//! ```text
//! all:      g = g + weight_decay w
//!
//! SGD:      b = g                                 at the first step
//!           b = momentum b + (1 - dampening) g    later
//!           w = w - lr (g + momentum b)           with nesterov
//!           w = w - lr b                          without
//!
//! Adam:     w = shrink w                          shrink = 1 - lr weight_decay in AdamW, 1 in Adam
//!           m = m + (1 - beta1) (g - m)
//!           v = beta2 v + (1 - beta2) g^2
//!           x = max(x, v)                         with amsgrad; x = v without
//!           w = w - step_size m / (sqrt(x) / correction + eps)
//!               step_size = lr / (1 - beta1^t), correction = sqrt(1 - beta2^t) at step t = 1, 2, ..
//!
//! RMSprop:  v = alpha v + (1 - alpha) g^2
//!           m = m + (1 - alpha) (g - m),  d = sqrt(v - m^2) + eps     centered
//!                                         d = sqrt(v) + eps           not centered
//!           b = momentum b + g / d,       w = w - lr b                with momentum
//!                                         w = w - lr g / d            without
//!
//! Adagrad:  s = s + g^2
//!           w = w - lr g / (sqrt(s) + eps)
//! ```
//! The settings are f64, whatever the type of the parameter, so that f64 steps are exact; and what
//! is 1 minus a setting is a field of its own, because 1 - 0.999 taken in f32 is wrong in its fifth
//! digit.

mod cpu;
mod gpu;

#[cfg(test)]
pub(crate) use gpu::{ADAGRAD_SOURCE, ADAM_SOURCE, RMSPROP_SOURCE, SGD_SOURCE};

use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

/// Stochastic gradient descent. State: `[b]`, or nothing when `momentum` is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// 1 - dampening: how much of the gradient is added to it.
    pub mix: f64,
    /// Pull towards zero.
    pub weight_decay: f64,
    /// 1 to look ahead along the new direction.
    pub nesterov: u32,
    /// 1 at the first step, when `b` has no value yet.
    pub first: u32,
}

/// Adam and AdamW. State: `[m, v]`, or `[m, v, x]` with amsgrad.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Adam {
    /// lr / (1 - beta1^t): corrects that `m` starts from zero.
    pub step_size: f64,
    /// sqrt(1 - beta2^t): corrects that `v` starts from zero.
    pub correction: f64,
    /// 1 - beta1.
    pub mix1: f64,
    /// How much of `v` is kept.
    pub beta2: f64,
    /// 1 - beta2.
    pub mix2: f64,
    /// Keeps the denominator from 0.
    pub eps: f64,
    /// What the parameter is first multiplied by: AdamW's weight decay.
    pub shrink: f64,
    /// Adam's weight decay, through the gradient.
    pub weight_decay: f64,
    /// 1 to divide by the largest `v` so far.
    pub amsgrad: u32,
    /// Fills the last eight bytes.
    pub padding: u32,
}

/// RMSprop. State: `[v]`, then `m` when centered, then `b` when `momentum` is not 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// How much of the averages is kept.
    pub alpha: f64,
    /// 1 - alpha.
    pub mix: f64,
    /// Keeps the denominator from 0.
    pub eps: f64,
    /// Pull towards zero.
    pub weight_decay: f64,
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// 1 to divide by the variance instead of the mean square.
    pub centered: u32,
    /// Fills the last eight bytes.
    pub padding: u32,
}

/// Adagrad. State: `[s]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Adagrad {
    /// Learning rate at this step.
    pub lr: f64,
    /// Keeps the denominator from 0.
    pub eps: f64,
    /// Pull towards zero.
    pub weight_decay: f64,
}

/// Writes the parameter `w` and its state, from the gradient `g`; all of one size.
pub fn sgd(p: &Sgd, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    check("sgd", w, g, state, (p.momentum != 0.0) as usize)?;
    match w.device() {
        Device::Cpu => for_float!("sgd", w.dtype(), T => {
            cpu::sgd::<T>(p, w.as_mut_slice()?, g.as_slice()?, slices(state)?)
        }),
        device => gpu::sgd(&device, p, w, g, state)?,
    }
    Ok(())
}

/// Writes the parameter `w` and its state, from the gradient `g`; all of one size.
pub fn adam(p: &Adam, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    check("adam", w, g, state, 2 + p.amsgrad as usize)?;
    match w.device() {
        Device::Cpu => for_float!("adam", w.dtype(), T => {
            cpu::adam::<T>(p, w.as_mut_slice()?, g.as_slice()?, slices(state)?)
        }),
        device => gpu::adam(&device, p, w, g, state)?,
    }
    Ok(())
}

/// Writes the parameter `w` and its state, from the gradient `g`; all of one size.
pub fn rmsprop(p: &RmsProp, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    check("rmsprop", w, g, state, 1 + p.centered as usize + (p.momentum != 0.0) as usize)?;
    match w.device() {
        Device::Cpu => for_float!("rmsprop", w.dtype(), T => {
            cpu::rmsprop::<T>(p, w.as_mut_slice()?, g.as_slice()?, slices(state)?)
        }),
        device => gpu::rmsprop(&device, p, w, g, state)?,
    }
    Ok(())
}

/// Writes the parameter `w` and its state, from the gradient `g`; all of one size.
pub fn adagrad(p: &Adagrad, w: &mut Storage, g: &Storage, state: &mut [Storage]) -> Result<()> {
    check("adagrad", w, g, state, 1)?;
    match w.device() {
        Device::Cpu => for_float!("adagrad", w.dtype(), T => {
            cpu::adagrad::<T>(p, w.as_mut_slice()?, g.as_slice()?, slices(state)?)
        }),
        device => gpu::adagrad(&device, p, w, g, state)?,
    }
    Ok(())
}

fn check(op: &'static str, w: &Storage, g: &Storage, state: &[Storage], wanted: usize) -> Result<()> {
    if state.len() != wanted {
        return shape_error(op, format!("{} state buffers given, {wanted} needed", state.len()));
    }
    for x in state.iter().chain([g]) {
        same_device_and_dtype(op, &[w, x])?;
        if x.len() != w.len() {
            let (n, m) = (w.len(), x.len());
            return shape_error(op, format!("the parameter has {n} elements, a gradient or state {m}"));
        }
    }
    Ok(())
}

fn slices<T: crate::Element>(state: &mut [Storage]) -> Result<Vec<&mut [T]>> {
    state.iter_mut().map(Storage::as_mut_slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::device::gpus;

    #[test]
    fn a_step_in_many_chunks_is_the_step_of_each_element() {
        let n = 100_003;
        let p = RmsProp {
            lr: 0.1,
            alpha: 0.5,
            mix: 0.5,
            eps: 0.0,
            weight_decay: 0.0,
            momentum: 0.5,
            centered: 1,
            padding: 0,
        };
        let values = |scale: f32| (0..n).map(|i| scale * (1 + i) as f32).collect::<Vec<_>>();
        let storage = |scale| Storage::from_slice(&Device::Cpu, &values(scale)).unwrap();
        let (mut w, g) = (storage(1.0), storage(2.0));
        let mut state = [storage(0.0), storage(0.0), storage(1.0)];
        rmsprop(&p, &mut w, &g, &mut state).unwrap();
        // v = g^2 / 2, m = g / 2, sqrt(v - m^2) = g / 2, so b = b / 2 + 2 and w = w - 0.1 b.
        let b: Vec<f32> = values(1.0).iter().map(|b| 0.5 * b + 2.0).collect();
        assert_eq!(state[2].to_vec::<f32>().unwrap(), b);
        let wanted = values(1.0).into_iter().zip(&b).map(|(w, b)| w - 0.1 * b);
        assert_eq!(w.to_vec::<f32>().unwrap(), wanted.collect::<Vec<_>>());
    }

    /// Three steps of every rule, with a NaN among the gradients.
    #[test]
    fn a_gpu_steps_as_the_cpu_does() {
        for gpu in gpus() {
            for weight_decay in [0.0, 0.01] {
                for (nesterov, momentum) in [(0, 0.0), (0, 0.9), (1, 0.9)] {
                    compare(&gpu, (momentum != 0.0) as usize, |step, w, g, state| {
                        let first = (step == 0) as u32;
                        sgd(&Sgd { lr: 0.1, momentum, mix: 0.7, weight_decay, nesterov, first }, w, g, state)
                    });
                }
                for amsgrad in [0, 1] {
                    compare(&gpu, 2 + amsgrad as usize, |step, w, g, state| {
                        let t = step as i32 + 1;
                        let p = Adam {
                            step_size: 0.1 / (1.0 - 0.9f64.powi(t)),
                            correction: (1.0 - 0.999f64.powi(t)).sqrt(),
                            mix1: 1.0 - 0.9,
                            beta2: 0.999,
                            mix2: 1.0 - 0.999,
                            eps: 1e-8,
                            shrink: 0.99,
                            weight_decay,
                            amsgrad,
                            padding: 0,
                        };
                        adam(&p, w, g, state)
                    });
                }
                for (centered, momentum) in [(0, 0.0), (0, 0.9), (1, 0.0), (1, 0.9)] {
                    let (alpha, mix) = (0.3, 0.7);
                    let p = RmsProp {
                        lr: 0.1,
                        alpha,
                        mix,
                        eps: 1e-2,
                        weight_decay,
                        momentum,
                        centered,
                        padding: 0,
                    };
                    let buffers = 1 + centered as usize + (momentum != 0.0) as usize;
                    compare(&gpu, buffers, |_, w, g, state| rmsprop(&p, w, g, state));
                }
                let p = Adagrad { lr: 0.1, eps: 1e-10, weight_decay };
                compare(&gpu, 1, |_, w, g, state| adagrad(&p, w, g, state));
            }
        }
    }

    /// Three steps on the GPU and on the CPU, the parameter and `buffers` states compared.
    fn compare(
        gpu: &Device,
        buffers: usize,
        step: impl Fn(usize, &mut Storage, &Storage, &mut [Storage]) -> Result<()>,
    ) {
        let wave = |device: &Device, step: f32| {
            let mut values: Vec<f32> = (0..1000).map(|i| (i as f32 * step).sin() + 0.01).collect();
            if step > 0.3 {
                values[17] = f32::NAN;
            }
            Storage::from_slice(device, &values).unwrap()
        };
        let run = |device: &Device| {
            let mut w = wave(device, 0.1);
            let zeros = || Storage::zeros(device, DType::F32, 1000).unwrap();
            let mut state: Vec<Storage> = (0..buffers).map(|_| zeros()).collect();
            (0..3).for_each(|n| step(n, &mut w, &wave(device, 0.31 + n as f32), &mut state).unwrap());
            state.insert(0, w);
            state.iter().flat_map(|x| x.to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        };
        for (i, (&got, &wanted)) in run(gpu).iter().zip(&run(&Device::Cpu)).enumerate() {
            let same = got.is_nan() && wanted.is_nan() || (got - wanted).abs() <= 1e-5 * (0.1 + wanted.abs());
            let (buffer, element) = (i / 1000, i % 1000);
            assert!(same, "element {element} of buffer {buffer}: {got}, expected {wanted}");
        }
    }

    #[test]
    fn buffers_that_do_not_fit_are_errors() {
        let p = Adagrad { lr: 0.1, eps: 0.0, weight_decay: 0.0 };
        let zeros = |dtype, n| Storage::zeros(&Device::Cpu, dtype, n).unwrap();
        let (mut w, g) = (zeros(DType::F32, 3), zeros(DType::F32, 3));
        adagrad(&p, &mut w, &g, &mut []).unwrap_err();
        adagrad(&p, &mut w, &g, &mut [zeros(DType::F32, 2)]).unwrap_err();
        adagrad(&p, &mut w, &zeros(DType::F64, 3), &mut [zeros(DType::F32, 3)]).unwrap_err();
        let labels = |n| zeros(DType::U32, n);
        adagrad(&p, &mut labels(1), &labels(1), &mut [labels(1)]).unwrap_err();
        adagrad(&p, &mut zeros(DType::F64, 0), &zeros(DType::F64, 0), &mut [zeros(DType::F64, 0)]).unwrap();
    }
}
