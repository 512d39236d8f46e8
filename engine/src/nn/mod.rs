//! Layers and networks.
//!
//! A [`Module`] is anything with a forward pass: a layer, or a network made of layers. Parameters
//! carry PyTorch's dotted names (`conv1.weight`) in PyTorch's order, so a checkpoint goes either
//! way. [`module!`](crate::module) writes a network's plumbing: fields, a constructor, a forward
//! pass, and nothing else.

mod containers;
mod conv;
mod dropout;
mod functions;
pub mod init;
mod linear;
mod macros;
mod norm;
mod pool;
mod state;
mod summary;
mod trace;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use crate::module;
use crate::ops::Then;
use crate::{DType, Device, Error, Result, Tensor};
pub use containers::Sequential;
pub use conv::{Conv, Conv2d, Conv3d};
pub use dropout::{ChannelDropout, Dropout, Dropout2d, Dropout3d};
pub use functions::{
    ELU, Flatten, GELU, GlobalAvgPool, GlobalMaxPool, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax,
    Softplus, Tanh,
};
pub use linear::Linear;
pub use norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d};
pub use pool::{AvgPool, AvgPool2d, AvgPool3d, MaxPool, MaxPool2d, MaxPool3d};
pub use summary::{Summary, SummaryRow};
pub(crate) use trace::layers;
#[doc(hidden)]
pub use trace::located;
pub use trace::{Step, Trace};

/// A layer or a network: something with parameters and a forward pass.
///
/// A layer of one's own writes `forward`, and [`Module::tensors`] if it has parameters. Everything
/// from [`Module::named_parameters`] on is provided and walks the children.
pub trait Module: Send + Sync {
    /// The output for the input `x`.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// The output for `x` with what follows in the same go, of a module that can: a convolution. [`Sequential`]
    /// asks for it.
    fn forward_joined(&self, _x: &Tensor, _then: Then) -> Option<Result<Tensor>> {
        None
    }

    /// What this module is when a convolution does it in the same go, if one can.
    fn as_then(&self) -> Option<Then> {
        None
    }

    /// The modules this one is made of, by field name, in the order of their definition.
    fn children(&self) -> Vec<(String, &dyn Module)> {
        Vec::new()
    }

    /// This module's own parameters, then its own buffers, by field name. Not those of children.
    fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
        Vec::new()
    }

    /// Sets this module's own training flag, if it has one. Call [`Module::train`] or
    /// [`Module::eval`], which reach the children too.
    fn set_training(&self, _on: bool) {}

    /// All parameters with their dotted names, depth first. A tensor that several modules share is
    /// listed once, under its first name.
    fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut found: Vec<(String, Tensor)> = Vec::new();
        for (name, slot) in state::slots(self) {
            if let Slot::Parameter(p) = slot
                && !found.iter().any(|(_, q)| q.is_same(p))
            {
                found.push((name, p.clone()));
            }
        }
        found
    }

    /// All parameters, each once: what an optimizer takes.
    fn parameters(&self) -> Vec<Tensor> {
        self.named_parameters().into_iter().map(|(_, p)| p).collect()
    }

    /// The tensors that belong to the state but are not trained, such as running means.
    fn named_buffers(&self) -> Vec<(String, Tensor)> {
        let slots = state::slots(self).into_iter();
        slots.filter_map(|(name, slot)| Some((name, slot.buffer()?.clone()))).collect()
    }

    /// How many numbers training can change.
    fn num_parameters(&self) -> usize {
        self.parameters().iter().map(Tensor::numel).sum()
    }

    /// Puts the module and all its children into training mode: dropout drops, batch-norm uses the
    /// statistics of the batch. New modules are in this mode.
    fn train(&self) {
        state::set_training(self, true);
    }

    /// Puts the module and all its children into evaluation mode.
    fn eval(&self) {
        state::set_training(self, false);
    }

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self) {
        self.parameters().iter().for_each(Tensor::zero_grad);
    }

    /// Moves all parameters and buffers to `device`, in place.
    fn to(&self, device: &Device) -> Result<()> {
        state::slots(self).iter().filter_map(|(_, slot)| slot.tensor()).try_for_each(|t| t.move_to(device))
    }

    /// Turns all parameters and buffers into `dtype`, f32 or f64, in place.
    ///
    /// # Errors
    /// [`Error::Value`] for a type that is not a float.
    fn to_dtype(&self, dtype: DType) -> Result<()> {
        if dtype == DType::U32 {
            let message = format!("parameters are f32 or f64, not {dtype}");
            return Err(Error::Value { what: "to_dtype", message });
        }
        let tensors = state::slots(self).into_iter().filter_map(|(_, slot)| slot.tensor().cloned());
        tensors.filter(|t| t.dtype() != DType::U32).try_for_each(|t| t.convert_to(dtype))
    }

    /// A snapshot of every parameter and buffer under its dotted name: what a checkpoint holds.
    /// Later training does not change it. Counters are u32 scalars.
    fn state_dict(&self) -> Result<Vec<(String, Tensor)>> {
        state::state_dict(self)
    }

    /// Puts the values of a [`Module::state_dict`], here or loaded from a file, into this module.
    /// They may come from another device and another float type.
    ///
    /// # Errors
    /// [`Error::StateDict`] names everything missing, unexpected or mis-shaped; then nothing has
    /// been changed.
    fn load_state_dict(&self, state: &[(String, Tensor)]) -> Result<()> {
        state::load_state_dict(self, state)
    }

    /// The forward pass of `x`, op by op, in the mode the module is in. All results of the ops are kept:
    /// it is for looking, not for training.
    ///
    /// ```
    /// use voxgrad_engine::nn::{Conv2d, Flatten, Linear, Module, Sequential, Tanh};
    /// use voxgrad_engine::{DType, Device, Tensor};
    ///
    /// let net = Sequential::new().append(Conv2d::new(3, 4, 3)?).append(Tanh);
    /// let net = net.append(Flatten::default()).append(Linear::new(4 * 6 * 6, 2)?);
    /// let trace = net.trace(&Tensor::zeros([1, 3, 8, 8], DType::F32, &Device::cpu())?);
    /// print!("{trace}");
    /// let ops: Vec<&str> = trace.steps.iter().map(|step| step.op).collect();
    /// assert_eq!(ops, ["input", "conv2d", "tanh", "flatten", "linear"]);
    ///
    /// let trace = net.trace(&Tensor::zeros([1, 3, 9, 9], DType::F32, &Device::cpu())?);
    /// let message = trace.output.unwrap_err().to_string();
    /// assert!(message.starts_with("3: linear: input [1, 196] has rows of 196"), "{message}");
    /// # Ok::<(), voxgrad_engine::Error>(())
    /// ```
    fn trace(&self, x: &Tensor) -> Trace {
        trace::trace(self, x)
    }

    /// A table of what the module does, in evaluation mode, with an input of shape `input`, the size of
    /// the batch first: each layer with its output's shape, its parameters and its multiply-adds.
    /// `print!("{}", net.summary(&[1, 3, 32, 32])?)` prints it.
    ///
    /// # Errors
    /// When the shape does not fit, with the layer it does not fit.
    fn summary(&self, input: &[usize]) -> Result<Summary> {
        summary::summary(self, input)
    }
}

/// One entry of a module's state.
#[derive(Debug, Clone, Copy)]
pub enum Slot<'a> {
    /// Trained: an optimizer changes it.
    Parameter(&'a Tensor),
    /// Not trained, but part of the state: a running mean.
    Buffer(&'a Tensor),
    /// A number the host counts, such as the batches seen so far.
    Counter(&'a AtomicU64),
}

impl<'a> Slot<'a> {
    fn tensor(self) -> Option<&'a Tensor> {
        match self {
            Slot::Parameter(t) | Slot::Buffer(t) => Some(t),
            Slot::Counter(_) => None,
        }
    }

    fn buffer(self) -> Option<&'a Tensor> {
        match self {
            Slot::Buffer(t) => Some(t),
            Slot::Parameter(_) | Slot::Counter(_) => None,
        }
    }
}

/// Whether a layer is in training mode, for layers that behave differently then. Starts as true.
#[derive(Debug)]
pub struct TrainingFlag(AtomicBool);

impl TrainingFlag {
    /// Whether training mode is on.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed) && !EVALUATING.get()
    }

    /// Turns training mode on or off.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

thread_local! {
    static EVALUATING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` as if every layer were in evaluation mode, and leaves the layers' flags alone.
fn evaluating<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EVALUATING.set(self.0);
        }
    }
    let _restore = Restore(EVALUATING.replace(true));
    body()
}

impl Default for TrainingFlag {
    fn default() -> TrainingFlag {
        TrainingFlag(AtomicBool::new(true))
    }
}

/// The parameters that are there.
fn slots_of<'a, const N: usize>(
    parameters: [(&'static str, Option<&'a Tensor>); N],
) -> impl Iterator<Item = (&'static str, Slot<'a>)> {
    parameters.into_iter().filter_map(|(name, tensor)| Some((name, Slot::Parameter(tensor?))))
}

/// Refuses a layer with a size of 0.
fn at_least_one(what: &'static str, sizes: &[(&str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        None => Ok(()),
        Some((name, _)) => Err(Error::Value { what, message: format!("{name} is 0, it must be at least 1") }),
    }
}
