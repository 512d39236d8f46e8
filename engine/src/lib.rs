//! Tensors that remember how they were made.
//!
//! [`Tensor`] is a shape and a buffer, and, where gradients are wanted, the record of the op that
//! made it. [`Tensor::backward`] walks those records back and leaves the gradients at the leaves.
//! On top stand the layers ([`nn`]), the optimizers ([`optim`]) and the data loading ([`data`]).

mod autograd;
pub mod checkpoint;
mod columns;
pub mod data;
mod error;
pub mod gradcheck;
pub mod graph;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod profile;
pub mod random;
mod recorder;
mod shape;
mod statistics;
mod tensor;
mod train_step;

pub use autograd::{is_grad_enabled, no_grad};
pub use error::{Error, Result};
pub use random::manual_seed;
pub use shape::{PerDim, Shape};
pub use statistics::Statistics;
pub use tensor::Tensor;
pub use train_step::TrainStep;
pub use voxgrad_kernels::{DType, Device, Element, compute_here};
