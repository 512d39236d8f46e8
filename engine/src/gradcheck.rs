//! Checks a backward rule against finite differences.
//!
//! For every element `x_i` of every input, the derivative that `backward` gives is compared with
//! the central difference, both in f64:
//! ```text
//! dL/dx_i  =  (L(x + e_i eps) - L(x - e_i eps)) / (2 eps) + O(eps^2)        L(x) = sum_k w_k f(x)_k
//! ```
//! An op with many outputs becomes one number `L` with fixed pseudo-random weights `w`, so that
//! no two outputs can hide each other's mistakes. Near a kink (relu at 0, two equal maxima) the
//! difference means nothing: keep the inputs a few `eps` away from them.

use crate::random::Rng;
use crate::{DType, Error, Shape, Tensor, no_grad};

/// How far an input is moved to either side.
pub const EPS: f64 = 1e-6;
/// The difference that is always allowed.
pub const ATOL: f64 = 1e-5;
/// The difference allowed per unit of the finite difference.
pub const RTOL: f64 = 1e-3;

/// Why a gradient check failed.
#[derive(Debug, thiserror::Error)]
pub enum GradcheckError {
    /// A backward rule and the finite difference disagree.
    #[error(
        "gradcheck {op}: at input {input} {shape}, index {index:?}, backward gives {analytic:e}, \
         finite differences give {numeric:e} (allowed: {ATOL:e} + {RTOL:e} x |finite difference|)"
    )]
    Mismatch {
        /// The name of the op.
        op: String,
        /// Which input, counted from 0.
        input: usize,
        /// Its shape.
        shape: Shape,
        /// Which element of it.
        index: Vec<usize>,
        /// The derivative by the backward rule.
        analytic: f64,
        /// The derivative by central differences.
        numeric: f64,
    },
    /// Differences in f32 are mostly rounding.
    #[error("gradcheck {op}: input {input} is {dtype}; finite differences need f64")]
    NotF64 {
        /// The name of the op.
        op: String,
        /// Which input, counted from 0.
        input: usize,
        /// What it is.
        dtype: DType,
    },
    /// The op itself refused.
    #[error("gradcheck {op}: {source}")]
    Op {
        /// The name of the op.
        op: String,
        /// What it said.
        source: Error,
    },
}

/// Compares `function`'s backward rule with central differences at every element of every f64 input, and
/// returns how many derivatives were compared. `op` names the function in errors. u32 inputs
/// (labels, indices) are handed through. A function that draws random numbers must draw the same ones at
/// every call: seed it inside.
///
/// Step and tolerances are PyTorch's: [`EPS`], [`ATOL`], [`RTOL`].
///
/// # Errors
/// At the first derivative that is wrong, see [`GradcheckError::Mismatch`]; when an input is f32;
/// when the function itself fails.
///
/// ```
/// use voxgrad_engine::gradcheck::gradcheck;
/// use voxgrad_engine::{Device, Tensor};
///
/// let x = Tensor::new(&[0.3f64, -1.2, 0.7, 0.1, 2.0, -0.4], [2, 3], &Device::cpu())?;
/// let compared = gradcheck("softmax", &[x], |x| x[0].softmax(1))?;
/// assert_eq!(compared, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn gradcheck(
    op: &str,
    inputs: &[Tensor],
    function: impl Fn(&[Tensor]) -> crate::Result<Tensor>,
) -> Result<usize, GradcheckError> {
    if let Some(input) = inputs.iter().position(|x| x.dtype() == DType::F32) {
        return Err(GradcheckError::NotF64 { op: op.into(), input, dtype: DType::F32 });
    }
    let refused = |source| GradcheckError::Op { op: op.into(), source };
    let (weights, grads) = by_backward(inputs, &function).map_err(refused)?;
    let mut compared = 0;
    for (input, x) in inputs.iter().enumerate().filter(|(_, x)| x.dtype() == DType::F64) {
        for flat in 0..x.numel() {
            let numeric = by_differences(inputs, input, flat, &weights, &function).map_err(refused)?;
            let analytic = grads[input].get(flat).copied().unwrap_or(0.0);
            // Written so that a NaN on either side fails.
            let agree = (analytic - numeric).abs() <= ATOL + RTOL * numeric.abs();
            if !agree {
                let shape = x.shape().clone();
                let index = unravel(flat, &shape);
                return Err(GradcheckError::Mismatch {
                    op: op.into(),
                    input,
                    shape,
                    index,
                    analytic,
                    numeric,
                });
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// The weights `w` and, per input, the gradient that `backward` gives for `L`: empty where no
/// gradient arrived, which means it is zero.
fn by_backward(
    inputs: &[Tensor],
    function: impl Fn(&[Tensor]) -> crate::Result<Tensor>,
) -> crate::Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|x| if x.dtype() == DType::F64 { x.detach().requires_grad() } else { x.detach() })
        .collect();
    let y = function(&leaves)?;
    let mut rng = Rng::new(0, 0);
    // Between 0.5 and 1.5 with either sign: none so small that an output goes unseen.
    let mut weight = || f64::from((0.5 + rng.uniform()) * if rng.below(2) == 0 { 1.0 } else { -1.0 });
    let weights: Vec<f64> = (0..y.numel()).map(|_| weight()).collect();
    y.backward_with(&Tensor::new(&weights, y.shape(), &y.device())?)?;
    let grads = leaves.iter().map(|x| x.grad().map_or(Ok(Vec::new()), |grad| grad.to_vec::<f64>()));
    Ok((weights, grads.collect::<crate::Result<_>>()?))
}

/// The central difference of `L` at element `flat` of input number `input`.
fn by_differences(
    inputs: &[Tensor],
    input: usize,
    flat: usize,
    weights: &[f64],
    function: impl Fn(&[Tensor]) -> crate::Result<Tensor>,
) -> crate::Result<f64> {
    let moved_by = |eps: f64| {
        let x = &inputs[input];
        let mut values = x.to_vec::<f64>()?;
        values[flat] += eps;
        let mut moved: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
        moved[input] = Tensor::new(&values, x.shape(), &x.device())?;
        no_grad(|| function(&moved))?.to_vec::<f64>()
    };
    let (up, down) = (moved_by(EPS)?, moved_by(-EPS)?);
    // Each output's difference first, then the sum: large outputs cancel before they are added.
    let change: f64 = weights.iter().zip(up.iter().zip(&down)).map(|(w, (up, down))| w * (up - down)).sum();
    Ok(change / (2.0 * EPS))
}

/// The index, one number per dimension, of the element at `flat` in row-major order.
fn unravel(flat: usize, shape: &Shape) -> Vec<usize> {
    shape.strides().iter().zip(shape.iter()).map(|(stride, size)| flat / stride % size).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voxgrad_kernels::{
        Storage,
        ops::softmax::{self, Softmax},
    };

    use super::*;
    use crate::Device;

    fn input() -> Tensor {
        Tensor::new(&[0.3f64, -1.2, 0.7, 0.1, 2.0, -0.4], [2, 3], &Device::cpu()).unwrap()
    }

    /// Softmax with a backward rule in which element 4 is `factor` times what it should be.
    fn wrong_softmax(x: &Tensor, factor: f64) -> crate::Result<Tensor> {
        let p = Softmax { outer: 2, dim: 3, inner: 1, log: 0 };
        let y = x.detach().softmax(1)?.storage();
        let saved = y.clone();
        Ok(Tensor::from_op("wrong", y, x.shape(), &[x], move |dy, _| {
            let mut dx = softmax::backward(&p, &saved, dy)?.to_vec::<f64>()?;
            dx[4] *= factor;
            Ok(vec![Some(Arc::new(Storage::from_slice(&Device::cpu(), &dx)?))])
        }))
    }

    #[test]
    fn a_right_rule_passes_and_is_counted() {
        assert_eq!(gradcheck("log_softmax", &[input()], |x| x[0].log_softmax(-1)).unwrap(), 6);
        assert_eq!(gradcheck("softmax", &[input()], |x| wrong_softmax(&x[0], 1.0)).unwrap(), 6);
    }

    #[test]
    fn one_wrong_element_is_named() {
        let error = gradcheck("wrong", &[input()], |x| wrong_softmax(&x[0], 1.01)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("gradcheck wrong: at input 0 [2, 3], index [1, 1]"), "{text}");
        let GradcheckError::Mismatch { analytic, numeric, .. } = error else { panic!("{text}") };
        assert!((analytic / numeric - 1.01).abs() < 1e-6, "{text}");
        assert!(text.contains(&format!("{analytic:e}")) && text.contains(&format!("{numeric:e}")), "{text}");
    }

    #[test]
    fn nan_is_wrong_too() {
        let error = gradcheck("nan", &[input()], |x| wrong_softmax(&x[0], f64::NAN)).unwrap_err();
        assert!(matches!(error, GradcheckError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let x = input().to_dtype(DType::F32).unwrap();
        let error = gradcheck("softmax", &[x], |x| x[0].softmax(1)).unwrap_err();
        assert!(error.to_string().contains("input 0 is f32"), "{error}");
        let error = gradcheck("softmax", &[input()], |x| x[0].softmax(7)).unwrap_err();
        assert!(error.to_string().contains("there is no dimension 7"), "{error}");
    }
}
