//! What the machine can do: multiply-adds of f32 a second, on one core and on all of them, and bytes copied a
//! second, inside the caches and outside.
//!
//! ```text
//! rustc -O --edition 2024 machine.rs
//! machine          everything, as one line of JSON
//! machine fma      the multiply-adds of all cores alone, in a fifth of a second: to see how steady the machine is
//! ```

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// A loop of multiply-adds: what its instructions are called, and how many operations a round of it does (a
/// multiply-add is two).
struct Form {
    name: &'static str,
    flops: usize,
    run: unsafe fn(usize, f32, f32) -> f32,
}

/// So many sums at a time: more than a processor's two units need to have always four multiply-adds under way each,
/// and few enough for 16 registers.
const SUMS: usize = 12;

/// Rounds of sums * a + b. Nothing is loaded or stored, and each round needs the one before, so the compiler can
/// leave nothing out. `$T` is a register of `$lanes` numbers.
macro_rules! form {
    ($name:ident, $features:literal, $splat:path, $fma:path, $first:path) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name(rounds: usize, a: f32, b: f32) -> f32 {
            let (a, b) = ($splat(a), $splat(b));
            let mut sums = [b; SUMS];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fma(*sum, a, b);
                }
            }
            sums.iter().map(|&sum| $first(sum)).sum()
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
form!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32);
form!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32);

/// For every other processor: four numbers a register, and a fused multiply-add where the compiler may use one.
fn portable(rounds: usize, a: f32, b: f32) -> f32 {
    let fused = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
    let mut sums = [[b; 4]; SUMS];
    for _ in 0..rounds {
        for x in sums.as_flattened_mut() {
            *x = if fused { x.mul_add(a, b) } else { *x * a + b };
        }
    }
    sums.as_flattened().iter().sum()
}

fn form() -> Form {
    let form = |name, lanes: usize, run| Form { name, flops: 2 * lanes * SUMS, run };
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return form("AVX-512", 16, avx512);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return form("AVX2", 8, avx2);
        }
    }
    form(if cfg!(target_arch = "aarch64") { "NEON" } else { "portable" }, 4, portable)
}

/// Seconds that the slowest of `threads` needs for `work`, all of them beginning at once: the least of `times`.
fn seconds<W: FnMut()>(threads: usize, times: usize, work: impl Fn() -> W + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let one = || {
        let mut work = work();
        work();
        let run = |_| {
            barrier.wait();
            let start = Instant::now();
            work();
            start.elapsed()
        };
        (0..times).map(run).collect::<Vec<Duration>>()
    };
    let all: Vec<Vec<Duration>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        handles.into_iter().map(|handle| handle.join().expect("the work does not panic")).collect()
    });
    let slowest = (0..times).map(|i| all.iter().map(|times| times[i]).max().unwrap_or_default());
    slowest.min().unwrap_or_default().as_secs_f64()
}

/// GFLOP/s of all `threads` together.
fn fma(threads: usize, times: usize) -> f64 {
    let (form, rounds) = (form(), 1_000_000);
    // SAFETY: `form` has looked whether the processor has the instructions.
    let work = || {
        || {
            black_box(unsafe { (form.run)(black_box(rounds), black_box(0.999), black_box(1e-3)) });
        }
    };
    (threads * rounds * form.flops) as f64 / seconds(threads, times, work) / 1e9
}

/// GB/s of all `threads` together, each copying `bytes`; what is read and what is written both count.
fn copy(threads: usize, bytes: usize) -> f64 {
    let repeats = ((64 << 20) / bytes).max(1);
    let work = || {
        let (from, mut to) = (vec![1u8; bytes], vec![0u8; bytes]);
        move || {
            for _ in 0..repeats {
                to.copy_from_slice(black_box(&from));
                black_box(&mut to);
            }
        }
    };
    (threads * repeats * bytes * 2) as f64 / seconds(threads, 7, work) / 1e9
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    if std::env::args().nth(1).as_deref() == Some("fma") {
        return println!("{:.1}", fma(cores, 20));
    }
    let threads = if cores > 1 { vec![1, cores] } else { vec![1] };
    let rates: Vec<String> =
        threads.iter().map(|&n| format!("{{\"threads\": {n}, \"gflops\": {:.1}}}", fma(n, 40))).collect();
    // In the first cache, in the second, in the third, in none of them: two buffers each.
    let sizes = [12 << 10, 384 << 10, 8 << 20, 512 << 20];
    let pairs = sizes.iter().flat_map(|&bytes| threads.iter().map(move |&n| (bytes / n, n)));
    let copies: Vec<String> = pairs
        .map(|(bytes, n)| {
            format!("{{\"threads\": {n}, \"bytes\": {}, \"gbs\": {:.1}}}", bytes * n, copy(n, bytes))
        })
        .collect();
    println!(
        "{{\"vectors\": {:?}, \"cores\": {cores}, \"fma\": [{}], \"copy\": [{}]}}",
        form().name,
        rates.join(", "),
        copies.join(", ")
    );
}
