//! Which devices a test runs on.

use voxgrad_engine::Device;

/// The names of all kinds of devices.
const KINDS: [&str; 3] = ["cpu", "wgpu", "cuda"];

/// Every device of this machine. One that isn't there is left out with a printed line, or, when
/// `VOXGRAD_REQUIRE` (for example `cpu,wgpu`) names it, fails the test.
pub fn present() -> Vec<Device> {
    let required = std::env::var("VOXGRAD_REQUIRE").unwrap_or_default();
    let required: Vec<&str> = required.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = required.iter().find(|name| !KINDS.contains(name)) {
        panic!("VOXGRAD_REQUIRE names {unknown:?}; it takes a comma-separated list of {KINDS:?}");
    }
    let mut devices = Vec::new();
    for kind in KINDS {
        match Device::by_name(kind) {
            Ok(device) => devices.push(device),
            Err(error) if required.contains(&kind) => panic!("VOXGRAD_REQUIRE asks for {kind}: {error}"),
            Err(error) => super::say(format!("skipped on {kind}: {error}")),
        }
    }
    devices
}
