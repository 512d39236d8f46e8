//! MNIST digits: a lecture's deep network, and what its choices change.
//!
//! [`run`] is the whole lesson: training on four fifths of the images, validation on the others after
//! every epoch, one test with the weights of the lowest validation loss. `cargo run --release --example
//! mnist` only reads the command line for it. [`compare`] puts runs with other activations, optimizers
//! or batch normalisation side by side.

mod compare;
pub mod net;
mod pictures;
mod run;
mod settings;
mod test;

pub use compare::compare;
pub use run::{run, summary};
pub use settings::Settings;
