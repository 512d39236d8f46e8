//! What kernels can do: indices, arguments, shared memory, barriers, shuffles, atomics, mathematics.

#![cfg(target_os = "linux")]

mod common;

use common::{row, simulator};
use cudarc::driver::PushKernelArg as _;

#[test]
fn a_kernel_adds_two_vectors() {
    let s = simulator();
    let add = s.kernel(
        r#"
        extern "C" __global__ __launch_bounds__(256)
        void add(int n, const float* a, const float* b, float* c) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) c[i] = a[i] + b[i];
        }"#,
        "add",
    );
    let n = 1000;
    let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let (a, b) = (s.stream.clone_htod(&a).unwrap(), s.stream.clone_htod(&vec![0.5_f32; n as usize]).unwrap());
    let mut c = s.stream.alloc_zeros::<f32>(n as usize).unwrap();
    unsafe { s.stream.launch_builder(&add).arg(&n).arg(&a).arg(&b).arg(&mut c).launch(row(4, 256)) }.unwrap();
    let c = s.stream.clone_dtoh(&c).unwrap();
    assert!(c.iter().enumerate().all(|(i, c)| *c == i as f32 + 0.5), "{c:?}");
}
