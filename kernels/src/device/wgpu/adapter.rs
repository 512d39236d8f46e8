//! Which adapters there are, which one is meant, and what it must be able to do.

use std::sync::OnceLock;

use ::wgpu::{AdapterInfo, Backends, DeviceType, Features, Limits};

/// One adapter of this machine, as [`Device::wgpu_adapters`](crate::Device::wgpu_adapters) lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// The name its driver gives.
    pub name: String,
    /// The API it is reached by: Vulkan, Metal or Dx12.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// Whether it is a GPU, and not a program that plays one.
    pub hardware: bool,
}

/// An adapter that was chosen.
pub(super) struct Chosen {
    pub key: String,
    pub info: AdapterInfo,
    adapter: &'static ::wgpu::Adapter,
}

/// All adapters. They are asked for once: it takes a while, and drivers may print as they start.
fn all() -> &'static [::wgpu::Adapter] {
    static ALL: OnceLock<Vec<::wgpu::Adapter>> = OnceLock::new();
    let backends = Backends::VULKAN | Backends::METAL | Backends::DX12;
    ALL.get_or_init(|| {
        let mut descriptor = ::wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        // No layers for debugging: wgpu validates every call itself.
        descriptor.flags = ::wgpu::InstanceFlags::empty();
        pollster::block_on(::wgpu::Instance::new(descriptor).enumerate_adapters(backends))
    })
}

fn is_hardware(info: &AdapterInfo) -> bool {
    info.device_type != DeviceType::Cpu
}

/// See [`Device::wgpu_adapters`](crate::Device::wgpu_adapters).
pub fn adapters() -> Vec<Adapter> {
    let describe = |adapter: &::wgpu::Adapter| {
        let info = adapter.get_info();
        Adapter {
            hardware: is_hardware(&info),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            name: info.name,
        }
    };
    all().iter().map(describe).collect()
}

/// The adapter of that name, of the name in `VOXGRAD_WGPU_ADAPTER`, or the first hardware; or why
/// there is none.
pub(super) fn choose(name: Option<&str>) -> Result<Chosen, String> {
    let variable = std::env::var("VOXGRAD_WGPU_ADAPTER").ok().filter(|name| !name.trim().is_empty());
    let wanted = name.map(str::to_string).or(variable);
    let mut there: Vec<(usize, &'static ::wgpu::Adapter)> = all().iter().enumerate().collect();
    let names: Vec<String> = there.iter().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
    let Some(wanted) = wanted else {
        // The fastest kind first; of one kind the first.
        there.retain(|(_, adapter)| is_hardware(&adapter.get_info()));
        there.sort_by_key(|(_, adapter)| match adapter.get_info().device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            _ => 2,
        });
        return match there.into_iter().next() {
            Some(first) => Ok(chosen(first)),
            None if names.is_empty() => Err(NOTHING.to_string()),
            None => Err(format!(
                "only adapters in software were found ({}); to use one, name it: \
                 --device wgpu:NAME, or VOXGRAD_WGPU_ADAPTER=NAME",
                names.join(", ")
            )),
        };
    };
    let wanted = wanted.trim().to_lowercase();
    if wanted.is_empty() {
        return Err(format!("no adapter was named; there are {}", names.join(", ")));
    }
    let number = wanted.parse::<usize>().ok();
    let meant = |(i, adapter): &(usize, &::wgpu::Adapter)| match number {
        Some(number) => *i == number,
        None => adapter.get_info().name.to_lowercase().contains(&wanted),
    };
    match there.into_iter().find(meant) {
        Some(found) => Ok(chosen(found)),
        None if names.is_empty() => Err(NOTHING.to_string()),
        None => Err(format!("no adapter is called {wanted:?}; there are {}", names.join(", "))),
    }
}

const NOTHING: &str = "no GPU was found through Vulkan, Metal or DX12. Install the driver of your GPU; \
                       on Debian and Ubuntu, mesa-vulkan-drivers has one in software";

fn chosen((i, adapter): (usize, &'static ::wgpu::Adapter)) -> Chosen {
    let info = adapter.get_info();
    Chosen { key: format!("{i} {}", info.name), info, adapter }
}

/// What it is, how much an adapter has, and how much there must be.
type Need = (&'static str, fn(&Limits) -> u64, u64);

/// What every kernel counts on. All but the first are the least that WebGPU promises.
const NEEDED: [Need; 4] = [
    ("storage buffers in a shader", |l| l.max_storage_buffers_per_shader_stage.into(), 10),
    ("threads in a workgroup", |l| l.max_compute_invocations_per_workgroup.into(), 256),
    ("bytes of workgroup memory", |l| l.max_compute_workgroup_storage_size.into(), 16_384),
    ("workgroups in a row", |l| l.max_compute_workgroups_per_dimension.into(), 65_535),
];

/// The limits that an adapter lacks, in words.
fn lacking(limits: &Limits) -> Option<String> {
    let short = NEEDED.iter().filter(|(_, has, needed)| has(limits) < *needed);
    let words: Vec<String> =
        short.map(|(what, has, needed)| format!("{} {what}, {needed} are needed", has(limits))).collect();
    (!words.is_empty()).then(|| format!("the adapter has too little: {}", words.join("; ")))
}

/// The device of an adapter, with all that the adapter can do.
pub(super) fn open(chosen: &Chosen) -> Result<(::wgpu::Device, ::wgpu::Queue), String> {
    let limits = chosen.adapter.limits();
    if let Some(lacking) = lacking(&limits) {
        return Err(lacking);
    }
    let descriptor = ::wgpu::DeviceDescriptor {
        label: Some("voxgrad"),
        required_features: chosen.adapter.features() & Features::TIMESTAMP_QUERY,
        required_limits: limits,
        ..Default::default()
    };
    pollster::block_on(chosen.adapter.request_device(&descriptor)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        assert_eq!(lacking(&Limits { max_storage_buffers_per_shader_stage: 16, ..Limits::default() }), None);
        let small = Limits {
            max_storage_buffers_per_shader_stage: 8,
            max_compute_invocations_per_workgroup: 128,
            ..Limits::default()
        };
        assert_eq!(
            lacking(&small).unwrap(),
            "the adapter has too little: 8 storage buffers in a shader, 10 are needed; \
             128 threads in a workgroup, 256 are needed"
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        let error = choose(Some("no such adapter")).err().unwrap();
        assert!(error.starts_with("no adapter is called") || error == NOTHING, "{error}");
    }
}
