//! Losses between two tensors of one shape; the formulas stand in `kernels/src/ops/loss/mod.rs`.

use std::sync::Arc;

use voxgrad_kernels::ops::loss::{self, Inputs, Kind, Side};

pub use voxgrad_kernels::ops::loss::Reduction;

use crate::error::shape_error;
use crate::{Result, Shape, Tensor, no_grad};

impl Tensor {
    /// The squared error `(self - target)^2`.
    ///
    /// # Errors
    /// When the shapes differ; so for all losses here.
    pub fn mse_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        self.loss("mse_loss", Kind::Mse, target, [None, None], reduction)
    }

    /// The absolute error `|self - target|`.
    pub fn l1_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        self.loss("l1_loss", Kind::L1, target, [None, None], reduction)
    }

    /// Half the squared error up to `delta`, beyond it `delta` times the absolute error less `delta / 2`.
    ///
    /// # Errors
    /// When `delta` is not above 0.
    pub fn huber_loss(&self, target: &Tensor, delta: f64, reduction: Reduction) -> Result<Tensor> {
        self.loss("huber_loss", Kind::Huber { delta }, target, [None, None], reduction)
    }

    /// The cross-entropy `-t log(x) - (1 - t) log(1 - x)` of probabilities x and targets t; `weight` is
    /// broadcast to their shape.
    ///
    /// # Errors
    /// When an element of this tensor is not in 0..=1; on a GPU whatever is next read from the device
    /// gives that error.
    pub fn binary_cross_entropy(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        self.loss("binary_cross_entropy", Kind::Bce, target, [weight, None], reduction)
    }

    /// The cross-entropy of `sigmoid(x)` for logits x, without its overflow; `pos_weight` multiplies the
    /// part of the positives, and it and `weight` are broadcast to the logits' shape.
    pub fn binary_cross_entropy_with_logits(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        let op = "binary_cross_entropy_with_logits";
        self.loss(op, Kind::BceWithLogits, target, [weight, pos_weight], reduction)
    }

    fn loss(
        &self,
        op: &'static str,
        kind: Kind,
        target: &Tensor,
        weights: [Option<&Tensor>; 2],
        reduction: Reduction,
    ) -> Result<Tensor> {
        if self.shape() != target.shape() {
            let (x, t) = (self.shape(), target.shape());
            return shape_error(op, format!("the input is {x}, the target {t}; they must be alike"));
        }
        let mut full = [None, None];
        for (full, weight) in full.iter_mut().zip(weights) {
            if let Some(weight) = weight {
                if weight.shape().broadcast(self.shape(), op)? != *self.shape() {
                    let (w, x) = (weight.shape(), self.shape());
                    return shape_error(op, format!("the weight {w} has more elements than the input {x}"));
                }
                // No gradient flows to weights.
                *full = Some(no_grad(|| weight.expand(self.shape()))?.storage());
            }
        }
        let [weight, pos_weight] = full;
        let (x, t) = (self.storage(), target.storage());
        let inputs = Inputs { x: &x, t: &t, weight: weight.as_deref(), pos_weight: pos_weight.as_deref() };
        let y = loss::forward(kind, reduction, &inputs)?;
        let shape = match reduction {
            Reduction::None => self.shape().clone(),
            Reduction::Mean | Reduction::Sum => Shape::default(),
        };
        Ok(Tensor::from_op(op, y, shape, &[self, target], move |dloss, wanted| {
            let inputs =
                Inputs { x: &x, t: &t, weight: weight.as_deref(), pos_weight: pos_weight.as_deref() };
            let grad = |side| loss::backward(kind, reduction, side, &inputs, dloss);
            let dx = wanted[0].then(|| grad(Side::Input)).transpose()?;
            let dt = wanted[1].then(|| grad(Side::Target)).transpose()?;
            Ok(vec![dx.map(Arc::new), dt.map(Arc::new)])
        }))
    }
}
