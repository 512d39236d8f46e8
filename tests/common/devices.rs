//! Which devices a test runs on.

use voxgrad_engine::{Device, Result};

/// The names of all kinds of devices.
const KINDS: [&str; 3] = ["cpu", "wgpu", "cuda"];

/// Every device of this machine. One that isn't there is left out with a printed line, or, when
/// `VOXGRAD_REQUIRE` (for example `cpu,wgpu`) names it, fails the test.
pub fn present() -> Vec<Device> {
    KINDS.into_iter().filter_map(find).collect()
}

/// The device of this kind, if there is one.
pub fn find(kind: &str) -> Option<Device> {
    let device = match kind {
        "wgpu" => wgpu(),
        _ => Device::by_name(kind).map_err(Into::into),
    };
    device.map_err(|error| super::require::skip(kind, error)).ok()
}

/// The name that `Device::by_name` takes for a device.
pub fn name_of(device: &Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Cuda(_) => device.to_string().split(' ').next().unwrap().into(),
        Device::Wgpu(gpu) => format!("wgpu:{}", gpu.adapter_name()),
    }
}

/// A hardware GPU, or where there is none the first adapter in software: a test wants its kernels
/// run, however slowly.
fn wgpu() -> Result<Device> {
    let software = |error| match Device::wgpu_adapters().first() {
        Some(adapter) if std::env::var_os("VOXGRAD_WGPU_ADAPTER").is_none() => {
            Device::wgpu_named(&adapter.name)
        }
        _ => Err(error),
    };
    Ok(Device::wgpu().or_else(software)?)
}
