//! Functions of one element; each stands beside its derivative in
//! `kernels/src/ops/elementwise/unary.rs`.

use std::sync::Arc;

use voxgrad_kernels::ops::elementwise::{self, Saved, Unary};

use crate::{Result, Tensor};

impl Tensor {
    /// -x
    pub fn neg(&self) -> Result<Tensor> {
        self.unary(Unary::Neg, [0.0; 2])
    }

    /// |x|; its gradient at 0 is 0.
    pub fn abs(&self) -> Result<Tensor> {
        self.unary(Unary::Abs, [0.0; 2])
    }

    /// e^x
    pub fn exp(&self) -> Result<Tensor> {
        self.unary(Unary::Exp, [0.0; 2])
    }

    /// The natural logarithm: -infinity at 0, NaN below.
    pub fn log(&self) -> Result<Tensor> {
        self.unary(Unary::Log, [0.0; 2])
    }

    /// The square root: NaN below 0.
    pub fn sqrt(&self) -> Result<Tensor> {
        self.unary(Unary::Sqrt, [0.0; 2])
    }

    /// x^2
    pub fn square(&self) -> Result<Tensor> {
        self.unary(Unary::Square, [0.0; 2])
    }

    /// The hyperbolic tangent, in (-1, 1).
    pub fn tanh(&self) -> Result<Tensor> {
        self.unary(Unary::Tanh, [0.0; 2])
    }

    /// 1 / (1 + e^-x), in (0, 1).
    pub fn sigmoid(&self) -> Result<Tensor> {
        self.unary(Unary::Sigmoid, [0.0; 2])
    }

    /// x above 0, else 0; its gradient at 0 is 0.
    pub fn relu(&self) -> Result<Tensor> {
        self.unary(Unary::Relu, [0.0; 2])
    }

    /// x above 0, else `slope` x.
    pub fn leaky_relu(&self, slope: f64) -> Result<Tensor> {
        self.unary(Unary::LeakyRelu, [slope, 0.0])
    }

    /// x above 0, else `alpha` (e^x - 1).
    pub fn elu(&self, alpha: f64) -> Result<Tensor> {
        self.unary(Unary::Elu, [alpha, 0.0])
    }

    /// x (1 + erf(x / sqrt 2)) / 2: x, weighted by how likely a standard normal number is below it.
    pub fn gelu(&self) -> Result<Tensor> {
        self.unary(Unary::Gelu, [0.0; 2])
    }

    /// log(1 + e^(`beta` x)) / `beta`, a smooth relu; simply x where `beta` x is above `threshold`.
    pub fn softplus(&self, beta: f64, threshold: f64) -> Result<Tensor> {
        self.unary(Unary::Softplus, [beta, threshold])
    }

    /// x, but not below `min` nor above `max`; no gradient flows where x was cut.
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Tensor> {
        self.unary(Unary::Clamp, [min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY)])
    }

    /// `f` of every element, keeping what its derivative is computed from.
    pub(super) fn unary(&self, f: Unary, params: [f64; 2]) -> Result<Tensor> {
        let x = self.storage();
        let y = Arc::new(elementwise::unary(f, params, &x)?);
        let saved = match f.saves() {
            Saved::Nothing => None,
            Saved::X => Some(x),
            Saved::Y => Some(y.clone()),
        };
        Ok(Tensor::from_op(f.name(), y, self.shape(), &[self], move |dy, _| {
            Ok(vec![Some(elementwise::unary_backward_in_place(f, params, saved.as_deref(), dy)?)])
        }))
    }
}
