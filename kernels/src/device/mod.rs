//! Devices: where buffers live and kernels run.

pub mod cpu;
pub mod cuda;
pub mod wgpu;

use std::fmt;

pub use cuda::CudaDevice;
pub use wgpu::WgpuDevice;

use crate::{Error, Result};

/// A cheap handle to one device.
///
/// `CudaDevice` and `WgpuDevice` have no values until their backends exist, so the compiler knows
/// that a `match` on a device needs only the CPU arm. The day a backend arrives, it names every op
/// that still lacks a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// This machine's processor.
    Cpu,
    /// An NVIDIA GPU, through CUDA.
    Cuda(CudaDevice),
    /// A GPU through Vulkan, Metal or DX12.
    Wgpu(WgpuDevice),
}

impl Device {
    /// The processor.
    pub fn cpu() -> Device {
        Device::Cpu
    }

    /// The NVIDIA GPU number `ordinal`.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] says what is missing.
    pub fn cuda(ordinal: usize) -> Result<Device> {
        CudaDevice::open(ordinal).map(Device::Cuda)
    }

    /// The first hardware GPU that Vulkan, Metal or DX12 reaches.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] says what is missing.
    pub fn wgpu() -> Result<Device> {
        WgpuDevice::open().map(Device::Wgpu)
    }

    /// The fastest device there is: CUDA, then a GPU through wgpu, then the processor.
    pub fn best() -> Device {
        Device::cuda(0).or_else(|_| Device::wgpu()).unwrap_or(Device::Cpu)
    }

    /// The device a command line names: `auto`, `cpu`, `cuda`, `cuda:1` or `wgpu`.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] for a name that is none of these, or a device that isn't there.
    pub fn by_name(name: &str) -> Result<Device> {
        match name {
            "auto" => Ok(Device::best()),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Device::cuda(0),
            "wgpu" => Device::wgpu(),
            _ => match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
                Some(ordinal) => Device::cuda(ordinal),
                None => Err(Error::DeviceUnavailable {
                    name: name.into(),
                    reason: "there is no device of that name; use auto, cpu, cuda, cuda:N or wgpu".into(),
                }),
            },
        }
    }

    /// Waits until everything launched on this device has finished. The CPU never lags behind.
    pub fn synchronize(&self) -> Result<()> {
        match self.clone() {
            Device::Cpu => Ok(()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.clone() {
            Device::Cpu => f.write_str("cpu"),
        }
    }
}
