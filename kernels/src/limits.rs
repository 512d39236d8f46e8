//! What a device can do at best, measured: how fast it multiplies and adds, and how fast it copies.
//!
//! No kernel is faster than either lets it be (Williams, Waterman and Patterson, "Roofline: an insightful visual
//! performance model for multicore architectures", 2009). Other programs that run meanwhile make both slower.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::ops::matmul::{self, Matmul};
use crate::{DType, Device, Result, Storage};

/// How fast something went.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Floating-point operations or bytes, in a second.
    pub rate: f64,
    /// What was measured.
    pub what: String,
}

/// So long is tried; the fastest try counts. A short one has the machine to itself even where others run.
const TRYING: Duration = Duration::from_millis(300);

/// The floating-point operations that `device` does in a second.
///
/// On the CPU all threads multiply and add in registers. A GPU multiplies matrices, ever larger ones until that
/// takes long: what it could do without memory in the way is not known.
///
/// # Errors
/// What can go wrong on a GPU.
pub fn arithmetic(device: &Device) -> Result<Limit> {
    if *device == Device::Cpu {
        let (form, run) = best_chains();
        let threads = rayon::current_num_threads();
        let (start, mut rate) = (Instant::now(), 0f64);
        while start.elapsed() < TRYING {
            let began = Instant::now();
            // SAFETY: the processor has the form's instructions.
            let flops: u64 = rayon::broadcast(|_| unsafe { run(black_box(200_000)) }).iter().sum();
            rate = rate.max(flops as f64 / began.elapsed().as_secs_f64());
        }
        let threads = if threads == 1 { "1 thread".to_string() } else { format!("{threads} threads") };
        return Ok(Limit { rate, what: format!("multiply-adds in registers, {form}, {threads}") });
    }
    let mut best = Limit { rate: 0.0, what: String::new() };
    for n in [128, 256, 512, 1024, 2048, 4096] {
        let a = Storage::zeros(device, DType::F32, n * n)?;
        let seconds = fastest(device, || matmul::forward(&Matmul::new(1, n, n, n), &a, &a, None))?;
        let rate = 2.0 * (n as f64).powi(3) / seconds;
        if rate > best.rate {
            best = Limit { rate, what: format!("the best matrix product, {n} x {n}") };
        }
        if seconds > 0.01 {
            break;
        }
    }
    Ok(best)
}

/// The bytes that `device` reads and writes in a second, both counted, when it copies so many that both together
/// are `bytes`: few stay in a cache.
///
/// # Errors
/// When there is not so much memory.
pub fn copying(device: &Device, bytes: usize) -> Result<Limit> {
    /// What one thread copies at once.
    const PIECE: usize = 1 << 16;
    let len = (bytes / 2 / 4).max(1);
    let from = Storage::zeros(device, DType::F32, len)?;
    let seconds = match device {
        Device::Cpu => {
            let mut to = Storage::zeros(device, DType::F32, len)?;
            let (from, to) = (from.as_slice::<f32>()?, to.as_mut_slice::<f32>()?);
            fastest(device, || {
                let pieces = to.par_chunks_mut(PIECE / 4).zip(from.par_chunks(PIECE / 4));
                pieces.for_each(|(to, from)| to.copy_from_slice(from));
                black_box(&to[0]);
                Ok(())
            })?
        }
        _ => fastest(device, || from.copy())?,
    };
    Ok(Limit { rate: 8.0 * len as f64 / seconds, what: format!("a copy, {} bytes in all", 8 * len) })
}

/// The seconds that `run` takes when nothing is in its way. It runs many times where it is short.
fn fastest<R>(device: &Device, mut run: impl FnMut() -> Result<R>) -> Result<f64> {
    let mut time = |times: u32| -> Result<Duration> {
        let began = Instant::now();
        for _ in 0..times {
            black_box(run()?);
        }
        device.synchronize()?;
        Ok(began.elapsed())
    };
    time(1)?;
    let start = Instant::now();
    let mut seconds = time(1)?.as_secs_f64().max(1e-9);
    let times = (5e-4 / seconds).clamp(1.0, 1e5) as u32;
    while start.elapsed() < TRYING {
        seconds = seconds.min(time(times)?.as_secs_f64() / f64::from(times));
    }
    Ok(seconds)
}

/// Many rounds of multiply-adds on one thread; gives how many floating-point operations that were.
type Chains = unsafe fn(rounds: u64) -> u64;

/// Sums that grow side by side. A multiply-add takes four cycles or five until its sum can be added to again, and a
/// core can begin two in each cycle, of the Arm ones four: with fewer sums it would wait. All fit its registers.
const SIDE_BY_SIDE: usize = if cfg!(target_arch = "aarch64") { 20 } else { 12 };

/// `sums = a * sums + b` in registers, `$lanes` numbers in each.
macro_rules! chains {
    ($name:ident, $features:literal, $lanes:literal, $splat:path, $multiply_add:path) => {
        #[target_feature(enable = $features)]
        unsafe fn $name(rounds: u64) -> u64 {
            // The sums stay near 1: too small numbers would be slow.
            let (a, b) = ($splat(black_box(0.5)), $splat(black_box(0.5)));
            let mut sums = [$splat(black_box(1.0)); SIDE_BY_SIDE];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $multiply_add(*sum, a, b);
                }
            }
            black_box(sums);
            rounds * (2 * $lanes * SIDE_BY_SIDE) as u64
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
#[cfg(target_arch = "x86_64")]
chains!(avx512, "avx512f", 16, _mm512_set1_ps, _mm512_fmadd_ps);
#[cfg(target_arch = "x86_64")]
chains!(avx2, "avx2,fma", 8, _mm256_set1_ps, _mm256_fmadd_ps);

/// `sum * a + b`.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon_multiply_add(
    sum: std::arch::aarch64::float32x4_t,
    a: std::arch::aarch64::float32x4_t,
    b: std::arch::aarch64::float32x4_t,
) -> std::arch::aarch64::float32x4_t {
    std::arch::aarch64::vfmaq_f32(b, sum, a)
}
#[cfg(target_arch = "aarch64")]
chains!(neon, "neon", 4, std::arch::aarch64::vdupq_n_f32, neon_multiply_add);

/// The same in four numbers at a time, which any compiler puts into a register where there are such.
#[cfg_attr(target_arch = "aarch64", allow(dead_code))]
fn portable(rounds: u64) -> u64 {
    let (a, b) = (black_box(0.5f32), black_box(0.5f32));
    let mut sums = [[black_box(1.0f32); 4]; SIDE_BY_SIDE];
    for _ in 0..rounds {
        for sum in sums.as_flattened_mut() {
            *sum = *sum * a + b;
        }
    }
    black_box(sums);
    rounds * (2 * 4 * SIDE_BY_SIDE) as u64
}

/// The widest form that this processor has, and its name.
fn best_chains() -> (&'static str, Chains) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return ("AVX-512", avx512);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return ("AVX2", avx2);
        }
    }
    #[cfg(target_arch = "aarch64")]
    let best: (_, Chains) = ("NEON", neon);
    #[cfg(not(target_arch = "aarch64"))]
    let best: (_, Chains) = ("portable", portable);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form counts what it does, and what is measured is something.
    #[test]
    fn limits_are_measured() {
        let (form, run) = best_chains();
        // SAFETY: the processor has the form's instructions.
        let counted = (unsafe { run(10) }, portable(10));
        assert!(counted.0.is_multiple_of(10 * 2 * SIDE_BY_SIDE as u64), "{form}");
        assert_eq!(counted.1, 10 * 2 * 4 * SIDE_BY_SIDE as u64);
        for device in std::iter::once(Device::Cpu).chain(crate::device::gpus()) {
            let (flops, bytes) = (arithmetic(&device).unwrap(), copying(&device, 1 << 16).unwrap());
            assert!(flops.rate > 1e6 && bytes.rate > 1e6, "{device}: {flops:?}, {bytes:?}");
            assert!(copying(&device, 0).unwrap().what.contains("8 bytes"));
        }
    }
}
