//! Checkpoints: named tensors and a few words about them in one safetensors file.
//!
//! The format (<https://github.com/huggingface/safetensors>) is what PyTorch, JAX and others read and
//! write:
//! ```text
//! 8 bytes    n, the length of the header, little-endian
//! n bytes    the header, JSON: {"conv1.weight": {"dtype": "F32", "shape": [16, 3, 3, 3],
//!            "data_offsets": [0, 1728]}, .., "__metadata__": {"epoch": "7"}}
//! the rest   the elements of all tensors, little-endian, without a gap
//! ```
//! u32 is written as I64, PyTorch's type for counts, labels and indices. Read are F32 and F64 as they
//! are, F16 and BF16 as f32, and I64 and U32 as u32.

mod atomic;
mod load;
mod save;

pub use atomic::write_atomically;
pub use load::load;
pub use save::save;

/// The key of the header that names no tensor.
const METADATA: &str = "__metadata__";

#[cfg(test)]
mod tests;
