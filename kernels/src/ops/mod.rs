//! One folder per op: the formula and the size checks in `mod.rs`, the loops in `cpu.rs`, the same
//! kernels in CUDA C++ in `.cu` files and as compute shaders in `.wgsl` files.
//!
//! Where an op has a ladder of ever faster kernels, its module has `RUNGS`, their names from the
//! plain one up, and beside `forward` a `forward_rung(rung, ..)` that runs the one asked for.
//! `forward` itself takes the top one.

pub mod batch_norm;
pub mod conv;
pub mod convert;
pub mod cross_entropy;
#[cfg(all(test, feature = "cuda"))]
mod cuda_text;
pub mod dropout;
pub mod elementwise;
pub mod grid_sample;
pub mod layout;
pub mod loss;
pub mod matmul;
#[cfg(all(test, unix, feature = "cuda"))]
mod nvrtc;
pub mod optimizer;
pub mod pool;
pub mod reduce;
#[cfg(test)]
mod shaders;
pub mod softmax;

/// The text of all GPU kernels.
#[cfg(test)]
static SOURCES: &[&crate::device::Source] = &[
    &batch_norm::gpu::SOURCE,
    &conv::gpu::SOURCE,
    &conv::gpu::TILED,
    &convert::SOURCE,
    &cross_entropy::gpu::SOURCE,
    &dropout::SOURCE,
    &elementwise::BINARY_SOURCE,
    &elementwise::SOURCE,
    &elementwise::UNARY_SOURCE,
    &grid_sample::gpu::AFFINE,
    &grid_sample::gpu::BRICKS,
    &grid_sample::gpu::SOURCE,
    &layout::INDEX_SELECT_SOURCE,
    &layout::SOURCE,
    &loss::gpu::SOURCE,
    &matmul::SOURCE,
    &matmul::TILED_SOURCE,
    &optimizer::ADAGRAD_SOURCE,
    &optimizer::ADAM_SOURCE,
    &optimizer::RMSPROP_SOURCE,
    &optimizer::SGD_SOURCE,
    &pool::COLUMNS_SOURCE,
    &pool::SOURCE,
    &reduce::EXTREME_SOURCE,
    &reduce::SOURCE,
    &softmax::SOURCE,
];
