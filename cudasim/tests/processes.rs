//! The simulator as other programs meet it: found through LD_LIBRARY_PATH, and told by the environment
//! what to be. Each test starts this program once more, as such a program.

#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::symlink;
use std::process::Command;

use common::{library, row};
use cudarc::driver::sys::CUresult::CUDA_ERROR_NO_DEVICE;
use cudarc::driver::{CudaContext, PushKernelArg as _, sys};
use cudarc::nvrtc::compile_ptx;

/// Runs the child's test of a name, with variables set: whether it went well, and what it wrote.
fn child(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (package, name) in [("cudasim_driver", "libcuda.so.1"), ("cudasim_nvrtc", "libnvrtc.so.13")] {
        symlink(library(package), folder.path().join(name)).expect("a link");
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("LD_LIBRARY_PATH", folder.path());
    let output = command.envs(variables.iter().copied()).output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn fill(n: usize) -> Result<Vec<f32>, cudarc::driver::DriverError> {
    let context = CudaContext::new(0)?;
    let stream = context.default_stream();
    let source = "extern \"C\" __global__ void fill(float* y) {
        if (threadIdx.x == 7) printf(\"thread %d\\n\", threadIdx.x);
        y[threadIdx.x] = threadIdx.x; }";
    let kernel = context.load_module(compile_ptx(source).expect("it compiles"))?.load_function("fill")?;
    let mut y = stream.alloc_zeros::<f32>(n)?;
    unsafe { stream.launch_builder(&kernel).arg(&mut y).launch(row(1, 64)) }?;
    stream.clone_dtoh(&y)
}

#[test]
#[ignore = "runs in a child"]
fn child_fills() {
    assert!(unsafe { sys::is_culib_present() && cudarc::nvrtc::sys::is_culib_present() });
    let y = fill(64).unwrap();
    assert!(y.iter().enumerate().all(|(i, y)| *y == i as f32));
}

#[test]
#[ignore = "runs in a child"]
fn child_writes_out_of_bounds() {
    fill(60).unwrap();
}

#[test]
#[ignore = "runs in a child"]
fn child_sees_two_old_devices() {
    assert_eq!(CudaContext::device_count().unwrap(), 2);
    let second = CudaContext::new(1).unwrap();
    assert_eq!(second.compute_capability().unwrap(), (7, 5));
    assert_eq!(second.total_mem().unwrap(), 1000);
    let mut version = 0;
    unsafe { sys::cuDriverGetVersion(&mut version) };
    assert_eq!(version, 11080);
    assert!(second.default_stream().alloc_zeros::<u8>(1001).is_err());
}

#[test]
#[ignore = "runs in a child"]
fn child_sees_no_device() {
    assert_eq!(CudaContext::new(0).unwrap_err().0, CUDA_ERROR_NO_DEVICE);
}

#[test]
#[ignore = "runs in a child"]
fn child_dies_of_its_own_mistake() {
    fill(64).unwrap();
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
}

#[test]
fn a_program_finds_it_through_its_library_path() {
    let (well, said) = child("child_fills", &[]);
    assert!(well && said.contains("thread 7\n"), "{said}");
    // Several at once, and in any order.
    std::thread::scope(|scope| {
        for order in ["backward", "shuffled:3"] {
            scope.spawn(move || assert!(child("child_fills", &[("CUDASIM_ORDER", order)]).0));
        }
    });
}

#[test]
fn a_mistake_is_written_to_the_standard_error() {
    let (well, said) = child("child_writes_out_of_bounds", &[]);
    let expected = "cudasim: fill: block (0, 0, 0), thread (60, 0, 0): illegal write 0 bytes past the end of memory of y (240 bytes)\n";
    assert!(!well && said.contains(expected), "{said}");
    let (_, said) = child("child_writes_out_of_bounds", &[("CUDASIM_QUIET", "1")]);
    assert!(!said.contains("cudasim: fill"), "{said}");
}

#[test]
fn the_environment_says_which_devices_there_are() {
    let old = [
        ("CUDASIM_DEVICES", "2"),
        ("CUDASIM_ARCH", "75"),
        ("CUDASIM_MEMORY", "1000"),
        ("CUDASIM_DRIVER_VERSION", "11080"),
    ];
    let (well, said) = child("child_sees_two_old_devices", &old);
    assert!(well, "{said}");
    let (well, said) = child("child_sees_no_device", &[("CUDASIM_DEVICES", "0")]);
    assert!(well, "{said}");
}

#[test]
fn the_environment_plans_failures() {
    for (plan, expected) in [
        ("alloc:1", "OUT_OF_MEMORY"),
        ("launch:1", "LAUNCH_FAILED"),
        ("alloc:9,copy:1", "LAUNCH_FAILED"),
        ("module:1+", "OUT_OF_MEMORY"),
    ] {
        let (well, said) = child("child_fills", &[("CUDASIM_FAIL", plan)]);
        assert!(!well && said.contains(expected), "{plan}: {said}");
    }
    let (_, said) = child("child_fills", &[("CUDASIM_FAIL", "luck:1")]);
    assert!(said.contains("CUDASIM_FAIL=luck:1 is none of"), "{said}");
}

#[test]
fn a_mistake_of_the_program_itself_still_ends_it() {
    let (well, _) = child("child_dies_of_its_own_mistake", &[]);
    assert!(!well);
}
