//! CIFAR-2, birds vs airplanes: "Deep Learning with PyTorch", chapters 7 and 8.
//!
//! Small colour pictures, 32 x 32, of two of CIFAR-10's classes. [`run`] is the whole lesson:
//! `cargo run --release --example birds_vs_airplanes` only reads the command line for it. [`run_table`]
//! trains all the chapter's networks and puts them side by side; [`see`] shows what convolutions are
//! and what the trained network sees.

pub mod nets;
mod predictions;
mod run;
mod see;
mod settings;
mod table;
mod variants;

pub use predictions::draw_predictions;
pub use run::{run, summary};
pub use see::{SeeSettings, apply_kernel, convolution_by_hand, see};
pub use settings::Settings;
pub use table::{TableSettings, run_table};
pub use variants::{MODELS, Printed, Quirks, Span, Variant};
