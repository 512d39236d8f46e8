//! The fast rung of softmax. The plain one strides through memory, one column after the other, and
//! calls the library's exp, so nothing becomes vector code. Here a row is one loop or, where the
//! elements of a row are not neighbours, a strip of columns advances together.

use rayon::prelude::*;

use super::Softmax;
use crate::Float;
use crate::ops::elementwise::cpu::WORTH_THREADS;
use crate::ops::elementwise::math::Math;
use crate::ops::reduce::sum_row;
use crate::wide::wide_fn;

/// Columns that advance together: what is kept of each stays in the nearest cache.
const STRIP: usize = 512;

// x, y: [outer, dim, inner]
pub fn forward<T: Float, M: Math<T>>(p: &Softmax, x: &[T], y: &mut [T]) {
    by_outer(p, y, |first, y| {
        let x = &x[first..][..y.len()];
        match p.inner {
            1 => row::<T, M>(p.log != 0, x, y),
            _ => columns::<T, M>(p.log != 0, p.inner as usize, x, y),
        }
    });
}

// y, dy, dx: [outer, dim, inner]
pub fn backward<T: Float, M: Math<T>>(p: &Softmax, y: &[T], dy: &[T], dx: &mut [T]) {
    by_outer(p, dx, |first, dx| {
        let (y, dy) = (&y[first..][..dx.len()], &dy[first..][..dx.len()]);
        match p.inner {
            1 => row_backward::<T, M>(p.log != 0, y, dy, dx),
            _ => columns_backward::<T, M>(p.log != 0, p.inner as usize, y, dy, dx),
        }
    });
}

/// Calls `write(first, part)` for each `[dim, inner]` part of `y`, `first` being where it begins.
fn by_outer<T: Float>(p: &Softmax, y: &mut [T], write: impl Fn(usize, &mut [T]) + Sync) {
    let size = p.dim as usize * p.inner as usize;
    if size > 0 {
        let parts = y.par_chunks_mut(size).with_min_len(WORTH_THREADS.div_ceil(size));
        parts.enumerate().for_each(|(o, part)| write(o * size, part));
    }
}

#[inline(always)]
fn larger<T: Float>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

wide_fn! {
    // x, y: [dim]
    fn row<T: Float, M: Math<T>>(log: bool, x: &[T], y: &mut [T]) {
        let max = x.iter().copied().fold(T::neg_infinity(), larger);
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = M::exp(x - max));
        let sum = sum_row(y);
        if log {
            let log_sum = sum.ln();
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - max - log_sum);
        } else {
            y.iter_mut().for_each(|y| *y = *y / sum);
        }
    }
}

wide_fn! {
    // y, dy, dx: [dim]
    fn row_backward<T: Float, M: Math<T>>(log: bool, y: &[T], dy: &[T], dx: &mut [T]) {
        if log {
            let sum = sum_row(dy);
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| *dx = dy - M::exp(y) * sum);
        } else {
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| *dx = y * dy);
            let dot = sum_row(dx);
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| *dx = y * (dy - dot));
        }
    }
}

wide_fn! {
    // x, y: [dim, inner]
    fn columns<T: Float, M: Math<T>>(log: bool, inner: usize, x: &[T], y: &mut [T]) {
        for left in (0..inner).step_by(STRIP) {
            let strip = left..inner.min(left + STRIP);
            let (mut max, mut sum) = ([T::neg_infinity(); STRIP], [T::zero(); STRIP]);
            let (max, sum) = (&mut max[..strip.len()], &mut sum[..strip.len()]);
            for x in x.chunks_exact(inner) {
                max.iter_mut().zip(&x[strip.clone()]).for_each(|(max, &x)| *max = larger(x, *max));
            }
            for (y, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
                let each = y[strip.clone()].iter_mut().zip(&x[strip.clone()]).zip(max.iter().zip(&mut *sum));
                for ((y, &x), (&max, sum)) in each {
                    *y = M::exp(x - max);
                    *sum += *y;
                }
            }
            if log {
                sum.iter_mut().for_each(|sum| *sum = sum.ln());
            }
            for (y, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
                let each = y[strip.clone()].iter_mut().zip(&x[strip.clone()]).zip(max.iter().zip(&*sum));
                match log {
                    false => each.for_each(|((y, _), (_, &sum))| *y = *y / sum),
                    true => each.for_each(|((y, &x), (&max, &log_sum))| *y = x - max - log_sum),
                }
            }
        }
    }
}

wide_fn! {
    // y, dy, dx: [dim, inner]
    fn columns_backward<T: Float, M: Math<T>>(log: bool, inner: usize, y: &[T], dy: &[T], dx: &mut [T]) {
        for left in (0..inner).step_by(STRIP) {
            let strip = left..inner.min(left + STRIP);
            let mut sum = [T::zero(); STRIP];
            let sum = &mut sum[..strip.len()];
            for (y, dy) in y.chunks_exact(inner).zip(dy.chunks_exact(inner)) {
                let each = sum.iter_mut().zip(y[strip.clone()].iter().zip(&dy[strip.clone()]));
                match log {
                    false => each.for_each(|(dot, (&y, &dy))| *dot += y * dy),
                    true => each.for_each(|(sum, (_, &dy))| *sum += dy),
                }
            }
            for ((dx, y), dy) in dx.chunks_exact_mut(inner).zip(y.chunks_exact(inner)).zip(dy.chunks_exact(inner))
            {
                let inputs = y[strip.clone()].iter().zip(&dy[strip.clone()]).zip(&*sum);
                let each = dx[strip.clone()].iter_mut().zip(inputs);
                match log {
                    false => each.for_each(|(dx, ((&y, &dy), &dot))| *dx = y * (dy - dot)),
                    true => each.for_each(|(dx, ((&y, &dy), &sum))| *dx = dy - M::exp(y) * sum),
                }
            }
        }
    }
}
