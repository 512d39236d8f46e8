//! CIFAR-2, birds vs airplanes: "Deep Learning with PyTorch", chapters 7 and 8.
//!
//! Small colour pictures, 32 x 32, of two of CIFAR-10's classes. [`run`] is the whole lesson:
//! `cargo run --release --example birds_vs_airplanes` only reads the command line for it.

pub mod nets;
mod predictions;
mod run;
mod settings;
mod variants;

pub use predictions::draw_predictions;
pub use run::run;
pub use settings::Settings;
pub use variants::{MODELS, Printed, Quirks, Span, Variant};
