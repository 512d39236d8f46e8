//! The other register tile: sums of products of two rows that both lie as they are, which is what a gradient
//! of weights is where the places are many and the channels few.
//!
//! A vector holds neighbouring terms of one sum, not the same term of neighbouring sums, so neither factor
//! needs packing: [`Tile`](super::tile::Tile) wants the numbers of several rows side by side. The price is
//! that a sum takes a whole vector until its lanes are added at the very end, so this tile pays where few
//! sums have many terms.

use super::vector::{Portable, Vector};
use crate::Float;

/// One compiled form.
#[derive(Clone, Copy)]
pub struct Dots<T: 'static> {
    rows: usize,
    lanes: usize,
    /// For one column, two, and so on.
    run: &'static [Run<T>],
}

/// Where the terms of a sum lie in both factors, as distances.
pub(crate) struct Terms {
    each: Vec<[usize; 2]>,
    last: [usize; 2],
}

impl From<Vec<[usize; 2]>> for Terms {
    fn from(each: Vec<[usize; 2]>) -> Terms {
        let last = [0, 1].map(|i| each.iter().map(|term| term[i]).max().unwrap_or(0));
        Terms { each, last }
    }
}

/// `(a, rows, b, columns, terms, sums, stride)`: see [`Dots::run`].
type Run<T> = unsafe fn(&[T], &[usize], &[T], &[usize], &[[usize; 2]], &mut [T], usize);

impl<T: Float> Dots<T> {
    /// The widest form that the processor has, up to `form` as in [`Tile::new`](super::tile::Tile::new).
    pub(crate) fn new(form: usize) -> Dots<T> {
        T::dots(form)
    }

    /// Rows that one run takes.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Terms that are multiplied together.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Cuts `columns` into those of one run each, `(first, count)`, all about as many.
    pub(crate) fn cut(&self, columns: usize) -> impl Iterator<Item = (usize, usize)> {
        let runs = columns.div_ceil(self.run.len());
        let first = move |i: usize| i * columns / runs;
        (0..runs).map(move |i| (first(i), first(i + 1) - first(i)))
    }

    /// For every row `i`, column `j` and lane `l`: `sums[(i * stride + j) * lanes + l] +=
    /// sum_q a[rows[i] + terms[q][0] + l] * b[columns[j] + terms[q][1] + l]`.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run(
        &self,
        a: &[T],
        rows: &[usize],
        b: &[T],
        columns: &[usize],
        terms: &Terms,
        sums: &mut [T],
        stride: usize,
    ) {
        let last = |starts: &[usize], i: usize| {
            starts.iter().max().map_or(0, |start| start + terms.last[i] + self.lanes)
        };
        assert!(a.len() >= last(rows, 0) && b.len() >= last(columns, 1), "the tile reads past a factor");
        let end = ((self.rows - 1) * stride + columns.len()) * self.lanes;
        assert!(rows.len() == self.rows && sums.len() >= end, "the tile writes past its sums");
        // SAFETY: the processor has the form's instructions; factors and sums are long enough.
        unsafe { self.run[columns.len() - 1](a, rows, b, columns, &terms.each, sums, stride) };
    }
}

/// The loop itself: `ROWS x COLS` registers of sums.
///
/// # Safety
/// As [`Vector`]; `a` and `b` hold a vector at each start for every term; `sums` has room for ROWS rows.
#[inline(always)]
unsafe fn dots<T: Float, V: Vector<T>, const ROWS: usize, const COLS: usize>(
    a: &[T],
    rows: &[usize],
    b: &[T],
    columns: &[usize],
    terms: &[[usize; 2]],
    c: &mut [T],
    stride: usize,
) {
    unsafe {
        let c = c.as_mut_ptr();
        let a: [*const T; ROWS] = std::array::from_fn(|i| a.as_ptr().add(rows[i]));
        let b: [*const T; COLS] = std::array::from_fn(|j| b.as_ptr().add(columns[j]));
        let mut sums = [[V::splat(T::zero()); COLS]; ROWS];
        for &[of_a, of_b] in terms {
            let b: [V; COLS] = std::array::from_fn(|j| V::load(b[j].add(of_b)));
            for (a, sums) in a.iter().zip(&mut sums) {
                let a = V::load(a.add(of_a));
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = sum.add_product(a, b);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, &sum) in sums.iter().enumerate() {
                let c = c.add((i * stride + j) * V::LANES);
                V::load(c).add(sum).store(c);
            }
        }
    }
}

/// One form: the tile of `$V`.
macro_rules! form {
    ($T:ident, $V:ty, $ROWS:literal, [$($COLS:literal)*] $(, $feature:literal)?) => {{
        $(#[target_feature(enable = $feature)])?
        unsafe fn run<const COLS: usize>(
            a: &[$T], rows: &[usize], b: &[$T], columns: &[usize], terms: &[[usize; 2]], c: &mut [$T], stride: usize,
        ) {
            unsafe { dots::<$T, $V, $ROWS, COLS>(a, rows, b, columns, terms, c, stride) }
        }
        const RUN: &[Run<$T>] = &[$(run::<$COLS>),*];
        Dots { rows: $ROWS, lanes: <$V as Vector<$T>>::LANES, run: RUN }
    }};
}

/// The forms for one type.
macro_rules! forms {
    ($T:ident, $Wide:ident, $Half:ident) => {
        pub fn $T(most: usize) -> Dots<$T> {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{$Half, $Wide};
                if most > 1 && is_x86_feature_detected!("avx512f") {
                    return form!($T, $Wide, 4, [1 2 3 4 5 6], "avx512f");
                }
                if most > 0 && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    return form!($T, $Half, 4, [1 2 3], "avx2,fma");
                }
            }
            let _ = most;
            // 64-bit ARM has 32 registers, the other baselines 16.
            #[cfg(target_arch = "aarch64")]
            return form!($T, Portable<$T>, 4, [1 2 3 4 5 6]);
            #[cfg(not(target_arch = "aarch64"))]
            form!($T, Portable<$T>, 4, [1 2])
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
        for form in 0..3 {
            let dots = Dots::<f32>::new(form);
            for columns in 1..=dots.run.len() {
                let (lanes, stride) = (dots.lanes, columns + 1);
                let a: Vec<f32> = (0..200).map(|i| (i % 7) as f32 - 3.0).collect();
                let b: Vec<f32> = (0..200).map(|i| (i % 5) as f32 - 2.0).collect();
                let rows: Vec<usize> = (0..dots.rows).map(|i| 5 * i).collect();
                let starts: Vec<usize> = (0..columns).map(|j| 3 * j + 1).collect();
                let terms: Vec<[usize; 2]> = (0..4).map(|q| [q * 20, q * 30]).collect();
                let mut sums = vec![1.0; dots.rows * stride * lanes];
                dots.run(&a, &rows, &b, &starts, &terms.clone().into(), &mut sums, stride);
                for (i, j) in (0..dots.rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                    for l in 0..lanes {
                        let product =
                            |[of_a, of_b]: &[usize; 2]| a[rows[i] + of_a + l] * b[starts[j] + of_b + l];
                        let expected = 1.0 + terms.iter().map(product).sum::<f32>();
                        assert_eq!(
                            sums[(i * stride + j) * lanes + l],
                            expected,
                            "form {form}: {i}, {j}, {l}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn columns_are_shared_out() {
        let dots = Dots::<f32>::new(0);
        assert_eq!(dots.cut(0).count(), 0);
        for columns in 1..40 {
            let mut next = 0;
            for (first, count) in dots.cut(columns) {
                assert!(
                    first == next && (1..=dots.run.len()).contains(&count),
                    "{columns}: {first}, {count}"
                );
                next += count;
            }
            assert_eq!(next, columns);
        }
    }
}
