//! GPUs through wgpu. This version of voxgrad has no compute shaders: the type has no values.

use crate::{Error, Result};

/// An open adapter of wgpu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WgpuDevice {}

impl WgpuDevice {
    /// Opens the first hardware adapter.
    ///
    /// # Errors
    /// Always, until the wgpu backend exists.
    pub fn open() -> Result<WgpuDevice> {
        Err(Error::DeviceUnavailable {
            name: "wgpu".into(),
            reason: "wgpu is not built in to this version of voxgrad; use --device cpu".into(),
        })
    }
}
