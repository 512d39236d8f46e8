//! Matrix products and the linear layer's op; the formula stands in `kernels/src/ops/matmul/mod.rs`.

use std::sync::Arc;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::matmul::{self, Matmul};
use voxgrad_kernels::ops::reduce;

use crate::autograd::Grad;
use crate::error::shape_error;
use crate::{Result, Shape, Tensor, recorder};

impl Tensor {
    /// The matrix product, with PyTorch's rules: `[m, k] x [k, n]`; leading dimensions are batches
    /// and broadcast; a one-dimensional factor is a row on the left, a column on the right.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        match (self.ndim(), other.ndim()) {
            (0, _) | (_, 0) => {
                let (a, b) = (self.shape(), other.shape());
                shape_error("matmul", format!("both factors need a dimension, got {a} and {b}"))
            }
            (1, 1) => self.unsqueeze(0)?.matmul(other)?.squeeze(0),
            (1, _) => self.unsqueeze(0)?.matmul(other)?.squeeze(-2),
            (_, 1) => self.matmul(&other.unsqueeze(1)?)?.squeeze(-1),
            (_, 2) => {
                // One matrix on the right: all rows of the left factor at once.
                let (rows, k) = self.shape().split_at(self.ndim() - 1);
                let flat = self.reshape([rows.iter().product(), k[0]])?;
                let product = flat.matrix_product(other, self.shape(), other.shape())?;
                product.reshape([rows, &other.shape()[1..]].concat())
            }
            (_, _) => {
                let lead = |x: &Tensor| Shape::from(&x.shape()[..x.ndim() - 2]);
                let Ok(batch) = lead(self).broadcast(&lead(other), "matmul") else {
                    let (a, b) = (self.shape(), other.shape());
                    return shape_error("matmul", format!("the batches of {a} and {b} do not broadcast"));
                };
                let stretched = |x: &Tensor| {
                    let tail = &x.shape()[x.ndim() - 2..];
                    x.expand([&batch[..], tail].concat())?.reshape([batch.numel()?, tail[0], tail[1]])
                };
                let product =
                    stretched(self)?.matrix_product(&stretched(other)?, self.shape(), other.shape())?;
                product.reshape([&batch[..], &product.shape()[1..]].concat())
            }
        }
    }

    /// The products of two batches of matrices, `[b, m, k] x [b, k, n] -> [b, m, n]`.
    pub fn bmm(&self, other: &Tensor) -> Result<Tensor> {
        let (a, b) = (self.shape(), other.shape());
        if a.len() != 3 || b.len() != 3 || a[0] != b[0] {
            return shape_error("bmm", format!("{a} and {b} are not [b, m, k] and [b, k, n]"));
        }
        self.matrix_product(other, a, b)
    }

    /// `[(b,) m, k] x [(b,) k, n]`; errors name the shapes the caller gave.
    fn matrix_product(&self, other: &Tensor, given_a: &Shape, given_b: &Shape) -> Result<Tensor> {
        let (a, b) = (self.shape(), other.shape());
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        if b[b.len() - 2] != k {
            let message = format!("{given_a} has rows of {k}, {given_b} has columns of {}", b[b.len() - 2]);
            return shape_error("matmul", message);
        }
        let p = Matmul::new(a[..a.len() - 2].iter().product(), m, n, k);
        let (a, b) = (self.storage(), other.storage());
        let c = matmul::forward(&p, &a, &b, None)?;
        let shape = [&self.shape()[..self.ndim() - 1], &[n]].concat();
        Ok(Tensor::from_op("matmul", c, shape, &[self, other], move |dc, wanted| {
            let batch = p.batch as usize;
            // da = dc b^T, db = a^T dc
            let da = || matmul::forward(&Matmul::new(batch, m, k, n).transpose_b(), dc, &b, None);
            let db = || matmul::forward(&Matmul::new(batch, k, n, m).transpose_a(), &a, dc, None);
            Ok(vec![when(wanted[0], da)?, when(wanted[1], db)?])
        }))
    }

    /// `x weight^T + bias`: `x: [.., in]`, `weight: [out, in]`, `bias: [out]` give `[.., out]`.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        recorder::begin(weight);
        let (x, w) = (self.shape(), weight.shape());
        let (&[outputs, inputs], Some(&last)) = (&w[..], x.last()) else {
            let wanted = "input [.., in] and weight [out, in] expected";
            return shape_error("linear", format!("{wanted}, got {x} and {w}"));
        };
        if last != inputs {
            let message = format!("input {x} has rows of {last}, weight {w} takes {inputs}");
            return shape_error("linear", message);
        }
        if let Some(bias) = bias.filter(|bias| bias.shape()[..] != [outputs]) {
            return shape_error(
                "linear",
                format!("bias is {}, weight {w} has {outputs} outputs", bias.shape()),
            );
        }
        let rows = x[..x.len() - 1].iter().product();
        let (x, w, b) = (self.storage(), weight.storage(), bias.map(Tensor::storage));
        let y = matmul::forward(&Matmul::new(1, rows, outputs, inputs).transpose_b(), &x, &w, b.as_deref())?;
        let shape = [&self.shape()[..self.ndim() - 1], &[outputs]].concat();
        let all: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        Ok(Tensor::from_op("linear", y, shape, &all, move |dy, wanted| {
            // dx = dy w, dw = dy^T x, db = column sums of dy
            let dx = || matmul::forward(&Matmul::new(1, rows, inputs, outputs), dy, &w, None);
            let dw = || matmul::forward(&Matmul::new(1, outputs, inputs, rows).transpose_a(), dy, &x, None);
            let mut grads = vec![when(wanted[0], dx)?, when(wanted[1], dw)?];
            if let Some(&wanted) = wanted.get(2) {
                grads.push(bias_gradient(wanted, dy, [rows, outputs, 1])?);
            }
            Ok(grads)
        }))
    }
}

/// A gradient, computed only when somebody wants it.
pub(super) fn when(
    wanted: bool,
    gradient: impl FnOnce() -> voxgrad_kernels::Result<Storage>,
) -> Result<Grad> {
    if wanted { Ok(Some(Arc::new(gradient()?))) } else { Ok(None) }
}

/// The gradient of a bias, one number per channel: `dy: [n, channels, places]` summed over the rest.
pub(super) fn bias_gradient(wanted: bool, dy: &Arc<Storage>, shape: [usize; 3]) -> Result<Grad> {
    if !wanted {
        return Ok(None);
    }
    let sum = reduce::sum_dims(dy, &shape, &[true, false, true])?;
    Ok(Some(sum.map_or_else(|| dy.clone(), Arc::new)))
}
