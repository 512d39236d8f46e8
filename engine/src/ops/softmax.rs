//! Softmax and log_softmax; the formulas stand in `kernels/src/ops/softmax/mod.rs`.

use voxgrad_kernels::ops::softmax::{self, Softmax};

use crate::{Result, Tensor};

impl Tensor {
    /// exp(x) / sum(exp(x)) along `dim`: positive, summing to 1. -1 is the last dimension.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        self.softmax_op("softmax", dim, false)
    }

    /// log(softmax(x)) along `dim`, without the overflow of taking the two apart.
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        self.softmax_op("log_softmax", dim, true)
    }

    fn softmax_op(&self, op: &'static str, dim: isize, log: bool) -> Result<Tensor> {
        let dim = self.shape().dim(op, dim)?;
        let product = |sizes: &[usize]| sizes.iter().product::<usize>() as u32;
        let p = Softmax {
            outer: product(&self.shape()[..dim]),
            dim: self.shape()[dim] as u32,
            inner: product(&self.shape()[dim + 1..]),
            log: log as u32,
        };
        let y = std::sync::Arc::new(softmax::forward(&p, &self.storage())?);
        let saved = y.clone();
        Ok(Tensor::from_op(op, y, self.shape(), &[self], move |dy, _| {
            Ok(vec![Some(softmax::backward(&p, &saved, dy)?.into())])
        }))
    }
}
