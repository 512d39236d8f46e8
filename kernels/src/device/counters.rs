//! What a GPU costs its host.

use std::time::Duration;

/// What a device was asked to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Kernels launched.
    pub launches: u64,
    /// Those of them that filled a new buffer with NaN, which debug builds do.
    pub poisonings: u64,
    /// Command buffers submitted.
    pub submissions: u64,
    /// Bytes copied to the device, parameters included.
    pub bytes_up: u64,
    /// Bytes copied back.
    pub bytes_down: u64,
    /// Time the host spent recording launches. Compiling kernels is not counted.
    pub launch_time: Duration,
    /// Time the host spent handing what was recorded to the driver, and waiting for it to be taken.
    pub submit_time: Duration,
}
