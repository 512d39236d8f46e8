//! How a failing kernel shows. On a GPU, or on the simulator.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::*;
use crate::DType;
use crate::device::{Device, Source};

fn cuda() -> Option<CudaDevice> {
    crate::device::gpus().into_iter().find_map(|gpu| match gpu {
        Device::Cuda(cuda) => Some(cuda),
        _ => None,
    })
}

/// Runs this test alone in a process of its own, with a variable that tells it so.
fn in_a_child(test: &str, cache: Option<&Path>) -> Option<String> {
    if std::env::var_os("VOXGRAD_TEST_CHILD").is_some() {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("device::cuda::tests::{test}"), "--nocapture"]);
    command.env("VOXGRAD_TEST_CHILD", "1").envs(cache.map(|folder| ("VOXGRAD_CUDA_CACHE", folder)));
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// The device is gone, everybody is told which kernels ran, and a new one can be asked for.
#[test]
fn a_kernel_that_fails_loses_the_device() {
    static SOURCE: Source = Source {
        name: "trap",
        wgsl: "",
        cuda: r#"struct Trap { u32 n; };
            extern "C" __global__ __launch_bounds__(1) void fall(Trap p, float* x) {
                x[0] = 1.0f;
                if (p.n == 1) { __trap(); }
            }"#,
    };
    static TRAP: Kernel = Kernel::new(&SOURCE, "fall");
    static LATER: Source = Source {
        name: "later",
        wgsl: "",
        cuda: r#"struct Later { u32 n; };
            extern "C" __global__ __launch_bounds__(1) void come(Later p, float* x) { x[0] = 2.0f; }"#,
    };
    static COME: Kernel = Kernel::new(&LATER, "come");
    let Some(gpu) = cuda() else { return };
    if in_a_child("a_kernel_that_fails_loses_the_device", None).is_some() {
        return;
    }
    let device = Device::Cuda(gpu.clone());
    let mut x = Storage::zeros(&device, DType::F32, 4).unwrap();
    device.launch(&TRAP, Grid::groups(1), &[0u32], &[], &mut [&mut x]).unwrap();
    assert_eq!(x.to_vec::<f32>().unwrap()[0], 1.0);
    let said = [
        device
            .launch(&TRAP, Grid::groups(1), &[1u32], &[], &mut [&mut x])
            // It may show when another kernel's code is loaded.
            .and_then(|()| device.launch(&COME, Grid::groups(1), &[0u32], &[], &mut [&mut x]))
            .and_then(|()| device.synchronize()),
        device.synchronize(),
        x.to_vec::<f32>().map(drop),
        Storage::zeros(&device, DType::F32, 4).map(drop),
        x.copy().map(drop),
        gpu.begin_capture().map(drop),
    ];
    for error in said.map(Result::unwrap_err) {
        let message = error.to_string();
        assert!(matches!(error, Error::DeviceLost { .. }), "{message}");
        assert!(message.contains(gpu.name()) && message.contains("fall"), "{message}");
    }
    drop(x);
    // Whether the driver can start over is up to the driver.
    match Device::cuda(0) {
        Ok(again) => {
            assert_ne!(again, device);
            assert_eq!(Storage::zeros(&again, DType::F32, 2).unwrap().to_vec::<f32>().unwrap(), [0.0; 2]);
        }
        Err(error) => assert!(matches!(error, Error::DeviceUnavailable { .. }), "{error}"),
    }
}

#[test]
fn a_kernel_that_does_not_compile_is_shown_with_its_line() {
    static SOURCE: Source = Source {
        name: "wrong",
        wgsl: "",
        cuda: "#line 1 \"wrong.cu\"\nstruct P { u32 n; };\nextern \"C\" __global__ __launch_bounds__(1)\n\
               void wrong(P p, float* x) {\n    x[0] = unknown;\n}\n",
    };
    static WRONG: Kernel = Kernel::new(&SOURCE, "wrong");
    let Some(gpu) = cuda() else { return };
    let device = Device::Cuda(gpu);
    let mut x = Storage::zeros(&device, DType::F32, 4).unwrap();
    let error = device.launch(&WRONG, Grid::groups(1), &[0u32], &[], &mut [&mut x]).unwrap_err();
    let message = error.to_string();
    for word in ["kernel wrong: NVRTC", "unknown"] {
        assert!(message.contains(word), "{message}");
    }
    assert!(message.contains("wrong.cu(4)") || message.contains("wrong.cu:4"), "{message}");
    device.synchronize().unwrap();
}

/// A file of the cache that is whole and yet no machine code: compiled again and replaced.
#[test]
fn machine_code_that_the_driver_refuses_is_compiled_again() {
    if cuda().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = || in_a_child("machine_code_that_the_driver_refuses_is_compiled_again", Some(folder.path()));
    if run().is_none() {
        return; // the device has been opened, with a first kernel
    }
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    let code = b"no machine code";
    let checksum = Sha256::new().chain_update(path.file_stem().unwrap().to_str().unwrap()).chain_update(code);
    fs::write(&path, [&checksum.finalize()[..], code].concat()).unwrap();
    run();
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
}
