//! Which devices a test runs on.

use voxgrad_engine::Device;

/// The names of all kinds of devices.
const KINDS: [&str; 3] = ["cpu", "wgpu", "cuda"];

/// Every device of this machine. One that isn't there is left out with a printed line, or, when
/// `VOXGRAD_REQUIRE` (for example `cpu,wgpu`) names it, fails the test.
pub fn present() -> Vec<Device> {
    let mut devices = Vec::new();
    for kind in KINDS {
        match Device::by_name(kind) {
            Ok(device) => devices.push(device),
            Err(error) => super::require::skip(kind, error),
        }
    }
    devices
}
