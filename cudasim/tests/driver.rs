//! What the driver does besides running kernels: devices, memory, streams, events, modules, failures.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::c_void;
use std::ptr::null_mut;

use common::{compile, row, simulator, status};
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_IMAGE,
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS,
};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg as _, result, sys};
use cudarc::nvrtc::Ptx;

#[test]
fn a_device_says_what_it_is() {
    let s = simulator();
    assert_eq!(CudaContext::device_count().unwrap(), 1);
    assert!(s.context.name().unwrap().starts_with("cudasim"));
    assert_eq!(s.context.compute_capability().unwrap(), (9, 0));
    assert_eq!(s.context.total_mem().unwrap(), 4 << 30);
    let warp = s.context.attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE).unwrap();
    let threads =
        s.context.attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK).unwrap();
    assert_eq!((warp, threads), (32, 1024));
    assert!(CudaContext::new(1).is_err(), "there is no second one");
    let mut version = 0;
    assert_eq!(unsafe { sys::cuDriverGetVersion(&mut version) }, CUDA_SUCCESS);
    assert_eq!(version, 13000);
}

#[test]
fn memory_is_counted_capped_and_checked() {
    let s = simulator();
    s.memory(1 << 20);
    let (free, total) = s.context.mem_get_info().unwrap();
    assert_eq!((free, total), (1 << 20, 1 << 20));
    let half = s.stream.alloc_zeros::<u8>(1 << 19).unwrap();
    assert_eq!(s.context.mem_get_info().unwrap().0, 1 << 19);
    assert_eq!(status(s.stream.alloc_zeros::<u8>((1 << 19) + 1)), CUDA_ERROR_OUT_OF_MEMORY);
    let other = s.stream.alloc_zeros::<u8>(1 << 19).unwrap();
    drop((half, other));
    assert_eq!(s.context.mem_get_info().unwrap().0, 1 << 20);

    // Copies and fills keep to what they are given.
    let buffer = s.stream.clone_htod(&[1_u32, 2, 3, 4]).unwrap();
    let (at, mut back) = (s.address(&buffer), [0_u32; 5]);
    unsafe {
        assert_eq!(status(result::memcpy_dtoh_sync(&mut back, at)), CUDA_ERROR_INVALID_VALUE);
        assert_eq!(status(result::memset_d8_sync(at + 8, 0xff, 9)), CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuMemsetD32_v2(at + 4, 7, 2), CUDA_SUCCESS);
        result::memcpy_dtod_sync(at + 12, at, 4).unwrap();
        result::memcpy_dtoh_sync(&mut back[..4], at).unwrap();
        assert_eq!(back, [1, 7, 7, 1, 0]);
        assert_eq!(sys::cuMemFree_v2(at + 4), CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuMemAlloc_v2(&mut 0, 0), CUDA_ERROR_INVALID_VALUE);
    }
    // Fresh memory is no zeros, and no numbers.
    let fresh = unsafe { s.stream.alloc::<f32>(100) }.unwrap();
    assert!(s.stream.clone_dtoh(&fresh).unwrap().iter().all(|x| x.is_nan()));
}

#[test]
fn pinned_memory_is_the_hosts_and_the_devices() {
    let s = simulator();
    let kernel = s.kernel("extern \"C\" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }", "twice");
    let pinned = unsafe { result::malloc_host(16, 0) }.unwrap().cast::<f32>();
    let values = unsafe { std::slice::from_raw_parts_mut(pinned, 4) };
    values.copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
    let address = pinned as u64;
    unsafe { s.stream.launch_builder(&kernel).arg(&address).launch(row(1, 4)) }.unwrap();
    assert_eq!(s.wait(), Ok(()));
    assert_eq!(values, [2.0, 4.0, 6.0, 8.0]);
    unsafe { result::free_host(pinned.cast()) }.unwrap();
    assert_eq!(status(unsafe { result::free_host(pinned.cast()) }), CUDA_ERROR_INVALID_VALUE);
}

#[test]
fn launches_are_checked() {
    let s = simulator();
    let source = "extern \"C\" __global__ __launch_bounds__(64) void nothing() {}";
    let kernel = s.kernel(source, "nothing");
    let launch = |config: LaunchConfig| unsafe { s.stream.launch_builder(&kernel).launch(config) };
    let most = LaunchConfig { grid_dim: (3, 65_535, 1), block_dim: (4, 4, 4), shared_mem_bytes: 48 << 10 };
    assert!(launch(most).is_ok());
    let refused = [
        row(0, 1),
        row(1, 0),
        row(1, 65),
        LaunchConfig { grid_dim: (1, 65_536, 1), ..row(1, 1) },
        LaunchConfig { shared_mem_bytes: (48 << 10) + 1, ..row(1, 1) },
    ];
    for config in refused {
        assert_eq!(status(launch(config)), CUDA_ERROR_INVALID_VALUE, "{config:?}");
    }
    // A kernel can be allowed more shared memory than others.
    use sys::CUfunction_attribute_enum::{
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as DYNAMIC,
        CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK as THREADS,
    };
    assert_eq!(kernel.get_attribute(THREADS).unwrap(), 64);
    kernel.set_attribute(DYNAMIC, 100 << 10).unwrap();
    assert!(launch(LaunchConfig { shared_mem_bytes: 100 << 10, ..row(1, 1) }).is_ok());
    assert_eq!(status(kernel.set_attribute(DYNAMIC, 228 << 10)), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(s.wait(), Ok(()));
}

#[test]
fn arguments_may_come_in_one_buffer() {
    let s = simulator();
    let source = "extern \"C\" __global__ void put(char c, double d, float* y) { y[0] = c, y[1] = d; }";
    let kernel = s.kernel(source, "put");
    let y = s.stream.alloc_zeros::<f32>(2).unwrap();
    let mut buffer = [0_u8; 24];
    buffer[0] = 5;
    buffer[8..16].copy_from_slice(&0.25_f64.to_ne_bytes());
    buffer[16..].copy_from_slice(&s.address(&y).to_ne_bytes());
    let mut size = buffer.len();
    let key = std::ptr::without_provenance_mut;
    let mut extra: [*mut c_void; 5] =
        [key(1), buffer.as_mut_ptr().cast(), key(2), (&raw mut size).cast(), null_mut()];
    let launch = |extra: *mut *mut c_void| unsafe {
        sys::cuLaunchKernel(
            kernel.cu_function(),
            1,
            1,
            1,
            1,
            1,
            1,
            0,
            s.stream.cu_stream(),
            null_mut(),
            extra,
        )
    };
    assert_eq!(launch(extra.as_mut_ptr()), CUDA_SUCCESS);
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [5.0, 0.25]);
    let mut short = 23_usize;
    extra[3] = (&raw mut short).cast();
    assert_eq!(launch(extra.as_mut_ptr()), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(launch(null_mut()), CUDA_ERROR_INVALID_VALUE);
}

#[test]
fn a_broken_context_stays_broken_until_it_is_gone() {
    let s = simulator();
    let kernel = s.kernel("extern \"C\" __global__ void wild(float* y) { y[1] = 0; }", "wild");
    let mut y = s.stream.alloc_zeros::<f32>(1).unwrap();
    // The launch itself succeeds: what went wrong shows when somebody waits.
    unsafe { s.stream.launch_builder(&kernel).arg(&mut y).launch(row(1, 1)) }.unwrap();
    for _ in 0..2 {
        assert_eq!(s.wait(), Err(CUDA_ERROR_ILLEGAL_ADDRESS));
        assert_eq!(status(s.stream.alloc_zeros::<f32>(1)), CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_eq!(status(unsafe { result::memset_d8_sync(0, 0, 1) }), CUDA_ERROR_ILLEGAL_ADDRESS);
    }
    drop((y, kernel, s));
    let s = simulator();
    assert!(s.stream.alloc_zeros::<f32>(1).is_ok());
}

#[test]
fn failures_can_be_planned() {
    let kernel_of = |s: &common::Simulator| s.kernel("extern \"C\" __global__ void nothing() {}", "nothing");
    let s = simulator();
    s.fail_next("alloc", 2);
    let fine = s.stream.alloc_zeros::<u8>(8);
    assert_eq!(status(s.stream.alloc_zeros::<u8>(8)), CUDA_ERROR_OUT_OF_MEMORY);
    assert!(fine.is_ok() && s.stream.alloc_zeros::<u8>(8).is_ok(), "once, and nothing is broken");

    let kernel = kernel_of(&s);
    s.fail_next("launch", 1);
    let launch = |kernel| status(unsafe { s.stream.launch_builder(kernel).launch(row(1, 1)) });
    assert_eq!(launch(&kernel), CUDA_ERROR_LAUNCH_FAILED);
    assert_eq!(s.wait(), Err(CUDA_ERROR_LAUNCH_FAILED));
    drop((fine, kernel, s));

    let s = simulator();
    let kernel = kernel_of(&s);
    s.fail_next("kernel", 1);
    unsafe { s.stream.launch_builder(&kernel).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.wait(), Err(CUDA_ERROR_LAUNCH_FAILED));
    assert_eq!(s.message(), "nothing: fails because it was told to");
    drop((kernel, s));

    let s = simulator();
    let buffer = s.stream.clone_htod(&[1.0_f32]).unwrap();
    s.fail_next("copy", 2);
    assert!(s.stream.clone_dtoh(&buffer).is_ok());
    assert_eq!(status(s.stream.clone_dtoh(&buffer)), CUDA_ERROR_LAUNCH_FAILED);
    drop((buffer, s));
}

#[test]
fn images_that_are_no_modules_are_refused() {
    let s = simulator();
    let image = compile("extern \"C\" __global__ void kernel() {}");
    let mut bytes = image.as_bytes().unwrap().to_vec();
    let module = s.context.load_module(Ptx::from_binary(bytes.clone())).unwrap();
    assert!(module.load_function("kernel").is_ok() && module.load_function("other").is_err());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(status(s.context.load_module(Ptx::from_binary(bytes))), CUDA_ERROR_INVALID_IMAGE);
    let real = b"\x7fELF\x02\x01\x01\x41\x08".to_vec();
    assert_eq!(status(s.context.load_module(Ptx::from_binary(real))), CUDA_ERROR_INVALID_IMAGE);
    let ptx = Ptx::from_src(".version 9.0\n.target sm_90\n");
    assert_eq!(status(s.context.load_module(ptx)), CUDA_ERROR_INVALID_IMAGE);
}

#[test]
fn events_measure_time_and_streams_do_their_work_at_once() {
    let s = simulator();
    let source = "extern \"C\" __global__ void work(float* y) { for (int i = 0; i < 100000; i++) *y = sqrtf(*y + i); }";
    let kernel = s.kernel(source, "work");
    let mut y = s.stream.alloc_zeros::<f32>(1).unwrap();
    let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    let start = s.stream.record_event(timed).unwrap();
    unsafe { s.stream.launch_builder(&kernel).arg(&mut y).launch(row(1, 1)) }.unwrap();
    let end = s.stream.record_event(timed).unwrap();
    let other = s.context.new_stream().unwrap();
    other.wait(&end).unwrap();
    end.synchronize().unwrap();
    assert!(start.elapsed_ms(&end).unwrap() > 0.0);
    let untimed = s.stream.record_event(None).unwrap();
    assert_eq!(status(start.elapsed_ms(&untimed)), CUDA_ERROR_INVALID_HANDLE);

    extern "C" fn called(data: *mut c_void) {
        unsafe { *data.cast::<i32>() += 1 };
    }
    let mut calls = 0;
    let code = unsafe { sys::cuLaunchHostFunc(s.stream.cu_stream(), Some(called), (&raw mut calls).cast()) };
    assert_eq!((code, calls), (CUDA_SUCCESS, 1));
}

#[test]
fn several_threads_use_one_device() {
    let s = simulator();
    let source = "extern \"C\" __global__ void fill(float* y, float value) {
        __shared__ float shared; if (threadIdx.x == 0) shared = value; __syncthreads(); y[threadIdx.x] = shared; }";
    let kernel = s.kernel(source, "fill");
    std::thread::scope(|scope| {
        for value in 0..4 {
            let (s, kernel, value) = (&s, &kernel, value as f32);
            scope.spawn(move || {
                let stream = s.context.new_stream().unwrap();
                for _ in 0..50 {
                    let mut y = stream.alloc_zeros::<f32>(64).unwrap();
                    let mut launch = stream.launch_builder(kernel);
                    unsafe { launch.arg(&mut y).arg(&value).launch(row(1, 64)) }.unwrap();
                    assert_eq!(stream.clone_dtoh(&y).unwrap(), [value; 64]);
                }
            });
        }
    });
}
