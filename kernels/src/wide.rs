//! Loops compiled for the widest vector registers of the processor at hand, chosen when they run.
//!
//! What is built runs on every processor of its family, so the compiler may count on the narrowest
//! registers only: 4 numbers of f32 on x86-64. A loop that comes as a closure is compiled three times here,
//! for those, for AVX2's 8 and for AVX-512's 16. All give the same bits: the compiler fuses no multiplication
//! with an addition and changes no order.
//!
//! What the loop calls must be compiled into it, or stays as narrow as it was: `#[inline(always)]` where the
//! compiler would not see to it.

/// Writes a function with its loops compiled in all three forms, and chooses one when it is called: for loops that
/// are longer than the closure of [`run`] may be.
///
/// The compiler leaves a long closure out of the forms of [`run`], as it is called from each; then it stays as narrow
/// as ever. The body here is a function of its own that must be inlined.
macro_rules! wide_fn {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$($G:ident: $Bound:path),+>($($arg:ident: $Type:ty),+ $(,)?) $body:block) => {
        $(#[$doc])*
        $vis fn $name<$($G: $Bound),+>($($arg: $Type),+) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<$($G: $Bound),+>($($arg: $Type),+) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512<$($G: $Bound),+>($($arg: $Type),+) {
                    body::<$($G),+>($($arg),+)
                }
                #[target_feature(enable = "avx2")]
                fn avx2<$($G: $Bound),+>($($arg: $Type),+) {
                    body::<$($G),+>($($arg),+)
                }
                if $crate::wide::has_widest() {
                    // SAFETY: the processor has them.
                    return unsafe { avx512::<$($G),+>($($arg),+) };
                }
                if $crate::wide::has_wide() {
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2::<$($G),+>($($arg),+) };
                }
            }
            body::<$($G),+>($($arg),+)
        }
    };
}
pub(crate) use wide_fn;

/// Whether the processor has AVX-512 with all that a compiler wants of it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_widest() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

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
        if has_widest() {
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
