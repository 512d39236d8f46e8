//! Dropout on the processor.

use super::Dropout;
use crate::philox::{philox4x32_10, random_u32, uniform};
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
/// neighbours share a call, which makes one thread 2.5 times as fast, and threads share the rest.
pub fn forward_by_four<T: Float>(params: &Dropout, p: f64, x: &[T], y: &mut [T]) {
    const BLOCKS: usize = 256;
    const COST: usize = 8;
    let group = params.group as usize;
    let block = 4 * group;
    let scale = scale(p);
    split::pieces(y, BLOCKS * block, BLOCKS * block * COST, |piece, y| {
        let first = piece * BLOCKS;
        let x = &x[first * block..][..y.len()];
        for (n, (y, x)) in (first as u64..).zip(y.chunks_mut(block).zip(x.chunks(block))) {
            let counter = [n as u32, (n >> 32) as u32, params.offset[0], params.offset[1]];
            let words = philox4x32_10(counter, params.seed);
            let factors = words.map(|word| factor(word, p, scale));
            if group == 1 {
                y.iter_mut().zip(x).zip(factors).for_each(|((y, &x), factor)| *y = x * factor);
            } else {
                for ((y, x), factor) in y.chunks_mut(group).zip(x.chunks(group)).zip(factors) {
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * factor);
                }
            }
        }
    });
}
