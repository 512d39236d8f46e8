//! One vector register, whatever its width: the few operations the register tile needs.

/// `LANES` numbers that one instruction handles together.
///
/// # Safety
/// The methods may only run on a processor that has the register's instructions, inlined into a
/// function that enables them. `load` and `store` need `LANES` numbers at the pointer.
pub trait Vector<T>: Copy {
    /// Numbers in one register.
    const LANES: usize;
    /// All lanes the same.
    unsafe fn splat(x: T) -> Self;
    /// The numbers at `from`, which needs no alignment.
    unsafe fn load(from: *const T) -> Self;
    /// Writes all lanes to `to`, which needs no alignment.
    unsafe fn store(self, to: *mut T);
    /// `self + x`.
    unsafe fn add(self, x: Self) -> Self;
    /// `self + a * b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

macro_rules! x86_vector {
    ($V:ident, $T:ty, $lanes:expr, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident) => {
        impl Vector<$T> for $V {
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn splat(x: $T) -> Self {
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $T) {
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn add(self, x: Self) -> Self {
                unsafe { $add(self, x) }
            }
            #[inline(always)]
            unsafe fn add_product(self, a: Self, b: Self) -> Self {
                unsafe { $fma(a, b, self) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;
    x86_vector!(__m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps);
    x86_vector!(__m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd);
    x86_vector!(__m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps);
    x86_vector!(__m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_fmadd_pd);
}

/// Four numbers that the compiler puts into whatever registers the processor's baseline has. On
/// 64-bit ARM that baseline is NEON, which has a fused multiply-add; elsewhere multiply and add are
/// rounded one after the other, because without the instruction a fused one would be a library call.
#[derive(Clone, Copy)]
pub struct Portable<T>([T; 4]);

impl<T: crate::Float> Vector<T> for Portable<T> {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Portable([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        Portable(unsafe { from.cast::<[T; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        unsafe { to.cast::<[T; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, x: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + x.0[i]))
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| match cfg!(target_arch = "aarch64") {
            true => a.0[i].mul_add(b.0[i], self.0[i]),
            false => self.0[i] + a.0[i] * b.0[i],
        }))
    }
}
