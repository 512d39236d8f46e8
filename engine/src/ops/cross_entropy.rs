//! Losses on class labels; the formulas stand in `kernels/src/ops/cross_entropy/mod.rs`.

use voxgrad_kernels::ops::cross_entropy::{self, CrossEntropy, Target};

use crate::error::shape_error;
use crate::{Error, Result, Shape, Tensor, ops::Reduction};

/// How class losses are weighted, smoothed and put together.
#[derive(Debug, Clone, Default)]
pub struct CrossEntropyOptions {
    /// A weight per class, `[classes]`.
    pub weight: Option<Tensor>,
    /// The label whose samples do not count; -100 if none is named. Labels are u32: a negative one is
    /// held as its 32 bits in two's complement.
    pub ignore_index: Option<i64>,
    /// The share of the target spread over all classes, in 0..=1.
    pub label_smoothing: f64,
    /// How the losses of a batch become the result.
    pub reduction: Reduction,
}

impl Tensor {
    /// The cross-entropy between these logits, `[N, C]` or `[N, C, ...]`, and the classes in
    /// `target`, u32 `[N]` or `[N, ...]`: `-log(softmax(logits)[class])`, weighted and smoothed.
    /// The mean divides by the sum of the weights of the labels. No gradient flows to the weights.
    ///
    /// # Errors
    /// When the shapes do not fit, or a label is neither a class nor `ignore_index`. On a GPU a bad label
    /// makes the loss NaN, and whatever is next read from the device gives the error.
    pub fn cross_entropy(&self, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
        self.class_loss("cross_entropy", target, options)
    }

    /// The negative log-likelihood of the classes in `target`, where this tensor holds
    /// log-probabilities; shapes, options and errors as for [`Tensor::cross_entropy`].
    pub fn nll_loss(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        ignore_index: Option<i64>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        let weight = weight.cloned();
        let options = CrossEntropyOptions { weight, ignore_index, label_smoothing: 0.0, reduction };
        self.class_loss("nll_loss", target, &options)
    }

    fn class_loss(&self, op: &'static str, target: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
        let (shape, labels) = (self.shape(), target.shape());
        // A single sample, [C] with a label of shape [], has no dimension in front of the classes.
        let class_dim = shape.len().min(2).saturating_sub(1);
        if shape.is_empty() || *labels != Shape::from([&shape[..class_dim], &shape[class_dim + 1..]].concat())
        {
            let message =
                format!("expected scores [N, C, ...] and labels [N, ...], got {shape} and {labels}");
            return shape_error(op, message);
        }
        if let Some(weight) =
            options.weight.as_ref().filter(|weight| weight.shape()[..] != [shape[class_dim]])
        {
            let (weight, classes) = (weight.shape(), shape[class_dim]);
            return shape_error(op, format!("weight {weight} is not [{classes}], one per class of {shape}"));
        }
        let ignore_index = options.ignore_index.unwrap_or(-100);
        if i32::try_from(ignore_index).is_err() && u32::try_from(ignore_index).is_err() {
            let message = format!("ignore_index {ignore_index} is not a 32-bit label");
            return Err(Error::Value { what: op, message });
        }
        let p = CrossEntropy {
            outer: shape[..class_dim].iter().product::<usize>() as u32,
            classes: shape[class_dim] as u32,
            inner: shape[class_dim + 1..].iter().product::<usize>() as u32,
            ignore_index: ignore_index as u32,
            log_probabilities: (op == "nll_loss") as u32,
        };
        let (x, labels, label_smoothing) = (self.storage(), target.storage(), options.label_smoothing);
        let weight = options.weight.as_ref().map(Tensor::storage);
        let with = Target { labels: &labels, weight: weight.as_deref(), label_smoothing };
        let forward = cross_entropy::forward(&p, options.reduction, &x, &with)?;
        let shape = match options.reduction {
            Reduction::None => target.shape().clone(),
            Reduction::Mean | Reduction::Sum => Shape::default(),
        };
        let total_weight = forward.total_weight;
        Ok(Tensor::from_op(op, forward.loss, shape, &[self], move |dloss, _| {
            let with = Target { labels: &labels, weight: weight.as_deref(), label_smoothing };
            Ok(vec![Some(cross_entropy::backward(&p, &x, &with, total_weight.as_ref(), dloss)?.into())])
        }))
    }
}
