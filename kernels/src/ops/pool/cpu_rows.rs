//! Pooling on the processor, the fast rung: a row of outputs takes in one row of inputs after the
//! other.
//!
//! The plain rung computes a position and two bounds for every element of every window. Here the
//! bounds are worked out once per row, and what is left are loops over neighbouring numbers without
//! a branch, which the compiler turns into vector instructions. Threads share the work by slices
//! of the output (forward) or planes (backward), each with one owner, so nothing depends on their
//! number. Windows of 2 with stride 2, the common case, take all rows of a window in one go:
//! their maxima never wait in memory, and the gradient of every input is known from its one window.

use std::hint::select_unpredictable;
use std::ops::Range;

use super::cpu::Dim;
use super::{NOWHERE, Pool};
use crate::wide::wide_fn;
use crate::{Float, split};

impl Dim {
    /// The windows whose element `k` is not in the margin, and where the first of those stands.
    fn span(&self, k: usize) -> (Range<usize>, usize) {
        let shift = k * self.dilation; // i = o * stride + shift - pad
        let first = self.pad.saturating_sub(shift).div_ceil(self.stride);
        let end = (self.input + self.pad).saturating_sub(shift).div_ceil(self.stride).min(self.out);
        (first..end.max(first), (first * self.stride + shift).saturating_sub(self.pad))
    }

    /// The elements of window `o` as one range, where they lie side by side (dilation 1).
    fn range(&self, o: usize) -> Range<usize> {
        let start = o * self.stride;
        start.saturating_sub(self.pad)..(start + self.kernel).saturating_sub(self.pad).min(self.input)
    }

    /// Whether each window begins where the one before it ends.
    fn is_side_by_side(&self) -> bool {
        (self.kernel, self.pad, self.dilation) == (self.stride, 0, 1)
    }

    /// Whether the windows are pairs of neighbours, side by side.
    fn is_pairs(&self) -> bool {
        (self.kernel, self.stride, self.pad, self.dilation) == (2, 2, 0, 1)
    }
}

// x: [planes, in_d, in_h, in_w]   y, argmax: [planes, out_d, out_h, out_w]
pub fn max_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T], argmax: &mut [u32]) {
    let slice = p.out_slice();
    split::pieces2((y, slice), (argmax, slice), slice * p.taps(), |n, y, argmax| {
        max_of_slice(p, n, x, y, argmax);
    });
}

/// The maxima of whole planes, on this thread; where they stand is not kept.
// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
pub fn max_of_planes<T: Float>(p: &Pool, x: &[T], y: &mut [T]) {
    let mut argmax = vec![0; p.out_slice()];
    y.chunks_exact_mut(p.out_slice()).enumerate().for_each(|(n, y)| max_of_slice(p, n, x, y, &mut argmax));
}

wide_fn! {
    /// One slice of the output, number `plane * out_d + od`.
    fn max_of_slice<T: Float>(p: &Pool, n: usize, x: &[T], y: &mut [T], argmax: &mut [u32]) {
        let [depth, height, width] = p.dims();
        let (plane, od) = (n / depth.out, n % depth.out);
        let x = &x[plane * p.in_plane()..][..p.in_plane()];
        let start = |d: usize, h: usize| (d * height.input + h) * width.input;
        let rows = y.chunks_exact_mut(width.out).zip(argmax.chunks_exact_mut(width.out)).enumerate();
        // The most common windows, pairs in every dimension, have two rows in a plane, four in a volume.
        let in_plane = height.is_pairs() && width.is_pairs();
        if in_plane && depth.kernel == 1 && depth.pad == 0 {
            for (oh, (max, first)) in rows {
                let [d, h] = [od * depth.stride, 2 * oh];
                max_of_pairs(x, [start(d, h), start(d, h + 1)], max, first);
            }
        } else if in_plane && depth.is_pairs() {
            for (oh, (max, first)) in rows {
                let [d, h] = [2 * od, 2 * oh];
                let starts = [start(d, h), start(d, h + 1), start(d + 1, h), start(d + 1, h + 1)];
                max_of_pairs(x, starts, max, first);
            }
        } else {
            for (oh, (max, first)) in rows {
                max.fill(T::neg_infinity());
                first.fill(NOWHERE);
                for d in depth.elements(od) {
                    for h in height.elements(oh) {
                        let start = start(d, h);
                        max_row(&width, &x[start..][..width.input], start as u32, max, first);
                    }
                }
            }
        }
    }
}

/// A row of windows that are pairs of neighbours in `R` rows of inputs, which begin at `starts` of their
/// plane.
#[inline(always)]
fn max_of_pairs<T: Float, const R: usize>(x: &[T], starts: [usize; R], max: &mut [T], first: &mut [u32]) {
    // All of the same length, so that no index needs a check.
    let (windows, first) = (max.len(), &mut first[..max.len()]);
    let rows = starts.map(|start| &x[start..].as_chunks::<2>().0[..windows]);
    for o in 0..windows {
        let (mut best, mut place) = (rows[0][o][0], (starts[0] + 2 * o) as u32);
        for (row, start) in rows.iter().zip(starts) {
            for (k, &x) in row[o].iter().enumerate() {
                let better = (x > best) | x.is_nan();
                best = select_unpredictable(better, x, best);
                place = select_unpredictable(better, (start + 2 * o + k) as u32, place);
            }
        }
        (max[o], first[o]) = (best, place);
    }
}

/// Takes one row of inputs, which begins at `start` of its plane, into a row of maxima.
#[inline(always)]
fn max_row<T: Float>(width: &Dim, x: &[T], start: u32, max: &mut [T], first: &mut [u32]) {
    if width.out < width.kernel {
        for (o, (max, first)) in max.iter_mut().zip(first).enumerate() {
            // Of many elements few are a new maximum: here a branch is right nearly always.
            let mut take = |i: usize| {
                if *first == NOWHERE || x[i] > *max || x[i].is_nan() {
                    (*max, *first) = (x[i], start + i as u32);
                }
            };
            match width.dilation {
                1 => width.range(o).for_each(take),
                _ => width.elements(o).for_each(&mut take),
            }
        }
    } else {
        for k in 0..width.kernel {
            let (windows, i) = width.span(k);
            let outputs = max[windows.clone()].iter_mut().zip(&mut first[windows]);
            for (n, (max, first)) in outputs.enumerate() {
                // In a small window nobody can guess which element is the maximum, and a branch that is
                // guessed wrongly every other time made this five times as slow.
                let i = i + n * width.stride;
                let better = (*first == NOWHERE) | (x[i] > *max) | x[i].is_nan();
                *max = select_unpredictable(better, x[i], *max);
                *first = select_unpredictable(better, start + i as u32, *first);
            }
        }
    }
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn max_backward<T: Float>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
    let out = p.out_plane();
    split::pieces(dx, p.in_plane(), p.in_plane() + 2 * out, |plane, dx| {
        max_backward_of_planes(p, &argmax[plane * out..][..out], &dy[plane * out..][..out], dx);
    });
}

/// Whole planes, on this thread.
// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn max_backward_of_planes<T: Float>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
    let [depth, height, width] = p.dims();
    let pairs = depth.is_side_by_side() && height.is_side_by_side() && width.is_pairs();
    let (size, of_out) = (p.in_plane().max(1), p.out_plane().max(1));
    let out = argmax.chunks_exact(of_out).zip(dy.chunks_exact(of_out));
    for ((argmax, dy), dx) in out.zip(dx.chunks_exact_mut(size)) {
        if pairs {
            spread_to_pairs(p, argmax, dy, dx);
            continue;
        }
        dx.fill(T::zero());
        for (&i, &dy) in argmax.iter().zip(dy) {
            // `NOWHERE` is outside every plane.
            if let Some(dx) = dx.get_mut(i as usize) {
                *dx += dy;
            }
        }
    }
}

wide_fn! {
    /// The gradient of a plane whose windows lie side by side and are pairs in width: what an input gets is known
    /// from its one window.
    fn spread_to_pairs<T: Float>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
        let [depth, height, width] = p.dims();
        if [depth, height, width].iter().any(|dim| dim.out * dim.kernel < dim.input) {
            dx.fill(T::zero()); // of what is in no window
        }
        let rows = argmax.chunks_exact(width.out).zip(dy.chunks_exact(width.out));
        for (n, (argmax, dy)) in rows.enumerate() {
            let [d, h] = [n / height.out * depth.kernel, n % height.out * height.kernel];
            for d in d..d + depth.kernel {
                for h in h..h + height.kernel {
                    let start = (d * height.input + h) * width.input;
                    // All of the same length, so that no index needs a check.
                    let pairs = &mut dx[start..].as_chunks_mut::<2>().0[..width.out];
                    let (argmax, dy) = (&argmax[..pairs.len()], &dy[..pairs.len()]);
                    for o in 0..pairs.len() {
                        let i = (start + 2 * o) as u32;
                        pairs[o] = [i, i + 1].map(|i| select_unpredictable(argmax[o] == i, dy[o], T::zero()));
                    }
                }
            }
        }
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
pub fn avg_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T]) {
    let slice = p.out_slice();
    split::pieces(y, slice, slice * p.taps(), |n, y| avg_of_slice(p, n, x, y));
}

wide_fn! {
    /// One slice of the output, number `plane * out_d + od`.
    fn avg_of_slice<T: Float>(p: &Pool, n: usize, x: &[T], y: &mut [T]) {
        let [depth, height, width] = p.dims();
        let (plane, od) = (n / depth.out, n % depth.out);
        let x = &x[plane * p.in_plane()..][..p.in_plane()];
        // Sums of sums: a window of a hundred thousand elements added one by one would lose digits.
        let mut of_slice = vec![T::zero(); width.out];
        for (oh, y) in y.chunks_mut(width.out).enumerate() {
            y.fill(T::zero());
            for d in depth.elements(od) {
                of_slice.fill(T::zero());
                for h in height.elements(oh) {
                    let start = (d * height.input + h) * width.input;
                    sum_row(&width, &x[start..][..width.input], &mut of_slice);
                }
                y.iter_mut().zip(&of_slice).for_each(|(y, &sum)| *y += sum);
            }
            divide_row(p, [od, oh], y);
        }
    }
}

/// Adds one row of inputs to a row of sums.
#[inline(always)]
fn sum_row<T: Float>(width: &Dim, x: &[T], sums: &mut [T]) {
    if width.is_pairs() {
        sums.iter_mut().zip(x.chunks_exact(2)).for_each(|(sum, pair)| *sum += pair[0] + pair[1]);
    } else if width.out < width.kernel && width.dilation == 1 {
        for (o, sum) in sums.iter_mut().enumerate() {
            *sum += T::of(split::sum(&x[width.range(o)]));
        }
    } else {
        for k in 0..width.kernel {
            let (windows, i) = width.span(k);
            sums[windows].iter_mut().enumerate().for_each(|(n, sum)| *sum += x[i + n * width.stride]);
        }
    }
}

/// Divides a row of sums, or of gradients, by the sizes of the windows.
#[inline(always)]
fn divide_row<T: Float>(p: &Pool, [od, oh]: [usize; 2], row: &mut [T]) {
    if p.all_count_alike() {
        let count = T::of(p.taps() as f64);
        row.iter_mut().for_each(|sum| *sum = *sum / count);
    } else {
        row.iter_mut().enumerate().for_each(|(ow, sum)| *sum = *sum / T::of(p.count([od, oh, ow]) as f64));
    }
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn avg_backward<T: Float>(p: &Pool, dy: &[T], dx: &mut [T]) {
    let [depth, height, width] = p.dims();
    let out = p.out_plane();
    split::pieces(dx, p.in_plane(), p.in_plane() + out * p.taps(), |plane, dx| {
        dx.fill(T::zero());
        let mut share = vec![T::zero(); width.out];
        for (n, dy) in dy[plane * out..][..out].chunks(width.out).enumerate() {
            let (od, oh) = (n / height.out, n % height.out);
            share.copy_from_slice(dy);
            divide_row(p, [od, oh], &mut share);
            for d in depth.elements(od) {
                for h in height.elements(oh) {
                    let start = (d * height.input + h) * width.input;
                    spread_row(&width, &share, &mut dx[start..][..width.input]);
                }
            }
        }
    });
}

/// Adds to every input of a row the shares of the windows it is in.
fn spread_row<T: Float>(width: &Dim, share: &[T], dx: &mut [T]) {
    if width.is_pairs() {
        dx.chunks_exact_mut(2).zip(share).for_each(|(pair, &share)| {
            pair[0] += share;
            pair[1] += share;
        });
    } else if width.out < width.kernel && width.dilation == 1 {
        for (o, &share) in share.iter().enumerate() {
            dx[width.range(o)].iter_mut().for_each(|dx| *dx += share);
        }
    } else {
        // From the last element of the window to the first, so that an input meets its windows in order.
        for k in (0..width.kernel).rev() {
            let (windows, i) = width.span(k);
            share[windows].iter().enumerate().for_each(|(n, &share)| dx[i + n * width.stride] += share);
        }
    }
}
