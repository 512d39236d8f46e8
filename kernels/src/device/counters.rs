//! What a GPU costs its host.

use std::time::Duration;

/// What a device was asked to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Kernels launched. A CUDA graph, whatever it holds, is one launch.
    pub launches: u64,
    /// Those of them that filled a new buffer with NaN, which debug builds do.
    pub poisonings: u64,
    /// Command buffers that wgpu submitted; CUDA graphs launched.
    pub submissions: u64,
    /// Bytes copied to the device. With wgpu the kernels' parameters are among them; a CUDA launch carries
    /// its own.
    pub bytes_up: u64,
    /// Bytes copied back, with each read the table of faults.
    pub bytes_down: u64,
    /// Time the host spent on launches: recording them with wgpu, handing them to the driver with CUDA.
    /// Compiling kernels is not counted, nor are CUDA graphs.
    pub launch_time: Duration,
    /// Time the host spent handing what was recorded to the driver, and waiting for it to be taken. With
    /// CUDA, where launches are not gathered, it stays 0.
    pub submit_time: Duration,
}
