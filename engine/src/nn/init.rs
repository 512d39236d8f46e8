//! Initial values of parameters, as `torch.nn.init`: each function overwrites the tensor it is
//! given.
//!
//! Every tensor takes one call of this thread's generator and its element `i` the numbers at
//! position `i` of that call's stream, so the same seed and the same order of layers give the same
//! network. With `fan_in` the numbers that flow into one output and `fan_out` those that one input
//! flows to, the variance of the weights is chosen so that the variance of the signal stays:
//! ```text
//! kaiming:  std = gain / sqrt(fan)                       He et al. 2015, arXiv:1502.01852
//! xavier:   std = gain sqrt(2 / (fan_in + fan_out))      Glorot and Bengio 2010
//! uniform:  bound = std sqrt(3)                          the bound that has this std
//! default:  bound = 1 / sqrt(fan_in)                     PyTorch's own, for weight and bias
//! ```

use std::f64::consts::TAU;

use voxgrad_kernels::philox;

use crate::error::shape_error;
use crate::random::{RngState, next_call};
use crate::{DType, Device, Error, Result, Tensor};

/// What follows a layer, which decides how much larger its weights must be to keep the variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonlinearity {
    /// Nothing: gain 1. Also for sigmoid, as in PyTorch.
    Linear,
    /// Hyperbolic tangent: gain 5/3.
    Tanh,
    /// Rectifier: gain sqrt(2).
    ReLU,
    /// Leaky rectifier with this negative slope: gain sqrt(2 / (1 + slope^2)).
    LeakyReLU(f64),
    /// Scaled exponential: gain 3/4.
    SELU,
}

impl Nonlinearity {
    /// The factor on the weights' standard deviation.
    pub fn gain(self) -> f64 {
        match self {
            Nonlinearity::Linear => 1.0,
            Nonlinearity::Tanh => 5.0 / 3.0,
            Nonlinearity::ReLU => 2f64.sqrt(),
            Nonlinearity::LeakyReLU(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Nonlinearity::SELU => 0.75,
        }
    }
}

/// Whether the variance is kept on the way forward or on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fan {
    /// The numbers that flow into one output: keeps the variance of the signal.
    #[default]
    In,
    /// The numbers that one input flows to: keeps the variance of the gradient.
    Out,
}

impl Fan {
    /// This fan of a weight `[out, in, kernel..]`.
    ///
    /// # Errors
    /// When the weight has fewer than two dimensions.
    pub fn of(self, weight: &Tensor) -> Result<usize> {
        match &weight.shape()[..] {
            [out, inputs, kernel @ ..] => {
                let window: usize = kernel.iter().product();
                Ok(window * if self == Fan::In { inputs } else { out })
            }
            _ => shape_error("fan", format!("a weight is [out, in, ..], this tensor is {}", weight.shape())),
        }
    }
}

/// Every element `value`.
pub fn constant(tensor: &Tensor, value: f64) -> Result<()> {
    tensor.set(&Tensor::full(value, tensor.shape(), tensor.dtype(), &tensor.device())?)
}

/// Each element equally likely anywhere from `low` to `high`.
pub fn uniform(tensor: &Tensor, low: f64, high: f64) -> Result<()> {
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return out_of_range("uniform", format!("{low} to {high} is not a range"));
    }
    draw(tensor, |at, i| low + (high - low) * at.uniform(i))
}

/// Normally distributed with this mean and standard deviation.
pub fn normal(tensor: &Tensor, mean: f64, std: f64) -> Result<()> {
    if !(mean.is_finite() && std.is_finite() && std >= 0.0) {
        return out_of_range("normal", format!("mean {mean} and standard deviation {std}"));
    }
    draw(tensor, |at, i| {
        // Box and Muller, 1958: 1 - u lies in (0, 1], where the logarithm exists.
        let radius = (-2.0 * (1.0 - at.uniform(2 * i)).ln()).sqrt();
        mean + std * radius * (TAU * at.uniform(2 * i + 1)).cos()
    })
}

/// Kaiming's variance for weights `[out, in, ..]` before `nonlinearity`, uniformly distributed.
pub fn kaiming_uniform(weight: &Tensor, fan: Fan, nonlinearity: Nonlinearity) -> Result<()> {
    symmetric(weight, kaiming_std(weight, fan, nonlinearity)? * 3f64.sqrt())
}

/// Kaiming's variance for weights `[out, in, ..]` before `nonlinearity`, normally distributed.
pub fn kaiming_normal(weight: &Tensor, fan: Fan, nonlinearity: Nonlinearity) -> Result<()> {
    normal(weight, 0.0, kaiming_std(weight, fan, nonlinearity)?)
}

/// Xavier's variance for weights `[out, in, ..]` times `gain`^2, uniformly distributed.
pub fn xavier_uniform(weight: &Tensor, gain: f64) -> Result<()> {
    symmetric(weight, xavier_std(weight, gain)? * 3f64.sqrt())
}

/// Xavier's variance for weights `[out, in, ..]` times `gain`^2, normally distributed.
pub fn xavier_normal(weight: &Tensor, gain: f64) -> Result<()> {
    normal(weight, 0.0, xavier_std(weight, gain)?)
}

fn kaiming_std(weight: &Tensor, fan: Fan, nonlinearity: Nonlinearity) -> Result<f64> {
    Ok(nonlinearity.gain() / (fan.of(weight)?.max(1) as f64).sqrt())
}

fn xavier_std(weight: &Tensor, gain: f64) -> Result<f64> {
    let fans = Fan::In.of(weight)? + Fan::Out.of(weight)?;
    Ok(gain * (2.0 / fans.max(1) as f64).sqrt())
}

fn symmetric(tensor: &Tensor, bound: f64) -> Result<()> {
    uniform(tensor, -bound, bound)
}

/// A new weight `shape` = `[out, in, ..]` and, if wanted, its bias `[out]`, with PyTorch's default
/// initial values: uniform within 1 / sqrt(fan_in), which is kaiming_uniform for a leaky rectifier
/// of slope sqrt(5).
pub(super) fn default_parameters(shape: &[usize]) -> Result<(Tensor, Tensor)> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::cpu());
    let (weight, bias) = (zeros(shape)?.requires_grad(), zeros(&shape[..1])?.requires_grad());
    let bound = 1.0 / (Fan::In.of(&weight)?.max(1) as f64).sqrt();
    symmetric(&weight, bound)?;
    symmetric(&bias, bound)?;
    Ok((weight, bias))
}

/// One tensor's place in the stream of random numbers.
struct Stream(RngState);

impl Stream {
    /// Random number `i` of this stream, in [0, 1).
    fn uniform(&self, i: u64) -> f64 {
        f64::from(philox::uniform(philox::random_u32(self.0.seed, self.0.offset, i)))
    }
}

fn draw(tensor: &Tensor, value: impl Fn(&Stream, u64) -> f64) -> Result<()> {
    let stream = Stream(next_call());
    let n = tensor.numel() as u64;
    match tensor.dtype() {
        DType::F64 => {
            let values: Vec<f64> = (0..n).map(|i| value(&stream, i)).collect();
            tensor.set(&Tensor::new(&values, tensor.shape(), &tensor.device())?)
        }
        DType::F32 => {
            let values: Vec<f32> = (0..n).map(|i| value(&stream, i) as f32).collect();
            tensor.set(&Tensor::new(&values, tensor.shape(), &tensor.device())?)
        }
        DType::U32 => out_of_range("init", format!("{tensor:?} does not hold floats")),
    }
}

fn out_of_range(what: &'static str, message: String) -> Result<()> {
    Err(Error::Value { what, message })
}
