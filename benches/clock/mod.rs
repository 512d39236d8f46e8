//! How the benches time: what is shared by them.

use std::hint::black_box;
use std::time::Instant;

use criterion::Bencher;
use voxgrad_engine::Device;

/// The device that `VOXGRAD_BENCH_DEVICE` names; the CPU without it.
pub fn device() -> Device {
    let name = std::env::var("VOXGRAD_BENCH_DEVICE").unwrap_or_else(|_| "cpu".into());
    Device::by_name(&name).unwrap_or_else(|error| panic!("{error}"))
}

/// Times `step`. A GPU is waited for once, after as many steps as criterion asks for: as in a training,
/// the host may be ahead of it.
pub fn time<T>(b: &mut Bencher, device: &Device, mut step: impl FnMut() -> T) {
    if *device == Device::Cpu {
        return b.iter(step);
    }
    b.iter_custom(|steps| {
        device.synchronize().unwrap();
        let start = Instant::now();
        for _ in 0..steps {
            black_box(step());
        }
        device.synchronize().unwrap();
        start.elapsed()
    })
}
