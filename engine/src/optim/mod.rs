//! Optimizers, and schedules for their learning rate.
//!
//! An optimizer holds a network's parameters and, after `backward`, moves each along its gradient.
//! Settings, defaults and order of operations are PyTorch's; the formulas stand in
//! `kernels/src/ops/optimizer/mod.rs`.
//! ```text
//! optimizer.zero_grad();
//! loss.backward()?;
//! optimizer.step()?;
//! ```

mod adagrad;
mod adam;
mod parameters;
mod rmsprop;
mod schedule;
mod sgd;

pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW, AdamWith};
pub use rmsprop::RMSprop;
pub use schedule::{CosineAnnealingLR, ExponentialLR, MultiStepLR, OneCycleLR, Schedule, StepLR};
pub use sgd::SGD;

use crate::{Error, Result, Tensor};

/// Changes parameters along their gradients.
pub trait Optimizer: Send {
    /// Moves every parameter that has a gradient.
    fn step(&mut self) -> Result<()>;

    /// Takes the last [`Optimizer::step`] back where nothing of it has run on the device, because the training
    /// step could not be recorded (see [`TrainStep`](crate::TrainStep)): what it counted on the host. An
    /// optimizer that counts nothing has nothing to do.
    fn take_back(&mut self) {}

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self);

    /// The parameters, in the order they were given.
    fn parameters(&self) -> &[Tensor];

    /// The learning rate of the next step.
    fn lr(&self) -> f64;

    /// Sets the learning rate of the next step.
    ///
    /// # Errors
    /// [`Error::Value`] unless it is a finite number of at least 0.
    fn set_lr(&mut self, lr: f64) -> Result<()>;

    /// A snapshot of what the optimizer remembers about parameter N of its list, such as
    /// `momentum_buffer.N`, and how many steps it has taken, `step.N`. With it and the parameters a
    /// training goes on as if it had never stopped.
    fn state(&self) -> Result<Vec<(String, Tensor)>>;

    /// Goes on from a [`Optimizer::state`].
    ///
    /// # Errors
    /// [`Error::StateDict`] names everything missing, unexpected or mis-shaped; then nothing has
    /// been changed.
    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()>;
}

/// Everything but `step`, for an optimizer whose field `parameters` holds them.
macro_rules! shared_methods {
    () => {
        fn take_back(&mut self) {
            self.parameters.take_back();
        }

        fn zero_grad(&self) {
            self.parameters.zero_grad();
        }

        fn parameters(&self) -> &[Tensor] {
            self.parameters.tensors()
        }

        fn lr(&self) -> f64 {
            self.lr
        }

        fn set_lr(&mut self, lr: f64) -> Result<()> {
            self.lr = $crate::optim::at_least_zero(self.parameters.optimizer, "lr", lr)?;
            Ok(())
        }

        fn state(&self) -> Result<Vec<(String, Tensor)>> {
            self.parameters.state()
        }

        fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
            self.parameters.load_state(state)
        }
    };
}
use shared_methods;

/// `value`, if it is a finite number of at least 0.
fn at_least_zero(what: &'static str, name: &str, value: f64) -> Result<f64> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => {
            let message = format!("{name} is {value}, it must be a finite number of at least 0");
            Err(Error::Value { what, message })
        }
    }
}

/// `value`, if it is at least 0 and below 1: the share of an average that is kept.
fn below_one(what: &'static str, name: &str, value: f64) -> Result<f64> {
    match (0.0..1.0).contains(&value) {
        true => Ok(value),
        false => {
            let message = format!("{name} is {value}, it must be at least 0 and below 1");
            Err(Error::Value { what, message })
        }
    }
}

#[cfg(test)]
mod tests;
