//! The register tile: the one inner loop under matmul and convolution.
//!
//! A processor core can start two vector multiply-adds per cycle but load only two vectors, so a
//! loop that loads for every multiply-add runs at half speed or less. A tile keeps
//! `rows x cols` sums in registers; each term then loads `cols` numbers of one factor and
//! broadcasts `rows` of the other, and does `rows * cols` multiply-adds with them.
//!
//! The tile's size follows the number and width of the vector registers, so it is compiled three
//! times and chosen at run time: AVX-512 (32 registers of 16 floats), AVX2 with FMA (16 of 8), and
//! a portable form for every other processor.

use super::vector::{Portable, Vector};
use crate::Float;

/// One compiled form of the tile.
pub struct Tile<T> {
    rows: usize,
    cols: usize,
    run: Run<T>,
}

/// `(a, b, offsets, sums)`: see [`Tile::add`]; `sums` is `[rows, cols]`, overwritten.
type Run<T> = unsafe fn(&[T], &[T], &[usize], &mut [T; MOST]);

/// The most sums any form holds.
const MOST: usize = 8 * 32;

impl<T: Float> Tile<T> {
    /// The form that fits this processor best.
    pub(crate) fn best() -> Tile<T> {
        T::tile()
    }

    fn of<V: Vector<T>, const ROWS: usize>(run: Run<T>) -> Tile<T> {
        Tile { rows: ROWS, cols: 2 * V::LANES, run }
    }

    /// Rows of the tile: the width of the packed panels of the left factor.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the tile: how many neighbours of the right factor one term reads.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// For `i < height`, `j < width`: `c[i * stride + j] += sum_q a[q * rows + i] * b[offsets[q] + j]`.
    ///
    /// `a` is one packed panel, `rows` numbers a term. Every `b[offsets[q]..][..cols]` must exist,
    /// also where `width` is smaller.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn add(
        &self,
        a: &[T],
        b: &[T],
        offsets: &[usize],
        c: &mut [T],
        stride: usize,
        height: usize,
        width: usize,
    ) {
        let last = offsets.iter().max().map_or(0, |last| last + self.cols);
        assert!(a.len() >= offsets.len() * self.rows && b.len() >= last, "the tile reads past a factor");
        let mut sums = [T::zero(); MOST];
        // SAFETY: the processor has the form's instructions, and both factors are long enough.
        unsafe { (self.run)(a, b, offsets, &mut sums) };
        for (i, sums) in sums.chunks_exact(self.cols).take(height).enumerate() {
            let c = &mut c[i * stride..][..width];
            c.iter_mut().zip(sums).for_each(|(c, &sum)| *c += sum);
        }
    }
}

/// The loop itself: ROWS x 2 registers of sums.
///
/// # Safety
/// As [`Vector`]; `a` holds ROWS numbers and `b` two registers' worth for every offset.
#[inline(always)]
unsafe fn tile<T: Float, V: Vector<T>, const ROWS: usize>(
    a: &[T],
    b: &[T],
    offsets: &[usize],
    c: &mut [T; MOST],
) {
    unsafe {
        let mut sums = [[V::splat(T::zero()); 2]; ROWS];
        for (q, &offset) in offsets.iter().enumerate() {
            let b = b.as_ptr().add(offset);
            let b = [V::load(b), V::load(b.add(V::LANES))];
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = V::splat(*a.as_ptr().add(q * ROWS + i));
                *sums = [sums[0].add_product(a, b[0]), sums[1].add_product(a, b[1])];
            }
        }
        for (i, sum) in sums.as_flattened().iter().enumerate() {
            sum.store(c.as_mut_ptr().add(i * V::LANES));
        }
    }
}

/// The three forms for one type.
macro_rules! forms {
    ($T:ident, $Wide:ident, $Half:ident) => {
        pub fn $T() -> Tile<$T> {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{$Half, $Wide};
                #[target_feature(enable = "avx512f")]
                unsafe fn avx512(a: &[$T], b: &[$T], offsets: &[usize], c: &mut [$T; MOST]) {
                    unsafe { tile::<$T, $Wide, 8>(a, b, offsets, c) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2(a: &[$T], b: &[$T], offsets: &[usize], c: &mut [$T; MOST]) {
                    unsafe { tile::<$T, $Half, 6>(a, b, offsets, c) }
                }
                if is_x86_feature_detected!("avx512f") {
                    return Tile::of::<$Wide, 8>(avx512);
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    return Tile::of::<$Half, 6>(avx2);
                }
            }
            Tile::of::<Portable<$T>, 4>(tile::<$T, Portable<$T>, 4>)
        }
    };
}

/// What each float type's best form is.
pub mod best {
    use super::*;
    forms!(f32, __m512, __m256);
    forms!(f64, __m512d, __m256d);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that every form must give the exact sum.
    #[test]
    fn every_form_adds_the_same() {
        for form in [best::f32(), Tile::of::<Portable<f32>, 4>(tile::<f32, Portable<f32>, 4>)] {
            let (terms, width) = (5, form.cols - 3);
            let a: Vec<f32> = (0..terms * form.rows).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..terms * form.cols).map(|i| (i % 5) as f32 - 2.0).collect();
            let offsets: Vec<usize> = (0..terms).map(|q| q * form.cols).collect();
            let mut c = vec![1.0; form.rows * width];
            form.add(&a, &b, &offsets, &mut c, width, form.rows, width);
            for i in 0..form.rows {
                for j in 0..width {
                    let sum: f32 = (0..terms).map(|q| a[q * form.rows + i] * b[q * form.cols + j]).sum();
                    assert_eq!(c[i * width + j], 1.0 + sum, "row {i}, column {j}");
                }
            }
        }
    }
}
