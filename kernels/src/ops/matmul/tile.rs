//! The register tile: the inner loop under matmul and nearly all of convolution (`dots.rs` is under the rest).
//!
//! A processor core can start two vector multiply-adds per cycle but load only two vectors, so a
//! loop that loads for every multiply-add runs at half speed or less. A tile keeps `rows` sums for
//! up to three vectors in registers; each term then loads the vectors of one factor, broadcasts
//! `rows` numbers of the other, and does `3 * rows` multiply-adds with them. A multiply-add also
//! takes four cycles to finish: with fewer than eight sums on their way the units would wait.
//!
//! The vectors may begin anywhere, and the terms may be any distances apart: what is a row of a
//! packed matrix for matmul is a row of an image, shifted by the kernel, for convolution.
//!
//! The tile's size follows the number and width of the vector registers, so it is compiled several
//! times and chosen at run time: AVX-512 (32 registers of 16 floats), AVX2 with FMA (16 of 8), and
//! a form of four floats for every other processor.

use super::vector::{Portable, Vector};
use crate::Float;

/// Vectors that any tile takes side by side at most.
pub(crate) const MOST: usize = 6;

/// Rows of the tile for results that have so few: it takes twice as many vectors instead.
const NARROW: usize = 2;

/// One compiled form of the tile.
#[derive(Clone, Copy)]
pub struct Tile<T: 'static> {
    rows: usize,
    lanes: usize,
    /// For one vector, two, and so on.
    run: &'static [Run<T>],
}

/// `(a, b, starts, offsets, c, stride, store)`: see [`Tile::run`].
type Run<T> = unsafe fn(&[T], &[T], &[usize], &[usize], &mut [T], usize, Store<T>);

/// What is stored of the sums.
#[derive(Clone, Copy)]
pub(crate) enum Store<'a, T> {
    /// They themselves.
    Sums,
    /// They and what was there.
    Added,
    /// They and one more term for each row.
    With(&'a [T]),
}

/// Where the terms of a sum lie, as distances.
pub(crate) struct Offsets {
    each: Vec<usize>,
    last: usize,
}

impl FromIterator<usize> for Offsets {
    fn from_iter<I: IntoIterator<Item = usize>>(offsets: I) -> Offsets {
        let each: Vec<usize> = offsets.into_iter().collect();
        Offsets { last: each.iter().copied().max().unwrap_or(0), each }
    }
}

impl Offsets {
    /// `terms` of them, all the same distance from the next.
    pub(crate) fn every(distance: usize, terms: usize) -> Offsets {
        (0..terms).map(|q| q * distance).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.each.iter().copied()
    }
}

impl<T: Float> Tile<T> {
    /// The tile for so many rows, in the widest form that the processor has, up to `form`: 0 is the one
    /// that runs everywhere, 1 AVX2, 2 AVX-512.
    pub(crate) fn new(form: usize, rows: usize) -> Tile<T> {
        T::tile(form, rows <= NARROW)
    }

    /// Rows of the tile: the width of the packed panels of the left factor.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in one vector of the right factor.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Cuts `vectors` into those of one tile each, `(first, count)`, without leaving a single one for the
    /// end: too few sums would be on their way.
    pub(crate) fn cut(&self, vectors: usize) -> impl Iterator<Item = (usize, usize)> {
        let most = self.run.len();
        let mut first = 0;
        std::iter::from_fn(move || {
            let left = vectors - first;
            let count = if left == most + 1 { most - 1 } else { left.min(most) };
            first += count;
            (count > 0).then_some((first - count, count))
        })
    }

    /// For every row `i`, vector `v` and lane `j`, with `s = sum_q a[q * rows + i] * b[starts[v] +
    /// offsets[q] + j]`: `c[i * stride + v * lanes + j] = s`, or what `store` says.
    ///
    /// `a` is one packed panel, `rows` numbers a term; `starts` has no more vectors than the tile takes.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run(
        &self,
        a: &[T],
        b: &[T],
        starts: &[usize],
        offsets: &Offsets,
        c: &mut [T],
        stride: usize,
        store: Store<T>,
    ) {
        let last = starts.iter().max().map_or(0, |start| start + offsets.last + self.lanes);
        assert!(a.len() >= offsets.len() * self.rows && b.len() >= last, "the tile reads past a factor");
        let end = (self.rows - 1) * stride + starts.len() * self.lanes;
        assert!(c.len() >= end, "the tile writes past its sums");
        if let Store::With(terms) = store {
            assert!(terms.len() >= self.rows, "a term for each row of the tile");
        }
        // SAFETY: the processor has the form's instructions; factors and sums are long enough.
        unsafe { self.run[starts.len() - 1](a, b, starts, &offsets.each, c, stride, store) };
    }
}

/// The loop itself: `ROWS x COLS` registers of sums.
///
/// # Safety
/// As [`Vector`]; `a` holds ROWS numbers and `b` a vector at each start for every offset; `c` has
/// room for ROWS rows, `stride` apart.
#[inline(always)]
unsafe fn tile<T: Float, V: Vector<T>, const ROWS: usize, const COLS: usize>(
    a: &[T],
    b: &[T],
    starts: &[usize],
    offsets: &[usize],
    c: &mut [T],
    stride: usize,
    store: Store<T>,
) {
    unsafe {
        let (a, c) = (a.as_ptr(), c.as_mut_ptr());
        let b: [*const T; COLS] = std::array::from_fn(|v| b.as_ptr().add(starts[v]));
        let mut sums = [[V::splat(T::zero()); COLS]; ROWS];
        for (q, &offset) in offsets.iter().enumerate() {
            let b: [V; COLS] = std::array::from_fn(|v| V::load(b[v].add(offset)));
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = V::splat(*a.add(q * ROWS + i));
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = sum.add_product(a, b);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let c = c.add(i * stride + v * V::LANES);
                let sum = match store {
                    Store::Sums => sum,
                    Store::Added => V::load(c).add(sum),
                    Store::With(terms) => sum.add(V::splat(*terms.get_unchecked(i))),
                };
                sum.store(c);
            }
        }
    }
}

/// One form: the tile of `$V`, narrow or not.
macro_rules! form {
    ($T:ident, $V:ty, $ROWS:literal, $narrow:ident $(, $feature:literal)?) => {{
        $(#[target_feature(enable = $feature)])?
        unsafe fn run<const ROWS: usize, const COLS: usize>(
            a: &[$T], b: &[$T], starts: &[usize], offsets: &[usize], c: &mut [$T], stride: usize, store: Store<$T>,
        ) {
            unsafe { tile::<$T, $V, ROWS, COLS>(a, b, starts, offsets, c, stride, store) }
        }
        let lanes = <$V as Vector<$T>>::LANES;
        if $narrow {
            const RUN: &[Run<$T>] = &[
                run::<NARROW, 1>, run::<NARROW, 2>, run::<NARROW, 3>, run::<NARROW, 4>, run::<NARROW, 5>, run::<NARROW, 6>,
            ];
            Tile { rows: NARROW, lanes, run: RUN }
        } else {
            const RUN: &[Run<$T>] = &[run::<$ROWS, 1>, run::<$ROWS, 2>, run::<$ROWS, 3>];
            Tile { rows: $ROWS, lanes, run: RUN }
        }
    }};
}

/// The forms for one type.
macro_rules! forms {
    ($T:ident, $Wide:ident, $Half:ident) => {
        pub fn $T(most: usize, narrow: bool) -> Tile<$T> {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{$Half, $Wide};
                if most > 1 && is_x86_feature_detected!("avx512f") {
                    return form!($T, $Wide, 8, narrow, "avx512f");
                }
                if most > 0 && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    return form!($T, $Half, 4, narrow, "avx2,fma");
                }
            }
            let _ = most;
            // 64-bit ARM has 32 registers, the other baselines 16.
            #[cfg(target_arch = "aarch64")]
            return form!($T, Portable<$T>, 8, narrow);
            #[cfg(not(target_arch = "aarch64"))]
            form!($T, Portable<$T>, 4, narrow)
        }
    };
}

/// What each float type's forms are.
pub mod forms {
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
        for (form, rows) in (0..3).flat_map(|form| [(form, 1), (form, 8)]) {
            let tile = Tile::<f32>::new(form, rows);
            for vectors in 1..=tile.run.len() {
                let (terms, pitch, stride) = (5, (MOST + 1) * tile.lanes, vectors * tile.lanes + 1);
                let a: Vec<f32> = (0..terms * tile.rows).map(|i| (i % 7) as f32 - 3.0).collect();
                let b: Vec<f32> = (0..terms * pitch).map(|i| (i % 5) as f32 - 2.0).collect();
                let starts: Vec<usize> = (0..vectors).map(|v| v * (tile.lanes - 1) + v % 2).collect();
                let more: Vec<f32> = (0..tile.rows).map(|i| i as f32).collect();
                for store in [Store::Sums, Store::Added, Store::With(&more)] {
                    let mut c = vec![1.0; tile.rows * stride];
                    tile.run(&a, &b, &starts, &Offsets::every(pitch, terms), &mut c, stride, store);
                    for (i, j) in (0..tile.rows).flat_map(|i| (0..vectors * tile.lanes).map(move |j| (i, j)))
                    {
                        let at = starts[j / tile.lanes] + j % tile.lanes;
                        let sum: f32 = (0..terms).map(|q| a[q * tile.rows + i] * b[q * pitch + at]).sum();
                        let expected = match store {
                            Store::Sums => sum,
                            Store::Added => sum + 1.0,
                            Store::With(more) => sum + more[i],
                        };
                        assert_eq!(c[i * stride + j], expected, "form {form}: row {i}, column {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_vector_is_left_alone() {
        let tile = Tile::<f32>::new(0, 8);
        let counts = |n| tile.cut(n).map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(counts(0), [0; 0]);
        assert_eq!(counts(1), [1]);
        assert_eq!(counts(4), [2, 2]);
        assert_eq!(counts(7), [3, 2, 2]);
        assert_eq!(tile.cut(8).last(), Some((6, 2)));
    }
}
