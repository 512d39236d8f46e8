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
