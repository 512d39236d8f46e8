//! One file per op family: the forward call and, right under it, its backward rule.

mod arithmetic;
mod batch_norm;
mod conv;
mod convert;
mod cross_entropy;
mod dropout;
mod elementwise;
mod grid_sample;
mod layout;
mod loss;
mod matmul;
mod pool;
mod reduce;
mod softmax;

pub use conv::{ConvOptions, Then};
pub use cross_entropy::CrossEntropyOptions;
pub use grid_sample::PaddingMode;
pub use loss::Reduction;
pub use pool::PoolOptions;
