//! Devices: where buffers live and kernels run.

mod buffer;
mod counters;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "cuda_off.rs"]
pub mod cuda;
pub mod fault;
pub mod kernel;
pub mod launches;
pub(crate) mod lines;
pub(crate) mod log;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod pool;
pub(crate) mod scratch;
#[cfg(feature = "wgpu")]
pub mod wgpu;
#[cfg(not(feature = "wgpu"))]
#[path = "wgpu_off.rs"]
pub mod wgpu;

use std::fmt;

pub(crate) use buffer::GpuBuffer;
pub use counters::Counters;
pub use cuda::CudaDevice;
pub use kernel::{Grid, Kernel, Source};
pub use wgpu::{Adapter, WgpuDevice};

use crate::{Error, Result, Storage};

/// A cheap handle to one device.
///
/// One that is left out of the build has no values, so the compiler knows that a `match` on a device does not
/// need its arm.
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

    /// The names of all NVIDIA GPUs that CUDA shows, by their number; none where something is missing that
    /// [`Device::cuda`] needs.
    pub fn cuda_cards() -> Vec<String> {
        cuda::cards()
    }

    /// The first hardware GPU that Vulkan, Metal or DX12 reaches, or the adapter that
    /// `VOXGRAD_WGPU_ADAPTER` names (see [`Device::wgpu_named`]).
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] says what is missing.
    pub fn wgpu() -> Result<Device> {
        WgpuDevice::open(None).map(Device::Wgpu)
    }

    /// The adapter whose name contains `name`, whatever the case of its letters, or whose number in
    /// [`Device::wgpu_adapters`] it is. This way a software adapter can be had too.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] lists the adapters there are.
    pub fn wgpu_named(name: &str) -> Result<Device> {
        WgpuDevice::open(Some(name)).map(Device::Wgpu)
    }

    /// All adapters that Vulkan, Metal or DX12 show, those in software included.
    pub fn wgpu_adapters() -> Vec<Adapter> {
        wgpu::adapters()
    }

    /// The fastest device there is: CUDA, then a GPU through wgpu, then the processor. A software
    /// adapter is taken only if `VOXGRAD_WGPU_ADAPTER` names it.
    pub fn best() -> Device {
        Device::cuda(0).or_else(|_| Device::wgpu()).unwrap_or(Device::Cpu)
    }

    /// The device a command line names: `auto`, `cpu`, `cuda`, `cuda:1`, `wgpu`, or `wgpu:NAME` as in
    /// [`Device::wgpu_named`].
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] for a name that is none of these, or a device that isn't there.
    pub fn by_name(name: &str) -> Result<Device> {
        match name {
            "auto" => return Ok(Device::best()),
            "cpu" => return Ok(Device::Cpu),
            "cuda" => return Device::cuda(0),
            "wgpu" => return Device::wgpu(),
            _ => {}
        }
        if let Some(adapter) = name.strip_prefix("wgpu:") {
            return Device::wgpu_named(adapter);
        }
        match name.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
            Some(ordinal) => Device::cuda(ordinal),
            None => Err(Error::DeviceUnavailable {
                name: name.into(),
                reason: "there is no device of that name; use auto, cpu, cuda, cuda:N, wgpu or wgpu:NAME"
                    .into(),
            }),
        }
    }

    /// Waits until everything launched on this device has finished. The CPU never lags behind.
    ///
    /// # Errors
    /// What went wrong on the device since the last wait: a lost device, a label that is no class.
    pub fn synchronize(&self) -> Result<()> {
        match self {
            Device::Cpu => Ok(()),
            Device::Cuda(gpu) => gpu.synchronize(),
            Device::Wgpu(gpu) => gpu.synchronize(),
        }
    }

    /// Bytes held by live buffers now.
    pub fn bytes_in_use(&self) -> u64 {
        match self {
            Device::Cpu => cpu::bytes_in_use(),
            Device::Cuda(gpu) => gpu.bytes_in_use(),
            Device::Wgpu(gpu) => gpu.bytes_in_use(),
        }
    }

    /// What a GPU was asked to do since it was opened.
    pub fn counters(&self) -> Counters {
        match self {
            Device::Cpu => Counters::default(),
            Device::Cuda(gpu) => gpu.counters(),
            Device::Wgpu(gpu) => gpu.counters(),
        }
    }

    /// Notes that the last launch was not part of the work.
    pub(crate) fn count_poisoning(&self) {
        match self {
            Device::Cpu => {}
            Device::Cuda(gpu) => gpu.count_poisoning(),
            Device::Wgpu(gpu) => gpu.count_poisoning(),
        }
    }

    /// Launches a GPU kernel: `params` is what it is told, `inputs` and then `outputs` are its
    /// buffers in the order of their bindings. Returns before the kernel has run.
    ///
    /// # Errors
    /// When the kernel cannot be compiled or its buffers are too large for the device.
    ///
    /// # Panics
    /// On the CPU, whose kernels are functions.
    pub(crate) fn launch<P: bytemuck::Pod + fmt::Debug>(
        &self,
        kernel: &'static Kernel,
        grid: Grid,
        params: &P,
        inputs: &[&Storage],
        outputs: &mut [&mut Storage],
    ) -> Result<()> {
        match self {
            Device::Cpu => unreachable!("{} is not a CPU kernel", kernel.entry),
            Device::Cuda(gpu) => gpu.launch(kernel, grid, params, inputs, outputs),
            Device::Wgpu(gpu) => gpu.launch(kernel, grid, params, inputs, outputs),
        }
    }
}

/// A panic in another thread leaves nothing behind that the next one could not use.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(gpu) => gpu.fmt(f),
            Device::Wgpu(gpu) => gpu.fmt(f),
        }
    }
}

/// For tests: a GPU of each kind, wgpu's in software if need be. A kind that isn't there is left out with
/// a line that says why, or fails the test when `VOXGRAD_REQUIRE` names it.
#[cfg(test)]
pub(crate) fn gpus() -> Vec<Device> {
    let software = |error| match Device::wgpu_adapters().first() {
        Some(adapter) if std::env::var_os("VOXGRAD_WGPU_ADAPTER").is_none() => {
            Device::wgpu_named(&adapter.name)
        }
        _ => Err(error),
    };
    let required = std::env::var("VOXGRAD_REQUIRE").unwrap_or_default();
    let all = [("wgpu", Device::wgpu().or_else(software)), ("cuda", Device::cuda(0))];
    let there = all.into_iter().filter_map(|(kind, device)| match device {
        Ok(gpu) => Some(gpu),
        Err(error) if required.contains(kind) => panic!("VOXGRAD_REQUIRE asks for {kind}: {error}"),
        Err(error) => {
            eprintln!("skipped, needs {kind}: {error}");
            None
        }
    });
    there.collect()
}
