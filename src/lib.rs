//! voxgrad: a small tensor engine whose every kernel can be read and trusted.
//!
//! A [`Tensor`] is an array on a [`Device`]. Ops on tensors that require gradients remember how
//! they were made; [`Tensor::backward`] walks back and leaves the gradients at the leaves. On top
//! stand the layers ([`nn`]), the optimizers ([`optim`]), the data loading ([`data`]), and the
//! networks and training loops of *Deep Learning with PyTorch*, the book ([`models`]). Names and
//! meanings are PyTorch's.
//!
//! A network is a struct of layers and a forward pass, and a training loop is the five lines of
//! the book:
//!
//! ```
//! use voxgrad::nn::{Linear, Module};
//! use voxgrad::ops::CrossEntropyOptions;
//! use voxgrad::optim::{Optimizer, SGD};
//! use voxgrad::{Device, Tensor, manual_seed, module};
//!
//! module! {
//!     /// Tells which of two coordinates is the larger one.
//!     pub struct Larger {
//!         fc1: Linear = Linear::new(2, 8)?,
//!         fc2: Linear = Linear::new(8, 2)?,
//!     }
//!     forward(self, x) {
//!         let out = self.fc1.forward(x)?.tanh()?;
//!         self.fc2.forward(&out)
//!     }
//! }
//!
//! manual_seed(0);
//! let device = Device::cpu();
//! let model = Larger::new()?;
//! model.to(&device)?;
//! let mut optimizer = SGD::new(model.parameters(), 0.5)?;
//!
//! // points: [N, 2], classes: [N]
//! let points = Tensor::new(&[0.9f32, 0.1, -0.3, 0.4, 0.2, -0.8, 0.5, 0.7], [4, 2], &device)?;
//! let classes = Tensor::new(&[0u32, 1, 0, 1], [4], &device)?;
//! let mut last = f64::INFINITY;
//! for _ in 0..100 {
//!     let loss = model.forward(&points)?.cross_entropy(&classes, &CrossEntropyOptions::default())?;
//!     optimizer.zero_grad();
//!     loss.backward()?;
//!     optimizer.step()?;
//!     last = loss.item()?;
//! }
//! assert!(last < 0.1, "the loss is {last}");
//!
//! assert_eq!(model.named_parameters()[0].0, "fc1.weight");
//! assert_eq!(model.num_parameters(), 2 * 8 + 8 + 8 * 2 + 2);
//! # Ok::<(), voxgrad::Error>(())
//! ```
//!
//! # Where to go on
//! - Gradients of one's own ops are checked against finite differences by [`gradcheck`].
//! - A [`data::DataLoader`] makes shuffled batches; the same seed makes the same ones.
//! - A [`models::trainer::Trainer`] adds what a real run needs: measurements, pictures,
//!   checkpoints, and going on exactly where it stopped.
//! - [`models::cifar2`] is the first lesson, whole: birds vs airplanes, and the table of all the
//!   networks of its chapter.
//! - What runs on a device lies one level down, in [`kernels`]: one folder per op.
//!
//! # Errors
//! Whatever a caller, a file or a device can get wrong comes back as an [`Error`] that names the op,
//! every shape, and what was expected. A panic is a bug in the engine.

pub use voxgrad_engine::{
    DType, Device, Element, Error, PerDim, Result, Shape, Statistics, Tensor, TrainStep, checkpoint,
    compute_here, data, gradcheck, graph, is_grad_enabled, manual_seed, module, nn, no_grad, ops, optim,
    profile, random,
};
pub use voxgrad_kernels as kernels;
pub use voxgrad_models as models;
