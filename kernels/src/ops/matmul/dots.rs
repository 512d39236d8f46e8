//! The dot tile: many dot products of long rows at once, for the gradient of a convolution's
//! weight.
//!
//! Here the sums run along memory, so a register holds partial sums of ONE result. A tile takes
//! `rows` of one factor and `terms` shifted rows of the other: `rows + terms` loads feed
//! `rows * terms` multiply-adds.

use super::vector::{Portable, Vector};
use crate::Float;

/// One compiled form of the tile.
pub struct Dots<T> {
    /// Rows of the left factor taken together.
    pub(crate) rows: usize,
    /// Rows of the right factor taken together.
    pub(crate) terms: usize,
    /// The length of the rows must be a multiple of this.
    pub(crate) lanes: usize,
    run: Run<T>,
}

/// `(a, b, len, sums)`: see [`Dots::sums`]; `sums` is `[rows, terms]`, overwritten.
type Run<T> = unsafe fn(&[&[T]], &[&[T]], usize, &mut [T; MOST]);

/// The most sums any form holds.
const MOST: usize = 16;

impl<T: Float> Dots<T> {
    /// The form that fits this processor best.
    pub(crate) fn best() -> Dots<T> {
        T::dots()
    }

    /// `sums[i * terms + j] = sum_q a[i][q] * b[j][q]` for `q < len`.
    pub(crate) fn sums(&self, a: &[&[T]], b: &[&[T]], len: usize) -> [T; MOST] {
        assert!(a.len() == self.rows && b.len() == self.terms && len.is_multiple_of(self.lanes));
        assert!(a.iter().chain(b).all(|row| row.len() >= len), "a row is too short");
        let mut sums = [T::zero(); MOST];
        // SAFETY: the processor has the form's instructions, and all rows are long enough.
        unsafe { (self.run)(a, b, len, &mut sums) };
        sums
    }
}

/// The loop itself.
///
/// # Safety
/// As [`Vector`]; every row of `a` and `b` holds `len` numbers, a multiple of the lanes.
#[inline(always)]
unsafe fn dots<T: Float, V: Vector<T>, const ROWS: usize, const TERMS: usize>(
    a: &[&[T]],
    b: &[&[T]],
    len: usize,
    sums: &mut [T; MOST],
) {
    unsafe {
        let a: [*const T; ROWS] = std::array::from_fn(|i| a[i].as_ptr());
        let b: [*const T; TERMS] = std::array::from_fn(|j| b[j].as_ptr());
        let mut partial = [[V::splat(T::zero()); TERMS]; ROWS];
        let mut q = 0;
        while q < len {
            let b: [V; TERMS] = std::array::from_fn(|j| V::load(b[j].add(q)));
            for i in 0..ROWS {
                let a = V::load(a[i].add(q));
                for j in 0..TERMS {
                    partial[i][j] = partial[i][j].add_product(a, b[j]);
                }
            }
            q += V::LANES;
        }
        for (sum, partial) in sums.iter_mut().zip(partial.as_flattened()) {
            let mut lanes = [T::zero(); 16];
            partial.store(lanes.as_mut_ptr());
            *sum = lanes[..V::LANES].iter().copied().sum();
        }
    }
}

/// The three forms for one type.
macro_rules! forms {
    ($T:ident, $Wide:ident, $Half:ident) => {
        pub fn $T() -> Dots<$T> {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{$Half, $Wide};
                #[target_feature(enable = "avx512f")]
                unsafe fn avx512(a: &[&[$T]], b: &[&[$T]], len: usize, sums: &mut [$T; MOST]) {
                    unsafe { dots::<$T, $Wide, 4, 4>(a, b, len, sums) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2(a: &[&[$T]], b: &[&[$T]], len: usize, sums: &mut [$T; MOST]) {
                    unsafe { dots::<$T, $Half, 4, 2>(a, b, len, sums) }
                }
                if is_x86_feature_detected!("avx512f") {
                    return Dots { rows: 4, terms: 4, lanes: <$Wide as Vector<$T>>::LANES, run: avx512 };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    return Dots { rows: 4, terms: 2, lanes: <$Half as Vector<$T>>::LANES, run: avx2 };
                }
            }
            Dots { rows: 2, terms: 2, lanes: 4, run: dots::<$T, Portable<$T>, 2, 2> }
        }
    };
}

/// What each float type's best form is.
pub mod best {
    use super::*;
    forms!(f32, __m512, __m256);
    forms!(f64, __m512d, __m256d);
}
