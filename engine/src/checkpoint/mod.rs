//! Checkpoints: named tensors and a few words about them in one file. Written as safetensors; read as
//! safetensors or as PyTorch's own `.pt`.
//!
//! Safetensors (<https://github.com/huggingface/safetensors>) is what PyTorch, JAX and others read and
//! write:
//! ```text
//! 8 bytes    n, the length of the header, little-endian
//! n bytes    the header, JSON: {"conv1.weight": {"dtype": "F32", "shape": [16, 3, 3, 3],
//!            "data_offsets": [0, 1728]}, .., "__metadata__": {"epoch": "7"}}
//! the rest   the elements of all tensors, little-endian, without a gap
//! ```
//! u32 is written as I64, PyTorch's type for counts, labels and indices. Read are F32 and F64 as they
//! are, F16 and BF16 as f32, whole numbers and booleans as u32.
//!
//! A `.pt` file, `torch.save(model.state_dict(), "net.pt")`, is a zip archive with a Python pickle of the
//! state dict and a file of raw elements for each storage. A pickle is a program that can do anything; the
//! one who reads it here knows the few steps that build a state dict, and refuses all others by name.

mod atomic;
mod describe;
mod elements;
mod from_safetensors;
mod load;
mod save;
mod torch;
mod visible;

pub use atomic::write_atomically;
pub use load::{Checkpoint, Entry, load, read};
pub use save::save;
pub(crate) use visible::{NAME, visible};

/// The key of the header that names no tensor.
const METADATA: &str = "__metadata__";

#[cfg(test)]
mod tests;
