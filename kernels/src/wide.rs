//! Loops compiled for the widest vector registers of the processor at hand, chosen when they run.
//!
//! What is built runs on every processor of its family, so the compiler may count on the narrowest
//! registers only: 4 numbers of f32 on x86-64. A loop that comes as a closure is compiled three times here,
//! for those, for AVX2's 8 and for AVX-512's 16. All give the same bits: the compiler fuses no multiplication
//! with an addition and changes no order.
//!
//! What the loop calls must be compiled into it, or stays as narrow as it was: `#[inline(always)]` where the
//! compiler would not see to it.

/// Whether [`run`] has a wider form than the common one.
pub(crate) fn has_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Runs a loop in the widest form.
///
/// Each form is compiled from one call of the loop. Were there two, the compiler would leave longer
/// formulas out of it, as calls, and call them for one element at a time.
pub(crate) fn run<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if all {
            // SAFETY: the processor has them.
            return unsafe { avx512(body) };
        }
        if has_wide() {
            // SAFETY: the processor has AVX2.
            return unsafe { avx2(body) };
        }
    }
    body()
}
