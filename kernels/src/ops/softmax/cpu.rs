//! Softmax on the processor: one pass for the maximum, one for the sum, one to write.

use super::Softmax;
use crate::Float;

// x, y: [outer, dim, inner]
pub fn forward<T: Float>(p: &Softmax, x: &[T], y: &mut [T]) {
    let (dim, inner) = (p.dim as usize, p.inner as usize);
    for row in 0..p.outer as usize * inner {
        // Element i of this row stands at `first + i * inner`.
        let first = row / inner * dim * inner + row % inner;
        let at = |i: usize| first + i * inner;
        let max = (0..dim).map(|i| x[at(i)]).fold(T::neg_infinity(), T::max);
        let sum: T = (0..dim).map(|i| (x[at(i)] - max).exp()).sum();
        for i in 0..dim {
            y[at(i)] = match p.log {
                0 => (x[at(i)] - max).exp() / sum,
                _ => x[at(i)] - max - sum.ln(),
            };
        }
    }
}

// y, dy, dx: [outer, dim, inner]
pub fn backward<T: Float>(p: &Softmax, y: &[T], dy: &[T], dx: &mut [T]) {
    let (dim, inner) = (p.dim as usize, p.inner as usize);
    for row in 0..p.outer as usize * inner {
        let first = row / inner * dim * inner + row % inner;
        let at = |i: usize| first + i * inner;
        if p.log == 0 {
            let dot: T = (0..dim).map(|i| dy[at(i)] * y[at(i)]).sum();
            (0..dim).for_each(|i| dx[at(i)] = y[at(i)] * (dy[at(i)] - dot));
        } else {
            let sum: T = (0..dim).map(|i| dy[at(i)]).sum();
            (0..dim).for_each(|i| dx[at(i)] = dy[at(i)] - y[at(i)].exp() * sum);
        }
    }
}
