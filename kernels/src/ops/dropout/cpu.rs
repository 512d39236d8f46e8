//! Dropout on the processor.

use super::Dropout;
use crate::philox::{random_u32, side_by_side, uniform};
use crate::wide::wide_fn;
use crate::{Float, split};

impl Dropout {
    fn seed(&self) -> u64 {
        u64::from(self.seed[0]) | u64::from(self.seed[1]) << 32
    }

    fn offset(&self) -> u64 {
        u64::from(self.offset[0]) | u64::from(self.offset[1]) << 32
    }
}

/// What an element is multiplied by: 0, or 1 / (1 - p). The draw is compared in f32, on every device
/// and in every element type.
#[inline(always)]
fn factor<T: Float>(word: u32, p: f64, scale: T) -> T {
    if uniform(word) >= p as f32 { scale } else { T::zero() }
}

/// 1 / (1 - p); nobody is left to be scaled when p is 1.
pub fn scale<T: Float>(p: f64) -> T {
    if p as f32 == 1.0 { T::zero() } else { T::of(1.0 / (1.0 - p)) }
}

// x, y: [len]
pub fn forward<T: Float>(params: &Dropout, p: f64, x: &[T], y: &mut [T]) {
    for (i, y) in y.iter_mut().enumerate() {
        let word = random_u32(params.seed(), params.offset(), i as u64 / u64::from(params.group));
        *y = x[i] * factor(word, p, scale(p));
    }
}

/// Philox gives four words at a time: the plain rung computes them all and takes one. Here four
/// neighbours share a call, sixteen calls run side by side in vector registers, and threads share the
/// rest.
pub fn forward_by_four<T: Float>(params: &Dropout, p: f64, x: &[T], y: &mut [T]) {
    const BLOCKS: usize = 256;
    const COST: usize = 8;
    let block = 4 * params.group as usize;
    split::pieces(y, BLOCKS * block, BLOCKS * block * COST, |piece, y| {
        let first = piece * BLOCKS;
        blocks(params, p, first as u64, &x[first * block..], y);
    });
}

/// Calls of Philox side by side.
const CALLS: usize = 16;

wide_fn! {
    /// What begins at call number `first`.
    fn blocks<T: Float>(params: &Dropout, p: f64, first: u64, x: &[T], y: &mut [T]) {
        let (group, scale) = (params.group as usize, scale::<T>(p));
        let size = 4 * group * CALLS;
        for (n, (y, x)) in (first..).step_by(CALLS).zip(y.chunks_mut(size).zip(x.chunks(size))) {
            let number = |i: usize| n + i as u64;
            let counter = [
                std::array::from_fn(|i| number(i) as u32),
                std::array::from_fn(|i| (number(i) >> 32) as u32),
                [params.offset[0]; CALLS],
                [params.offset[1]; CALLS],
            ];
            let words = side_by_side(counter, params.seed);
            let factors: [[T; CALLS]; 4] = words.map(|word| word.map(|word| factor(word, p, scale)));
            if group == 1 {
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = x * factors[i % 4][i / 4];
                }
            } else {
                for (i, (y, x)) in y.chunks_mut(group).zip(x.chunks(group)).enumerate() {
                    let factor = factors[i % 4][i / 4];
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * factor);
                }
            }
        }
    }
}
