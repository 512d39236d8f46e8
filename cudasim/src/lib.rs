//! What the simulated `libcuda` and `libnvrtc` have in common: what a compiled module looks like.
//!
//! `libnvrtc` makes a shared object out of a kernel's source; `libcuda` loads it and runs it. Between
//! them stand an [`Image`], the bytes that a program takes for a cubin, and the structs in [`seam`],
//! by which the loaded code and the driver talk to each other.

mod image;
pub mod seam;

pub use image::{Image, SEAM_VERSION};
