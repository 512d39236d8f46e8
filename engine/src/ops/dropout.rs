//! Dropout; the formula stands in `kernels/src/ops/dropout/mod.rs`.

use voxgrad_kernels::ops::dropout::{self, Dropout};

use crate::error::shape_error;
use crate::random::next_call;
use crate::{Result, Tensor};

impl Tensor {
    /// Zeroes each element with probability `p` and divides the others by `1 - p`. It always
    /// drops: whether to is the layer's decision. Draws from this thread's generator.
    ///
    /// # Errors
    /// When `p` is not in 0..=1.
    pub fn dropout(&self, p: f64) -> Result<Tensor> {
        self.dropout_op("dropout", p, 1)
    }

    /// As [`Tensor::dropout`], for whole channels of `[N, C, ...]`: what neighbouring pixels or voxels
    /// share cannot be learnt from their neighbours.
    pub fn dropout_channels(&self, p: f64) -> Result<Tensor> {
        let shape = self.shape();
        if shape.len() < 2 {
            return shape_error("dropout_channels", format!("expected [N, C, ...], got {shape}"));
        }
        self.dropout_op("dropout_channels", p, shape[2..].iter().product())
    }

    fn dropout_op(&self, op: &'static str, p: f64, group: usize) -> Result<Tensor> {
        let draws = next_call();
        let params = Dropout::new(self.numel() as u32, group as u32, draws.seed, draws.offset);
        let y = dropout::forward(&params, p, &self.storage())?;
        Ok(Tensor::from_op(op, y, self.shape(), &[self], move |dy, _| {
            Ok(vec![Some(dropout::forward(&params, p, dy)?.into())])
        }))
    }
}
