//! NVIDIA GPUs. This version of voxgrad has no CUDA kernels: the type has no values.

use crate::{Error, Result};

/// An open NVIDIA GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaDevice {}

impl CudaDevice {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// Always, until the CUDA backend exists.
    pub fn open(ordinal: usize) -> Result<CudaDevice> {
        Err(Error::DeviceUnavailable {
            name: format!("cuda:{ordinal}"),
            reason: "CUDA is not built in to this version of voxgrad; use --device cpu or --device wgpu"
                .into(),
        })
    }
}
