//! What kernels can do: indices, arguments, shared memory, barriers, shuffles, atomics, mathematics.
//! Each runs in every order of threads.

#![cfg(target_os = "linux")]

mod common;

use common::{ORDERS, row, simulator};
use cudarc::driver::{LaunchConfig, PushKernelArg as _};

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
    let a = s.stream.clone_htod(&a).unwrap();
    let b = s.stream.clone_htod(&vec![0.5_f32; n as usize]).unwrap();
    for order in ORDERS {
        s.order(order);
        let mut c = s.stream.alloc_zeros::<f32>(n as usize).unwrap();
        unsafe { s.stream.launch_builder(&add).arg(&n).arg(&a).arg(&b).arg(&mut c).launch(row(4, 256)) }
            .unwrap();
        let c = s.stream.clone_dtoh(&c).unwrap();
        assert!(c.iter().enumerate().all(|(i, c)| *c == i as f32 + 0.5), "{order}: {c:?}");
    }
}

#[test]
fn blocks_and_threads_have_three_dimensions() {
    let s = simulator();
    let kernel = s.kernel(
        r#"
        extern "C" __global__ void where(unsigned* y) {
            unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
            unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
            y[block * blockDim.x * blockDim.y * blockDim.z + thread] = blockIdx.z * 100000 + blockIdx.y * 10000
                + blockIdx.x * 1000 + threadIdx.z * 100 + threadIdx.y * 10 + threadIdx.x;
        }"#,
        "where",
    );
    let config = LaunchConfig { grid_dim: (2, 3, 4), block_dim: (5, 4, 3), shared_mem_bytes: 0 };
    let mut expected = Vec::new();
    for (bz, by, bx) in (0..4).flat_map(|z| (0..3).flat_map(move |y| (0..2).map(move |x| (z, y, x)))) {
        for (z, y, x) in (0..3).flat_map(|z| (0..4).flat_map(move |y| (0..5).map(move |x| (z, y, x)))) {
            expected.push(bz * 100_000 + by * 10_000 + bx * 1000 + z * 100 + y * 10 + x);
        }
    }
    for order in ORDERS {
        s.order(order);
        let mut y = s.stream.alloc_zeros::<u32>(expected.len()).unwrap();
        unsafe { s.stream.launch_builder(&kernel).arg(&mut y).launch(config) }.unwrap();
        assert_eq!(s.stream.clone_dtoh(&y).unwrap(), expected, "{order}");
    }
}

#[test]
fn arguments_lie_where_the_declaration_puts_them() {
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Params {
        n: u32,
        size: [u32; 3],
        scale: f32,
    }
    unsafe impl cudarc::driver::DeviceRepr for Params {}

    let s = simulator();
    let kernel = s.kernel(
        r#"
        struct Params { unsigned n, size[3]; float scale; };
        extern "C" __global__ void mixed(char c, Params p, double d, short h, const float* x, long long l, float* y) {
            y[0] = c, y[1] = p.n, y[2] = p.size[2], y[3] = p.scale, y[4] = d, y[5] = h, y[6] = x[0], y[7] = l;
        }"#,
        "mixed",
    );
    let x = s.stream.clone_htod(&[6.5_f32]).unwrap();
    let mut y = s.stream.alloc_zeros::<f32>(8).unwrap();
    let p = Params { n: 2, size: [0, 0, 3], scale: 4.25 };
    let mut launch = s.stream.launch_builder(&kernel);
    launch.arg(&1_i8).arg(&p).arg(&5.0_f64).arg(&-6_i16).arg(&x).arg(&-7_i64).arg(&mut y);
    unsafe { launch.launch(row(1, 1)) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [1.0, 2.0, 3.0, 4.25, 5.0, -6.0, 6.5, -7.0]);
}

/// Sums in a tree in shared memory, the way kernels do.
const SUM: &str = r#"
    template <int n> __device__ float block_sum(float value) {
        __shared__ float sums[n];
        sums[threadIdx.x] = value;
        __syncthreads();
        for (int half = n / 2; half > 0; half /= 2) {
            if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
            __syncthreads();
        }
        return sums[0];
    }
    extern "C" __global__ void tree(const float* x, float* y) {
        float sum = block_sum<128>(x[blockIdx.x * 128 + threadIdx.x]);
        if (threadIdx.x == 0) y[blockIdx.x] = sum;
    }
    extern "C" __global__ void shuffles(const float* x, float* y) {
        __shared__ float sums[4];
        float sum = x[blockIdx.x * 128 + threadIdx.x];
        for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffff, sum, bits);
        if (threadIdx.x % warpSize == 0) sums[threadIdx.x / warpSize] = sum;
        __syncthreads();
        if (threadIdx.x == 0) y[blockIdx.x] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
    extern "C" __global__ void dynamic(const float* x, float* y) {
        extern __shared__ float all[];
        float* half = all + blockDim.x;
        all[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
        __syncthreads();
        if (threadIdx.x % 2 == 0) half[threadIdx.x / 2] = all[threadIdx.x] + all[threadIdx.x + 1];
        __syncthreads();
        float sum = 0;
        for (int i = 0; i < blockDim.x / 2; i++) sum += half[i];
        if (threadIdx.x == 0) y[blockIdx.x] = sum;
    }
"#;

#[test]
fn threads_of_a_block_share_memory() {
    let s = simulator();
    let module = s.module(SUM);
    let x: Vec<f32> = (0..5 * 128).map(|i| (i % 37) as f32).collect();
    let expected: Vec<f32> = x.chunks(128).map(|block| block.iter().sum()).collect();
    let x = s.stream.clone_htod(&x).unwrap();
    for (name, dynamic) in [("tree", 0), ("shuffles", 0), ("dynamic", 192 * 4)] {
        let kernel = module.load_function(name).unwrap();
        for order in ORDERS {
            s.order(order);
            let mut y = s.stream.alloc_zeros::<f32>(5).unwrap();
            let config = LaunchConfig { shared_mem_bytes: dynamic, ..row(5, 128) };
            unsafe { s.stream.launch_builder(&kernel).arg(&x).arg(&mut y).launch(config) }.unwrap();
            assert_eq!(s.wait(), Ok(()), "{name} {order}: {}", s.message());
            assert_eq!(s.stream.clone_dtoh(&y).unwrap(), expected, "{name} {order}");
        }
    }
}

#[test]
fn shuffles_and_votes_follow_the_rules_of_lanes() {
    let s = simulator();
    let kernel = s.kernel(
        r#"
        extern "C" __global__ void lanes(int* y) {
            int lane = threadIdx.x % 32, *to = y + threadIdx.x;
            to[0] = __shfl_sync(0xffffffff, lane, 5);
            to[64] = __shfl_sync(0xffffffff, lane, 3, 8);
            to[128] = __shfl_up_sync(0xffffffff, lane, 2);
            to[192] = __shfl_down_sync(0xffffffff, lane, 3, 16);
            to[256] = __shfl_xor_sync(0xffffffff, lane, 6);
            to[320] = (int)__shfl_xor_sync(0xffffffff, lane * 1.5, 1);
            to[384] = __ballot_sync(0xffffffff, lane % 3 == 0);
            to[448] = __any_sync(0xffffffff, lane == 31) * 2 + __all_sync(0xffffffff, lane < 31);
            to[512] = __syncthreads_count(threadIdx.x % 4 == 0);
            to[576] = __syncthreads_and(threadIdx.x < 64) * 2 + __syncthreads_or(threadIdx.x == 64);
            // Half a warp that says that it is one.
            if (lane < 16) to[640] = __shfl_xor_sync(0xffff, lane, 8);
            else to[640] = -1;
            __syncwarp();
        }"#,
        "lanes",
    );
    let of = |f: &dyn Fn(i32) -> i32| (0..64).map(|i| f(i % 32)).collect::<Vec<_>>();
    let votes = (0..32).filter(|lane| lane % 3 == 0).fold(0, |votes, lane| votes | 1 << lane);
    let expected = [
        of(&|_| 5),
        of(&|lane| lane / 8 * 8 + 3),
        of(&|lane| if lane < 2 { lane } else { lane - 2 }),
        of(&|lane| if lane % 16 + 3 < 16 { lane + 3 } else { lane }),
        of(&|lane| lane ^ 6),
        of(&|lane| (f64::from(lane ^ 1) * 1.5) as i32),
        of(&|_| votes),
        of(&|_| 2),
        of(&|_| 16),
        of(&|_| 2),
        of(&|lane| if lane < 16 { lane ^ 8 } else { -1 }),
    ];
    for order in ORDERS {
        s.order(order);
        let mut y = s.stream.alloc_zeros::<i32>(64 * expected.len()).unwrap();
        unsafe { s.stream.launch_builder(&kernel).arg(&mut y).launch(row(1, 64)) }.unwrap();
        assert_eq!(s.wait(), Ok(()), "{order}: {}", s.message());
        let y = s.stream.clone_dtoh(&y).unwrap();
        for (i, (found, expected)) in y.chunks(64).zip(&expected).enumerate() {
            assert_eq!(found, expected, "row {i}, {order}");
        }
    }
}

#[test]
fn atomics_on_integers_count_all_threads() {
    let s = simulator();
    let kernel = s.kernel(
        r#"
        extern "C" __global__ void count(unsigned* u, int* i, unsigned long long* l) {
            unsigned n = blockIdx.x * blockDim.x + threadIdx.x;
            atomicAdd(&u[0], 1);
            atomicMin(&u[1], n + 7);
            atomicMax(&u[2], n);
            atomicOr(&u[3], 1u << n % 32);
            atomicInc(&u[4], 99);
            atomicDec(&u[5], 99);
            atomicXor(&u[6], n);
            atomicAnd(&u[7], ~(n & 1));
            atomicSub(&u[8], 2);
            atomicCAS(&u[9], 0, 5);
            atomicAdd(&i[0], -1);
            atomicMin(&i[1], -(int)n);
            atomicAdd(&l[0], 0x100000000ull);
            if (n == 0) u[10] = atomicExch(&u[11], 3);
        }"#,
        "count",
    );
    for order in ORDERS {
        s.order(order);
        let mut u = s.stream.clone_htod(&[0_u32, 1000, 0, 0, 0, 0, 0, u32::MAX, 0, 0, 0, 8]).unwrap();
        let mut i = s.stream.clone_htod(&[0_i32, 0]).unwrap();
        let mut l = s.stream.clone_htod(&[0_u64]).unwrap();
        unsafe { s.stream.launch_builder(&kernel).arg(&mut u).arg(&mut i).arg(&mut l).launch(row(3, 40)) }
            .unwrap();
        let expected = [
            120,
            7,
            119,
            u32::MAX,
            20,
            80,
            (0..120).fold(0, |x, n| x ^ n),
            u32::MAX - 1,
            240_u32.wrapping_neg(),
            5,
            8,
            3,
        ];
        assert_eq!(s.stream.clone_dtoh(&u).unwrap(), expected, "{order}");
        assert_eq!(s.stream.clone_dtoh(&i).unwrap(), [-120, -119]);
        assert_eq!(s.stream.clone_dtoh(&l).unwrap(), [120 << 32]);
    }
}

#[test]
fn vectors_are_read_and_written_whole() {
    let s = simulator();
    let kernel = s.kernel(
        r#"
        extern "C" __global__ void reverse(const float* x, float* y) {
            float4 v = ((const float4*)x)[threadIdx.x];
            *(float4*)(y + 4 * threadIdx.x) = make_float4(v.w, v.z, v.y, v.x);
            __shared__ float2 pairs[4];
            pairs[threadIdx.x] = {v.x, v.y};
            __syncthreads();
            float2 other = pairs[3 - threadIdx.x];
            y[16 + threadIdx.x] = other.x + other.y;
            uint3 u = make_uint3(1, 2, 3);
            dim3 d(4, 5);
            static_assert(sizeof(double2) == 16 && alignof(float4) == 16 && sizeof(int3) == 12, "as in CUDA");
            y[20 + threadIdx.x] = u.z + d.y + d.z;
        }"#,
        "reverse",
    );
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let x = s.stream.clone_htod(&x).unwrap();
    let mut y = s.stream.alloc_zeros::<f32>(24).unwrap();
    unsafe { s.stream.launch_builder(&kernel).arg(&x).arg(&mut y).launch(row(1, 4)) }.unwrap();
    let y = s.stream.clone_dtoh(&y).unwrap();
    assert_eq!(y[..8], [3.0, 2.0, 1.0, 0.0, 7.0, 6.0, 5.0, 4.0]);
    assert_eq!(y[16..], [25.0, 17.0, 9.0, 1.0, 9.0, 9.0, 9.0, 9.0]);
}

#[test]
fn mathematics_follows_cuda() {
    let s = simulator();
    let kernel = s.kernel(
        r#"
        #define NAN __int_as_float(0x7fc00000)
        #define INFINITY __int_as_float(0x7f800000)
        extern "C" __global__ void mathematics(float* y, unsigned* u, double* d) {
            float two = y[0];
            *y++ = sqrtf(two), *y++ = rsqrtf(two), *y++ = expf(two), *y++ = logf(two), *y++ = tanhf(two);
            *y++ = erff(two), *y++ = powf(two, 3), *y++ = fmaf(two, two, 1), *y++ = exp(two), *y++ = log1pf(two);
            *y++ = fmaxf(two, NAN), *y++ = fminf(NAN, two), *y++ = max(two, 3.0f), *y++ = fmaxf(-0.0f, 0.0f);
            *y++ = fabsf(-two), *y++ = floorf(-1.5f), *y++ = roundf(2.5f), *y++ = rintf(2.5f), *y++ = copysignf(two, -1);
            *y++ = isnan(NAN) + 2 * isinf(INFINITY) + 4 * isfinite(two), *y++ = min(3, 4), *y++ = abs(-5);
            *u++ = __umulhi(0xffffffff, 0x10), *u++ = __clz(1), *u++ = __popc(255), *u++ = __ffs(8), *u++ = __brev(1);
            *u++ = __float_as_uint(1.0f), *u++ = max(3u, 4u), *u++ = __float2uint_rn(-1.0f), *u++ = __float2int_rn(2.5f);
            *u++ = __CUDA_ARCH__, *u++ = (unsigned)(__umul64hi(1ull << 63, 6)), *u++ = __float_as_int(__int_as_float(7));
            *d++ = sqrt(2.0), *d++ = fma(2.0, 3.0, 4.0), *d++ = fmax(1.0, 2.0), *d++ = erf(0.5);
        }"#,
        "mathematics",
    );
    let mut y = s.stream.clone_htod(&[2.0_f32; 22]).unwrap();
    let (mut u, mut d) = (s.stream.alloc_zeros::<u32>(12).unwrap(), s.stream.alloc_zeros::<f64>(4).unwrap());
    unsafe { s.stream.launch_builder(&kernel).arg(&mut y).arg(&mut u).arg(&mut d).launch(row(1, 1)) }
        .unwrap();
    let expected: [f32; 22] = [
        2_f32.sqrt(),
        2_f32.sqrt().recip(),
        2_f32.exp(),
        2_f32.ln(),
        2_f32.tanh(),
        0.995_322_3,
        8.0,
        5.0,
        2_f32.exp(),
        2_f32.ln_1p(),
        2.0,
        2.0,
        3.0,
        0.0,
        2.0,
        -2.0,
        3.0,
        2.0,
        -2.0,
        7.0,
        3.0,
        5.0,
    ];
    for (i, (found, expected)) in s.stream.clone_dtoh(&y).unwrap().iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{i}: {found} {expected}");
    }
    let expected = [15, 31, 8, 4, 1 << 31, 0x3f80_0000, 4, 0, 2, 900, 3, 7];
    assert_eq!(s.stream.clone_dtoh(&u).unwrap(), expected);
    let d = s.stream.clone_dtoh(&d).unwrap();
    assert_eq!(d[..3], [2_f64.sqrt(), 10.0, 2.0]);
    assert!((d[3] - 0.520_499_877_813_046_5).abs() < 1e-15);
}

#[test]
fn global_variables_keep_their_values() {
    let s = simulator();
    let source = r#"
        __device__ int counter = 3;
        __constant__ float table[4];
        extern "C" __global__ void read(float* y) { y[threadIdx.x] = table[threadIdx.x] + atomicAdd(&counter, 1) * 0; }
        extern "C" __global__ void counted(int* y) { *y = counter; }
    "#;
    let module = s.module(source);
    assert_eq!(module.get_global("counter", &s.stream).unwrap().len(), 4);
    assert!(module.get_global("other", &s.stream).is_err());
    let from = [1.0_f32, 2.0, 3.0, 4.0];
    let mut table = module.get_global("table", &s.stream).unwrap();
    assert_eq!(table.len(), 16);
    s.stream.memcpy_htod(&from.map(f32::to_ne_bytes).concat(), &mut table).unwrap();
    let mut y = s.stream.alloc_zeros::<f32>(4).unwrap();
    let mut n = s.stream.alloc_zeros::<i32>(1).unwrap();
    let (read, counted) = (module.load_function("read").unwrap(), module.load_function("counted").unwrap());
    unsafe {
        s.stream.launch_builder(&read).arg(&mut y).launch(row(1, 4)).unwrap();
        s.stream.launch_builder(&counted).arg(&mut n).launch(row(1, 1)).unwrap();
    }
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), from);
    assert_eq!(s.stream.clone_dtoh(&n).unwrap(), [7]);

    // A module that is loaded again begins anew.
    let again = s.module(source).load_function("counted").unwrap();
    unsafe { s.stream.launch_builder(&again).arg(&mut n).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&n).unwrap(), [3]);
}

#[test]
fn a_name_of_cpp_is_found_as_cuda_finds_it() {
    let s = simulator();
    let module = s.module("__global__ void plain(int* y) { *y = 4; }");
    assert!(module.load_function("plain").is_err(), "a C++ name is mangled");
    let kernel = module.load_function("_Z5plainPi").unwrap();
    let mut y = s.stream.alloc_zeros::<i32>(1).unwrap();
    unsafe { s.stream.launch_builder(&kernel).arg(&mut y).launch(row(1, 1)) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [4]);
}
