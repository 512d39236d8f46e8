//! wip
use crate::{Tensor, ops::Reduction};

/// How class losses are weighted, smoothed and put together.
#[derive(Debug, Clone, Default)]
pub struct CrossEntropyOptions {
    /// A weight per class, `[classes]`.
    pub weight: Option<Tensor>,
    /// The label whose samples do not count.
    pub ignore_index: Option<i64>,
    /// The share of the target spread over all classes, in 0..=1.
    pub label_smoothing: f64,
    /// How the losses of a batch become the result.
    pub reduction: Reduction,
}
