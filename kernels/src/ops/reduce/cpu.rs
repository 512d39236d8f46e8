//! Reductions on the processor. A running sum of a million f32 loses three of its seven digits, so
//! every sum here is a tree over blocks: its shape depends on the length alone, never on threads.

use rayon::prelude::*;

use super::{Extreme, Reduce};
use crate::Float;

/// Terms added up one after the other, at the leaves of the tree.
const BLOCK: usize = 256;
/// Sums over fewer elements than this stay on one thread.
const WORTH_THREADS: usize = 1 << 16;

// x: [outer, dim, inner], y: [outer, inner]
pub fn sum_plain<T: Float>(p: &Reduce, x: &[T], y: &mut [T]) {
    let (dim, inner) = (p.dim as usize, p.inner as usize);
    for (o, y) in y.iter_mut().enumerate() {
        // Term d of this output stands at `first + d * inner`.
        let first = o / inner * dim * inner + o % inner;
        *y = tree(0, dim, &|d| x[first + d * inner]);
    }
}

/// The sum of `term(first)` to `term(first + n - 1)`: halves of halves, down to a block.
fn tree<T: Float>(first: usize, n: usize, term: &impl Fn(usize) -> T) -> T {
    if n <= BLOCK {
        return (first..first + n).map(term).sum();
    }
    let half = n.div_ceil(2);
    tree(first, half, term) + tree(first + half, n - half, term)
}

/// The plain rung waits for each addition before it begins the next, and for inner > 1 reads one
/// element per cache line. Here contiguous elements are added to as many sums at once: along `dim`
/// itself where inner is 1, and otherwise along `inner`, a strip of columns at a time.
// x: [outer, dim, inner], y: [outer, inner]
pub fn sum<T: Float>(p: &Reduce, x: &[T], y: &mut [T]) {
    let (dim, inner) = (p.dim as usize, p.inner as usize);
    if y.is_empty() {
        return;
    }
    // Small outputs are handed out in bundles that are worth a thread.
    let bundle = (WORTH_THREADS / (dim * inner).max(1)).max(1);
    if inner == 1 {
        let sums = |(first, y): (usize, &mut [T])| {
            for (o, y) in y.iter_mut().enumerate() {
                *y = sum_row(&x[(first + o) * dim..][..dim]);
            }
        };
        return y.par_chunks_mut(bundle).enumerate().for_each(|(i, y)| sums((i * bundle, y)));
    }
    y.par_chunks_mut(inner).with_min_len(bundle).enumerate().for_each(|(o, y)| {
        let rows = &x[o * dim * inner..][..dim * inner];
        let strip = |(i, y): (usize, &mut [T])| sum_columns(rows, inner, i * STRIP, y);
        match dim * inner > WORTH_THREADS {
            true => y.par_chunks_mut(STRIP).enumerate().for_each(strip),
            false => y.chunks_mut(STRIP).enumerate().for_each(strip),
        }
    });
}

/// The sum of neighbours, kept in `LANES` sums at the leaves.
pub(crate) fn sum_row<T: Float>(x: &[T]) -> T {
    const LANES: usize = 16;
    if x.len() <= BLOCK * LANES {
        let mut lanes = [T::zero(); LANES];
        let chunks = x.chunks_exact(LANES);
        let rest: T = chunks.remainder().iter().copied().sum();
        for chunk in chunks {
            (0..LANES).for_each(|i| lanes[i] += chunk[i]);
        }
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|i| lanes[i] += lanes[i + half]);
        }
        return lanes[0] + rest;
    }
    let (left, right) = x.split_at(x.len().div_ceil(2));
    let (left, right) = join(x.len(), || sum_row(left), || sum_row(right));
    left + right
}

/// Columns added up together: 2 KiB of f32 sums stay in the nearest cache.
const STRIP: usize = 512;

/// `y[i]` = the sum of column `first + i` of `rows`, whose width is `inner`; at most a strip.
// rows: [dim, inner], y: [<= STRIP]
fn sum_columns<T: Float>(rows: &[T], inner: usize, first: usize, y: &mut [T]) {
    let dim = rows.len() / inner;
    if dim <= BLOCK {
        y.fill(T::zero());
        for row in rows.chunks_exact(inner) {
            y.iter_mut().zip(&row[first..]).for_each(|(y, &x)| *y += x);
        }
        return;
    }
    let mut other = [T::zero(); STRIP];
    // A few rows side by side are one wide row, whose columns are then added up in turn.
    let abreast = 64 / inner;
    if abreast > 1 {
        let (wide, rest) = rows.split_at(dim / abreast * abreast * inner);
        let width = abreast * inner;
        sum_columns(wide, width, 0, &mut other[..width]);
        other[width..][..rest.len()].copy_from_slice(rest);
        return sum_columns(&other[..width + rest.len()], inner, first, y);
    }
    let (top, bottom) = rows.split_at(dim.div_ceil(2) * inner);
    let other = &mut other[..y.len()];
    join(dim * y.len(), || sum_columns(top, inner, first, y), || sum_columns(bottom, inner, first, other));
    y.iter_mut().zip(other).for_each(|(y, x)| *y += *x);
}

/// Both results, on two threads when `work` is worth it.
fn join<A: Send, B: Send>(work: usize, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    match work > WORTH_THREADS {
        true => rayon::join(a, b),
        false => (a(), b()),
    }
}

// x: [outer, dim, inner], y, index: [outer, inner]
pub fn extreme<T: Float>(which: Extreme, p: &Reduce, x: &[T], y: &mut [T], index: &mut [u32]) {
    match which {
        Extreme::Max => extreme_by(|a, b| a > b, p, x, y, index),
        Extreme::Min => extreme_by(|a, b| a < b, p, x, y, index),
    }
}

fn extreme_by<T: Float>(
    better: impl Fn(T, T) -> bool + Sync,
    p: &Reduce,
    x: &[T],
    y: &mut [T],
    index: &mut [u32],
) {
    let (dim, inner) = (p.dim as usize, p.inner as usize);
    if y.is_empty() {
        return;
    }
    // Whether the candidate x takes the place of y: a NaN always does, and nothing that of a NaN.
    let beats = |x: T, y: T| better(x, y) || (x.is_nan() && !y.is_nan());
    let bundle = (WORTH_THREADS / (dim * inner)).max(1);
    let outputs = y.par_chunks_mut(inner).zip(index.par_chunks_mut(inner)).with_min_len(bundle);
    outputs.enumerate().for_each(|(o, (y, index))| {
        let rows = &x[o * dim * inner..][..dim * inner];
        if inner == 1 {
            for (d, &x) in rows.iter().enumerate() {
                if d == 0 || beats(x, y[0]) {
                    (y[0], index[0]) = (x, d as u32);
                }
            }
            return;
        }
        // All columns advance together, a row at a time.
        y.copy_from_slice(&rows[..inner]);
        index.fill(0);
        for (d, row) in rows.chunks_exact(inner).enumerate().skip(1) {
            for ((y, index), &x) in y.iter_mut().zip(index.iter_mut()).zip(row) {
                let wins = beats(x, *y);
                *y = if wins { x } else { *y };
                *index = if wins { d as u32 } else { *index };
            }
        }
    });
}

// index, dy: [outer, inner], dx: [outer, dim, inner]
pub fn extreme_backward<T: Float>(p: &Reduce, index: &[u32], dy: &[T], dx: &mut [T]) {
    let inner = p.inner as usize;
    let size = p.dim as usize * inner;
    if dx.is_empty() {
        return;
    }
    let parts = dx.par_chunks_mut(size).with_min_len(WORTH_THREADS.div_ceil(size));
    parts.enumerate().for_each(|(o, dx)| {
        dx.fill(T::zero());
        let chosen = index[o * inner..].iter().zip(&dy[o * inner..]);
        for (i, (&d, &dy)) in chosen.take(inner).enumerate() {
            dx[d as usize * inner + i] = dy;
        }
    });
}
