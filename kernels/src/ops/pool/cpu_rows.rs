//! Pooling on the processor, the fast rung: a row of outputs takes in one row of inputs after the
//! other.
//!
//! The plain rung computes a position and two bounds for every element of every window. Here the
//! bounds are worked out once per row, and what is left are loops over neighbouring numbers without
//! a branch, which the compiler turns into vector instructions. Threads share the work by slices
//! of the output (forward) or planes (backward), each with one owner, so nothing depends on their
//! number. Windows of 2 with stride 2, the common case, read each input once, in pairs.

use std::hint::select_unpredictable;
use std::ops::Range;

use super::cpu::Dim;
use super::{NOWHERE, Pool};
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

    /// Whether the windows are pairs of neighbours, side by side.
    fn is_pairs(&self) -> bool {
        (self.kernel, self.stride, self.pad, self.dilation) == (2, 2, 0, 1)
    }
}

// x: [planes, in_d, in_h, in_w]   y, argmax: [planes, out_d, out_h, out_w]
pub fn max_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T], argmax: &mut [u32]) {
    let [depth, height, width] = p.dims();
    let slice = height.out * width.out;
    split::pieces2((y, slice), (argmax, slice), slice * p.taps(), |n, y, argmax| {
        let (plane, od) = (n / depth.out, n % depth.out);
        let x = &x[plane * p.in_plane()..][..p.in_plane()];
        let rows = y.chunks_mut(width.out).zip(argmax.chunks_mut(width.out));
        for (oh, (max, first)) in rows.enumerate() {
            max.fill(T::neg_infinity());
            first.fill(NOWHERE);
            for d in depth.elements(od) {
                for h in height.elements(oh) {
                    let start = (d * height.input + h) * width.input;
                    max_row(&width, &x[start..][..width.input], start as u32, max, first);
                }
            }
        }
    });
}

/// Takes one row of inputs, which begins at `start` of its plane, into a row of maxima.
fn max_row<T: Float>(width: &Dim, x: &[T], start: u32, max: &mut [T], first: &mut [u32]) {
    if width.is_pairs() {
        let outputs = max.iter_mut().zip(first).zip(0..);
        for (pair, ((max, first), o)) in x.chunks_exact(2).zip(outputs) {
            let i = start + 2 * o;
            keep_better(max, first, pair[0], i);
            keep_better(max, first, pair[1], i + 1);
        }
    } else if width.out < width.kernel {
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
                let i = i + n * width.stride;
                keep_better(max, first, x[i], start + i as u32);
            }
        }
    }
}

/// Replaces the maximum by `x` if it is greater, NaN, or the first. In a small window nobody can guess
/// whether it is, and a branch that is guessed wrongly every other time made this five times as slow.
#[inline(always)]
fn keep_better<T: Float>(max: &mut T, first: &mut u32, x: T, i: u32) {
    let better = (*first == NOWHERE) | (x > *max) | x.is_nan();
    *max = select_unpredictable(better, x, *max);
    *first = select_unpredictable(better, i, *first);
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn max_backward<T: Float>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
    let out = p.out_plane();
    split::pieces(dx, p.in_plane(), p.in_plane() + 2 * out, |plane, dx| {
        dx.fill(T::zero());
        let (argmax, dy) = (&argmax[plane * out..][..out], &dy[plane * out..][..out]);
        for (&i, &dy) in argmax.iter().zip(dy) {
            // `NOWHERE` is outside every plane.
            if let Some(dx) = dx.get_mut(i as usize) {
                *dx += dy;
            }
        }
    });
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
pub fn avg_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T]) {
    let [depth, height, width] = p.dims();
    let slice = height.out * width.out;
    split::pieces(y, slice, slice * p.taps(), |n, y| {
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
    });
}

/// Adds one row of inputs to a row of sums.
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
