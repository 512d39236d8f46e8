//! The default random generator: a seed and how many calls have drawn from it.
//!
//! Initial values, dropout masks and shuffles all come from Philox (see
//! [`voxgrad_kernels::philox`]) keyed by the seed; each call that draws takes the next offset, so
//! the same seed and the same order of calls give the same numbers on every device. Each thread
//! has a generator of its own.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use voxgrad_kernels::philox;

/// Where a generator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RngState {
    /// The seed.
    pub seed: u64,
    /// How many calls have drawn so far.
    pub offset: u64,
}

thread_local! {
    static STATE: Cell<RngState> = const { Cell::new(RngState { seed: 0, offset: 0 }) };
}

/// Seeds this thread's generator and starts it from the beginning.
pub fn manual_seed(seed: u64) {
    STATE.set(RngState { seed, offset: 0 });
}

/// Where this thread's generator stands, to be put back with [`set_rng_state`].
pub fn rng_state() -> RngState {
    STATE.get()
}

/// Puts this thread's generator where it stood.
pub fn set_rng_state(state: RngState) {
    STATE.set(state);
}

/// The position of one call's draws: the next offset of this thread's generator.
pub(crate) fn next_call() -> RngState {
    let state = STATE.get();
    STATE.set(RngState { offset: state.offset.wrapping_add(1), ..state });
    state
}

/// A sequence of random numbers of its own, for host code: a shuffle, one sample's augmentation.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: u64,
    stream: u64,
    index: u64,
}

impl Rng {
    /// Stream number `stream` of `seed`; streams do not overlap.
    pub fn new(seed: u64, stream: u64) -> Rng {
        // The key's upper bit keeps host streams apart from the offsets of device calls.
        Rng { seed, stream: stream | 1 << 63, index: 0 }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.index += 1;
        philox::random_u32(self.seed, self.stream, self.index - 1)
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        philox::uniform(self.next_u32())
    }

    /// A number in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// A number from the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        let u = 1.0 - self.uniform(); // in (0, 1]: the logarithm exists
        let angle = std::f32::consts::TAU * self.uniform();
        (-2.0 * u.ln()).sqrt() * angle.cos()
    }

    /// Fills `values` with numbers from the standard normal distribution. Many at once cost a tenth of what
    /// they cost one by one: every word of a Philox block is used, and both numbers that Box and Muller make
    /// of two.
    pub fn fill_normal(&mut self, values: &mut [f32]) {
        let first = self.index.div_ceil(4);
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        for (block, values) in (first..).zip(values.chunks_mut(4)) {
            let position = [block, self.stream].map(|word| [word as u32, (word >> 32) as u32]);
            let [a, b, c, d] =
                philox::philox4x32_10([position[0][0], position[0][1], position[1][0], position[1][1]], key);
            let pairs = [(a, b), (c, d)].map(|(a, b)| {
                let radius = (-2.0 * (1.0 - philox::uniform(a)).ln()).sqrt();
                let (sin, cos) = (std::f32::consts::TAU * philox::uniform(b)).sin_cos();
                [radius * cos, radius * sin]
            });
            values.iter_mut().zip(pairs.as_flattened()).for_each(|(value, normal)| *value = *normal);
        }
        self.index = 4 * (first + values.len().div_ceil(4) as u64);
    }

    /// A whole number in 0..n, each equally likely to within n / 2^32; 0 for an `n` of 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u32()) * n as u128) >> 32) as usize
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_normal_numbers_are_normal_and_never_come_twice() {
        let mut rng = Rng::new(7, 1);
        let mut values = vec![0.0; 40_001];
        rng.fill_normal(&mut values);
        let mean =
            |power: i32| values.iter().map(|v| v.powi(power) as f64).sum::<f64>() / values.len() as f64;
        // The standard deviations of these means are 1, 1.4, 3.9 and 9.8 over sqrt(40,001) = 200.
        for (power, expected, within) in [(1, 0.0, 0.02), (2, 1.0, 0.03), (3, 0.0, 0.08), (4, 3.0, 0.2)] {
            assert!((mean(power) - expected).abs() < within, "moment {power}: {}", mean(power));
        }
        // Neighbours, of one pair or of two, have nothing to do with each other.
        let product = values.windows(2).map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>() / 40_000.0;
        assert!(product.abs() < 0.02, "{product}");

        let mut again = Rng::new(7, 1);
        let (mut one, mut two) = ([0.0; 5], [0.0; 5]);
        again.fill_normal(&mut one);
        again.fill_normal(&mut two);
        assert_eq!(one, values[..5]);
        assert_eq!(two[..], values[8..13], "five numbers take two blocks of four");
        // The first word of the next block: what is drawn one by one goes on behind.
        assert_eq!(again.next_u32(), philox::random_u32(7, 1 | 1 << 63, 16));
    }

    #[test]
    fn they_are_the_numbers_that_box_and_muller_make_one_by_one() {
        let mut values = [0.0; 4];
        Rng::new(3, 9).fill_normal(&mut values);
        let mut rng = Rng::new(3, 9);
        assert_eq!([values[0], values[2]], [rng.normal(), rng.normal()]);
    }
}
