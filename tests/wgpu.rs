//! The device behind wgpu: what it refuses, what it reports, what it costs.

mod common;

use std::process::Command;

use voxgrad_engine::{DType, Device, Tensor};
use voxgrad_kernels::Storage;
use voxgrad_kernels::device::WgpuDevice;

/// The device, or nothing where there is none (a failure when `VOXGRAD_REQUIRE` names wgpu).
fn gpu() -> Option<(Device, WgpuDevice)> {
    let device = common::devices::find("wgpu")?;
    let Device::Wgpu(gpu) = device.clone() else { panic!("{device} is not behind wgpu") };
    Some((device, gpu))
}

#[test]
fn buffers_come_back_as_they_went() {
    let Some((device, _)) = gpu() else { return };
    for n in [0, 1, 3, 1000, 3 << 20] {
        let floats: Vec<f32> = (0..n).map(|i| i as f32 - 7.5).collect();
        let storage = Storage::from_slice(&device, &floats).unwrap();
        assert_eq!(storage.to_vec::<f32>().unwrap(), floats);
        assert_eq!(storage.copy().unwrap().to_vec::<f32>().unwrap(), floats);
        let labels: Vec<u32> = (0..n).map(|i| u32::MAX - i as u32).collect();
        let storage = Storage::from_slice(&device, &labels).unwrap();
        assert_eq!(storage.to_vec::<u32>().unwrap(), labels);
        assert!(storage.to_vec::<f32>().is_err());
        let zeros = Storage::zeros(&device, DType::U32, n).unwrap();
        assert_eq!(zeros.to_vec::<u32>().unwrap(), vec![0; n]);
    }
}

#[test]
fn several_buffers_are_read_at_once() {
    let Some((device, _)) = gpu() else { return };
    let tensors: Vec<Tensor> =
        (0..5u32).map(|n| Tensor::new(&vec![n; n as usize], [n as usize], &device).unwrap()).collect();
    let wanted: Vec<u32> = (0..5).flat_map(|n| vec![n; n as usize]).collect();
    assert_eq!(Tensor::read_all::<u32>(&tensors).unwrap(), wanted);
    assert!(Tensor::read_all::<f32>(&tensors).is_err());
}

#[test]
fn an_upload_comes_after_the_launches_before_it() {
    let Some((device, _)) = gpu() else { return };
    // The second buffer gets the memory of the first, which a launch that was not submitted yet reads.
    let ones = Tensor::full(1.0, [1 << 16], DType::F32, &device).unwrap();
    let doubled = ones.mul_scalar(2.0).unwrap();
    drop(ones);
    let fives = Tensor::new(&vec![5.0f32; 1 << 16], [1 << 16], &device).unwrap();
    assert_eq!(doubled.to_vec::<f32>().unwrap(), vec![2.0; 1 << 16]);
    assert_eq!(fives.to_vec::<f32>().unwrap(), vec![5.0; 1 << 16]);
}

#[test]
fn opening_it_twice_gives_one_device() {
    let Some((device, gpu)) = gpu() else { return };
    let adapters = Device::wgpu_adapters();
    assert!(adapters.iter().any(|adapter| adapter.name == gpu.adapter_name()), "{adapters:?}");
    let by_name = Device::by_name(&format!("wgpu:{}", gpu.adapter_name().to_uppercase())).unwrap();
    assert_eq!(by_name, device);
    let ones = Tensor::full(1.0, [2], DType::F32, &device).unwrap();
    let numbers = Tensor::new(&[1.0f32, 2.0], [2], &by_name).unwrap();
    assert_eq!(numbers.add(&ones).unwrap().to_vec::<f32>().unwrap(), [2.0, 3.0]);
}

fn refuses<T: std::fmt::Debug>(result: Result<T, impl std::fmt::Display + std::fmt::Debug>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn what_it_cannot_do_is_an_error_with_a_way_out() {
    let Some((device, gpu)) = gpu() else { return };
    refuses(Tensor::zeros([2], DType::F64, &device), &["f64", "f32 or u32", "to_dtype"]);
    refuses(Device::by_name("wgpu:no such GPU"), &["no adapter is called", gpu.adapter_name()]);
    refuses(Device::by_name("wgpu:99"), &["no adapter", gpu.adapter_name()]);

    let here = Tensor::zeros([2], DType::F32, &Device::cpu()).unwrap();
    let there = Tensor::zeros([2], DType::F32, &device).unwrap();
    refuses(here.add(&there), &["add", "cpu", gpu.adapter_name(), ".to(&device)"]);
    refuses(there.matmul(&here), &["matmul"]);
}

#[test]
fn a_buffer_larger_than_a_binding_is_refused_and_the_largest_works() {
    let Some((device, gpu)) = gpu() else { return };
    let most = (gpu.max_buffer_bytes() / 4) as usize;
    if let Some(over) = most.checked_add(1).filter(|&over| over <= u32::MAX as usize) {
        let asked = format!("{} bytes in one buffer", 4 * over);
        refuses(Tensor::zeros([over], DType::F32, &device), &[&asked, "can bind"]);
    }
    // Larger than the 128 MiB that WebGPU promises, where the adapter goes beyond.
    let n = most.min((128 << 20) / 4 + 5);
    let last = Tensor::full(3.0, [n], DType::F32, &device).unwrap().narrow(0, n - 3, 3).unwrap();
    assert_eq!(last.to_vec::<f32>().unwrap(), [3.0; 3]);
    common::say(format!("wgpu: a buffer of {} bytes on {device}", 4 * n));
}

/// What `KERNEL_LOG` prints, in a process of its own.
#[test]
fn kernel_log_shows_launches_times_and_sources() {
    if gpu().is_none() {
        return;
    }
    let log = |level: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "buffers_come_back_as_they_went", "--nocapture"])
            .env("KERNEL_LOG", level)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let launch = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("fill Fill { n: 1000, bits: 0 }"));
        line.unwrap_or_else(|| panic!("{text}")).to_string()
    };
    assert!(!log("0").contains("fill Fill"));
    assert!(launch(&log("1")).ends_with("groups 4 buffers [1000]"));
    let timed = launch(&log("2"));
    assert!(timed.contains(" us, ") && timed.ends_with(" GB/s"), "{timed}");
    let whole = log("3");
    assert!(whole.contains("// elementwise.wgsl") && whole.contains("fn fill("), "{whole}");
}
