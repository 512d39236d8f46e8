//! Elementwise loops on the processor. The formulas arrive as closures and are compiled into the
//! loops, which the compiler turns into vector instructions.

use std::ops::Range;

use rayon::prelude::*;

use super::Broadcast;
use crate::ops::layout::runs;
use crate::{Float, wide};

/// What one thread takes at a time: 64 KiB of f32, which stays in the core's own cache.
const CHUNK: usize = 1 << 14;
/// Below this many elements a second thread costs more than it saves.
pub(crate) const WORTH_THREADS: usize = 1 << 15;

/// Calls `write(first, part)` for consecutive parts of `y`, `first` being where the part begins;
/// on several threads when `y` is long. (`dyn`, so that the threading is not compiled anew for every
/// formula; a call per chunk costs nothing.)
pub(crate) fn in_chunks<T: Send>(y: &mut [T], write: &(dyn Fn(usize, &mut [T]) + Sync)) {
    if y.len() < WORTH_THREADS {
        write(0, y);
    } else {
        y.par_chunks_mut(CHUNK).enumerate().for_each(|(i, part)| write(i * CHUNK, part));
    }
}

/// Runs a loop as it is, or in the processor's widest registers.
fn compiled_for<const WIDE: bool>(body: impl FnOnce()) {
    if WIDE { wide::run(body) } else { body() }
}

/// `y[i] = f(x[i])`
pub fn map<T: Float, const WIDE: bool>(x: &[T], y: &mut [T], f: impl Fn(T) -> T + Sync) {
    in_chunks(y, &|first, y| {
        compiled_for::<WIDE>(|| y.iter_mut().zip(&x[first..]).for_each(|(y, &x)| *y = f(x)))
    });
}

/// `y[i] = f(a[i], b[i])`
pub fn map2<T: Float, const WIDE: bool>(a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    in_chunks(y, &|first, y| {
        let inputs = a[first..].iter().zip(&b[first..]);
        compiled_for::<WIDE>(|| y.iter_mut().zip(inputs).for_each(|(y, (&a, &b))| *y = f(a, b)))
    });
}

/// `y[i] = f(y[i])`
pub fn map_in_place<T: Float, const WIDE: bool>(y: &mut [T], f: impl Fn(T) -> T + Sync) {
    in_chunks(y, &|_, y| compiled_for::<WIDE>(|| y.iter_mut().for_each(|y| *y = f(*y))));
}

/// `y[i] = f(a[i], y[i])`
pub fn map2_in_place<T: Float, const WIDE: bool>(a: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    in_chunks(y, &|first, y| {
        compiled_for::<WIDE>(|| y.iter_mut().zip(&a[first..]).for_each(|(y, &a)| *y = f(a, *y)))
    });
}

/// `x[i] += y[i]`
pub fn add_assign<T: Float>(x: &mut [T], y: &[T]) {
    in_chunks(x, &|first, x| {
        x.iter_mut().zip(&y[first..]).for_each(|(x, &y)| *x += y);
    });
}

/// `y[i] = f(a[..], b[..])`, where stretched dimensions read the same element again and again.
pub fn broadcast<T: Float>(p: &Broadcast, a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    in_chunks(y, &|first, y| {
        p.runs(first..first + y.len(), |run, [at_a, at_b], [step_a, step_b]| {
            let y = &mut y[run.start - first..run.end - first];
            let (a, b) = (&a[at_a..], &b[at_b..]);
            match (step_a, step_b) {
                (1, 1) => {
                    y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f(a, b));
                }
                (1, _) => {
                    let b = b[0];
                    y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, b));
                }
                (_, 1) => {
                    let a = a[0];
                    y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(a, b));
                }
                _ => y.fill(f(a[0], b[0])),
            }
        });
    });
}

/// `dx[i] = f(a[..], b[..], dy[i])`: as [`broadcast`], with the gradient of the full shape.
pub fn broadcast_backward<T: Float>(
    p: &Broadcast,
    a: &[T],
    b: &[T],
    dy: &[T],
    dx: &mut [T],
    f: impl Fn(T, T, T) -> T + Sync,
) {
    in_chunks(dx, &|first, dx| {
        p.runs(first..first + dx.len(), |run, [at_a, at_b], [step_a, step_b]| {
            let dx = &mut dx[run.start - first..run.end - first];
            let (a, b, dy) = (&a[at_a..], &b[at_b..], &dy[run]);
            match (step_a, step_b) {
                (1, 1) => {
                    let inputs = a.iter().zip(b).zip(dy);
                    dx.iter_mut().zip(inputs).for_each(|(dx, ((&a, &b), &dy))| *dx = f(a, b, dy));
                }
                (1, _) => {
                    let b = b[0];
                    dx.iter_mut().zip(a.iter().zip(dy)).for_each(|(dx, (&a, &dy))| *dx = f(a, b, dy));
                }
                (_, 1) => {
                    let a = a[0];
                    dx.iter_mut().zip(b.iter().zip(dy)).for_each(|(dx, (&b, &dy))| *dx = f(a, b, dy));
                }
                _ => {
                    let (a, b) = (a[0], b[0]);
                    dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = f(a, b, dy));
                }
            }
        });
    });
}

impl Broadcast {
    /// Visits `range` of the output in runs of the innermost dimension: where each operand starts,
    /// and whether it moves on (1) or stands still (0).
    fn runs(&self, range: Range<usize>, mut visit: impl FnMut(Range<usize>, [usize; 2], [usize; 2])) {
        let dims = self.ndim as usize;
        let steps = [self.a[dims - 1] as usize, self.b[dims - 1] as usize];
        runs(&self.shape[..dims], [&self.a[..dims], &self.b[..dims]], range, |run, at| visit(run, at, steps));
    }
}
