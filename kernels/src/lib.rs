//! What runs on a device: flat buffers, arithmetic, and the kernels of every op.
//!
//! This crate knows devices and numbers. It knows no tensor and no gradient graph: an op here
//! takes flat row-major [`Storage`] buffers with the sizes beside them and gives a new buffer back.
//! Every op has one folder under [`ops`]: `mod.rs` holds its formula, its parameter struct and the
//! host function that checks sizes and picks the device; `cpu.rs` holds the loops, and the `.cu` and
//! `.wgsl` files the same kernels in CUDA C++ and as compute shaders.

pub mod device;
pub mod dtype;
mod error;
pub mod limits;
pub mod ops;
pub mod philox;
mod split;
mod storage;
mod threads;
mod wide;

pub use device::Device;
pub use dtype::{DType, Element, Float};
pub use error::{Error, Result};
pub use storage::Storage;
pub use threads::compute_here;
