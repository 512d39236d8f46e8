//! CIFAR-10 in ten classes: a PyTorch course's lesson 5.
//!
//! Six convolutions and three linear layers, trained with Adam; the training loss keeps falling while the
//! validation loss turns: over-fitting, and what helps against it. [`run`] is the whole lesson:
//! `cargo run --release --example cifar10` only reads the command line for it.

mod net;
mod pictures;
mod run;
mod settings;
mod test;

pub use net::Cifar10Cnn;
pub use run::{run, summary};
pub use settings::Settings;
