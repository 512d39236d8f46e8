//! What the simulator catches. Every mistake stands beside the kernel that does the same without it:
//! the one is caught, the other passes.

#![cfg(target_os = "linux")]

mod common;

use common::{ORDERS, Simulator, row, simulator};
use cudarc::driver::sys::CUresult;
use cudarc::driver::{LaunchConfig, PushKernelArg as _};

const FINE: Result<(), CUresult> = Ok(());
const ADDRESS: Result<(), CUresult> = Err(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
const FAILED: Result<(), CUresult> = Err(CUresult::CUDA_ERROR_LAUNCH_FAILED);

/// Runs a kernel on 64 floats in and 64 floats out, in one block of 64 threads: how it went, and what
/// came out.
fn run(s: &Simulator, body: &str) -> (Result<(), CUresult>, Vec<f32>) {
    run_with(s, body, LaunchConfig { shared_mem_bytes: 0, ..row(1, 64) })
}

fn run_with(s: &Simulator, body: &str, config: LaunchConfig) -> (Result<(), CUresult>, Vec<f32>) {
    let source = format!("extern \"C\" __global__ void kernel(const float* x, float* y) {{\n{body}\n}}");
    let kernel = s.kernel(&source, "kernel");
    let x: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let x = s.stream.clone_htod(&x).unwrap();
    let mut y = s.stream.alloc_zeros::<f32>(64).unwrap();
    unsafe { s.stream.launch_builder(&kernel).arg(&x).arg(&mut y).launch(config) }.unwrap();
    let went = s.wait();
    let y = if went.is_ok() { s.stream.clone_dtoh(&y).unwrap() } else { Vec::new() };
    (went, y)
}

#[test]
fn planted_access_out_of_bounds() {
    // Reads one element too many: no bounds check.
    let s = simulator();
    let (went, _) = run(&s, "int i = threadIdx.x; y[i] = x[i + 1];");
    assert_eq!(went, ADDRESS);
    let expected = "kernel: block (0, 0, 0), thread (63, 0, 0): illegal read 0 bytes past the end of memory of x (256 bytes)";
    assert_eq!(s.message(), expected);
    drop(s);

    // The twin.
    let s = simulator();
    let (went, y) = run(&s, "int i = threadIdx.x; y[i] = i + 1 < 64 ? x[i + 1] : 0;");
    assert_eq!((went, y[62], y[63]), (FINE, 63.0, 0.0));
}

/// Reverses a block through shared memory.
fn reverse(barrier: &str) -> String {
    format!(
        "__shared__ float tile[64]; int i = threadIdx.x; tile[i] = x[i];\n{barrier}\ny[i] = tile[63 - i];"
    )
}

#[test]
fn planted_missing_barrier() {
    let s = simulator();
    let right: Vec<f32> = (0..64).rev().map(|i| i as f32).collect();
    for order in ORDERS {
        s.order(order);
        // Whoever runs first reads what nobody has written yet: NaN.
        let (went, y) = run(&s, &reverse(""));
        assert_eq!(went, FINE);
        assert!(y.iter().any(|y| y.is_nan()), "{order}: {y:?}");
        // The twin.
        assert_eq!(run(&s, &reverse("__syncthreads();")), (FINE, right.clone()), "{order}");
    }
}

#[test]
fn planted_missing_barrier_that_one_order_hides() {
    let s = simulator();
    // Every thread reads what a thread of a lower number has written: right, as long as they run
    // forwards; a second barrier is missing, so that the tile is overwritten too early.
    let body = |barrier: &str| {
        format!(
            "__shared__ float tile[64]; int i = threadIdx.x; float sum = 0;
             tile[i] = x[i];
             {barrier}
             sum = tile[i == 0 ? 0 : i - 1];
             y[i] = sum;"
        )
    };
    let right: Vec<f32> = (0..64).map(|i: i32| (i - 1).max(0) as f32).collect();
    assert_eq!(run(&s, &body("")), (FINE, right.clone()), "forwards it goes unseen");
    for order in ["backward", "shuffled"] {
        s.order(order);
        assert_ne!(run(&s, &body("")).1, right, "{order}");
        assert_eq!(run(&s, &body("__syncthreads();")), (FINE, right.clone()), "{order}");
    }
}

#[test]
fn planted_divergent_barrier() {
    for order in ORDERS {
        // Not all threads reach the barrier.
        let s = simulator();
        s.order(order);
        let (went, _) = run(&s, "int i = threadIdx.x; if (i >= 40) return;\n__syncthreads();\ny[i] = x[i];");
        assert_eq!(went, FAILED);
        let expected = "kernel: block (0, 0, 0): threads diverge: thread (0, 0, 0) waits in __syncthreads at \
                        test.cu:3, but thread (40, 0, 0) has returned";
        assert_eq!(s.message(), expected);
        drop(s);

        // They reach different ones.
        let s = simulator();
        s.order(order);
        let body = "int i = threadIdx.x;\nif (i < 32) { y[i] = 1;\n__syncthreads(); } else {\n__syncthreads(); y[i] = 2; }";
        assert_eq!(run(&s, body).0, FAILED);
        let expected = "thread (0, 0, 0) waits in __syncthreads at test.cu:4, \
                        but thread (32, 0, 0) waits in __syncthreads at test.cu:5";
        assert!(s.message().ends_with(expected), "{}", s.message());
        drop(s);

        // The twin.
        let s = simulator();
        s.order(order);
        let (went, y) = run(&s, "int i = threadIdx.x;\n__syncthreads();\nif (i >= 40) return; y[i] = x[i];");
        assert_eq!((went, y[39], y[40]), (FINE, 39.0, 0.0));
    }
}

#[test]
fn planted_read_of_uninitialised_memory() {
    let s = simulator();
    let source = r#"
        extern "C" __global__ void add(const float* x, float* y) { y[threadIdx.x] += x[threadIdx.x]; }
    "#;
    let add = s.kernel(source, "add");
    let x = s.stream.clone_htod(&[1.0_f32; 64]).unwrap();
    // Adds to memory that nobody has written.
    let mut y = unsafe { s.stream.alloc::<f32>(64) }.unwrap();
    unsafe { s.stream.launch_builder(&add).arg(&x).arg(&mut y).launch(row(1, 64)) }.unwrap();
    assert!(s.stream.clone_dtoh(&y).unwrap().iter().all(|y| y.is_nan()));
    // The twin.
    let mut y = s.stream.alloc_zeros::<f32>(64).unwrap();
    unsafe { s.stream.launch_builder(&add).arg(&x).arg(&mut y).launch(row(1, 64)) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [1.0; 64]);

    // Shared memory is new in every block.
    let body = "__shared__ float sum[2]; if (threadIdx.x == 0) sum[blockIdx.x] = x[0];
                __syncthreads(); if (threadIdx.x == blockIdx.x) y[threadIdx.x] = sum[0];";
    let (went, y) = run_with(&s, body, row(2, 64));
    assert_eq!((went, y[0]), (FINE, 0.0));
    assert!(y[1].is_nan(), "the second block has not written sum[0]");
    let (_, y) = run(&s, "extern __shared__ float sums[]; y[threadIdx.x] = 0; sums[0];");
    assert_eq!(y, [0.0; 64]);
}

#[test]
fn far_and_near_addresses_are_told_apart() {
    let cases = [
        (
            "y[threadIdx.x + 64] = 0;",
            "thread (0, 0, 0): illegal write 0 bytes past the end of memory of y (256 bytes)",
        ),
        ("y[65000 + threadIdx.x] = 0;", "illegal write 259744 bytes past the end of memory of y (256 bytes)"),
        (
            "y[threadIdx.x] = x[(int)threadIdx.x - 2000];",
            "illegal read 8000 bytes before memory of x (256 bytes)",
        ),
        ("y = 0; y[threadIdx.x + 1] = 0;", "illegal write 4 bytes behind a null pointer"),
        ("y[threadIdx.x] = *(float*)0x123456789000;", "illegal read at 0x123456789000, far from any memory"),
        // Right before the memory lies more of its page: the write is only found afterwards.
        (
            "if (threadIdx.x == 5) y[-3] = 0;",
            "kernel: illegal write, by an unknown thread, 12 bytes before memory of y",
        ),
        (
            "__shared__ float tile[60]; tile[threadIdx.x] = 0;",
            "thread (60, 0, 0): illegal write 0 bytes past the end of a shared variable (240 bytes)",
        ),
        (
            "extern __shared__ float tile[]; tile[threadIdx.x] = 0;",
            "thread (0, 0, 0): illegal write 0 bytes past the end of dynamic shared memory (0 bytes)",
        ),
    ];
    for (body, expected) in cases {
        let s = simulator();
        assert_eq!(run(&s, body).0, ADDRESS, "{body}");
        assert!(s.message().contains(expected), "{body}: {}", s.message());
    }
    // Behind 250 bytes there are six more before the guard page.
    let s = simulator();
    let kernel = s.kernel("extern \"C\" __global__ void kernel(char* bytes) { bytes[251] = 1; }", "kernel");
    let mut bytes = s.stream.alloc_zeros::<u8>(250).unwrap();
    unsafe { s.stream.launch_builder(&kernel).arg(&mut bytes).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.wait(), ADDRESS);
    assert!(s.message().ends_with("1 bytes past the end of memory of bytes (250 bytes)"), "{}", s.message());
}

#[test]
fn dynamic_shared_memory_is_as_long_as_the_launch_says() {
    let body = "extern __shared__ float tile[]; tile[threadIdx.x] = x[threadIdx.x]; y[threadIdx.x] = tile[threadIdx.x];";
    for (bytes, went) in [(256, FINE), (252, ADDRESS)] {
        let s = simulator();
        let config = LaunchConfig { shared_mem_bytes: bytes, ..row(1, 64) };
        assert_eq!(run_with(&s, body, config).0, went);
    }
}

#[test]
fn freed_memory_and_host_memory_are_out_of_reach() {
    let source = "extern \"C\" __global__ void kernel(const float* x, float* y) { *y = *x; }";
    let s = simulator();
    let kernel = s.kernel(source, "kernel");
    let mut y = s.stream.alloc_zeros::<f32>(1).unwrap();
    let freed = s.stream.alloc_zeros::<f32>(10).unwrap();
    let address = s.address(&freed);
    drop(freed);
    unsafe { s.stream.launch_builder(&kernel).arg(&address).arg(&mut y).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.wait(), ADDRESS);
    assert!(
        s.message().ends_with("illegal read 0 bytes into freed memory of x (40 bytes)"),
        "{}",
        s.message()
    );
    drop((y, kernel, s));

    let s = simulator();
    let kernel = s.kernel(source, "kernel");
    let mut y = s.stream.alloc_zeros::<f32>(1).unwrap();
    let here = Box::new(1.0_f32);
    let address = &raw const *here as u64;
    unsafe { s.stream.launch_builder(&kernel).arg(&address).arg(&mut y).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.wait(), ADDRESS);
    assert_eq!(s.message(), format!("kernel: x ({address:#x}) is no address of this device"));
}

#[test]
fn shuffles_want_all_lanes_of_their_mask() {
    let cases = [
        (
            "if (threadIdx.x < 16)\ny[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[0], 1);",
            "thread (0, 0, 0) waits in a shuffle at test.cu:3, but thread (16, 0, 0) has returned",
        ),
        (
            "if (threadIdx.x < 16)\n__syncwarp(); else\n__syncthreads();",
            "thread (0, 0, 0) waits in __syncwarp at test.cu:3, but thread (16, 0, 0) waits in __syncthreads at test.cu:4",
        ),
        (
            "y[threadIdx.x] = __shfl_sync(0xffff, x[0], 1);",
            "thread (16, 0, 0) waits in a shuffle at test.cu:2, with a mask 0xffff that it is not in",
        ),
        (
            "if (threadIdx.x % 32 < 8) y[threadIdx.x] = __shfl_xor_sync(0xff, x[0], 8);",
            "thread (0, 0, 0) waits in a shuffle at test.cu:2, and reads lane 8, which takes no part",
        ),
    ];
    for (body, expected) in cases {
        let s = simulator();
        assert_eq!(run(&s, body).0, FAILED, "{body}");
        assert!(s.message().contains(expected), "{body}: {}", s.message());
    }
    let s = simulator();
    let (went, y) =
        run(&s, "if (threadIdx.x < 32) y[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);");
    assert_eq!((went, y[0]), (FINE, 1.0));
}

#[test]
fn threads_of_a_warp_do_not_keep_step() {
    // What one lane writes, another reads, without __syncwarp between.
    let body = |wait: &str| {
        format!(
            "__shared__ volatile float lanes[64]; int i = threadIdx.x; lanes[i] = x[i];
             {wait} y[i] = lanes[i ^ 1];"
        )
    };
    let right: Vec<f32> = (0..64).map(|i| (i ^ 1) as f32).collect();
    for order in ORDERS {
        let s = simulator();
        s.order(order);
        assert_ne!(run(&s, &body("")).1, right, "{order}");
        assert_eq!(run(&s, &body("__syncwarp();")), (FINE, right.clone()), "{order}");
    }
}

#[test]
fn other_mistakes_end_the_kernel_too() {
    let cases = [
        ("y[0] = 64 / (int)x[0];", CUresult::CUDA_ERROR_LAUNCH_FAILED, "an integer divided by zero"),
        (
            "float4 v = *(float4*)(x + 1); y[0] = v.x + v.w;",
            CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
            "a vector 4 bytes into memory of x (256 bytes), which is no multiple of 16 bytes",
        ),
        (
            "volatile float big[200000]; for (int i = 0; i < 200000; i++) big[i] = x[0]; y[0] = big[5];",
            CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR,
            "more local variables than fit",
        ),
        (
            "if (threadIdx.x == 3) __trap();",
            CUresult::CUDA_ERROR_LAUNCH_FAILED,
            "thread (3, 0, 0): __trap() at test.cu:2",
        ),
        (
            "assert(threadIdx.x < 5);",
            CUresult::CUDA_ERROR_ASSERT,
            "thread (5, 0, 0): assert(threadIdx.x < 5) failed at test.cu:2",
        ),
    ];
    for (body, status, expected) in cases {
        let s = simulator();
        assert_eq!(run(&s, body).0, Err(status), "{body}: {}", s.message());
        assert!(s.message().contains(expected), "{body}: {}", s.message());
    }
}

#[test]
fn a_kernel_that_failed_leaves_nothing_behind() {
    // Threads that stand at a barrier when another one fails; the next kernels run as ever.
    for _ in 0..3 {
        let s = simulator();
        let (went, _) = run(&s, "if (threadIdx.x == 63) y[100] = 1;\n__syncthreads();");
        assert_eq!(went, ADDRESS);
        drop(s);
        let s = simulator();
        let (went, y) = run(&s, &reverse("__syncthreads();"));
        assert_eq!((went, y[0]), (FINE, 63.0));
    }
}
