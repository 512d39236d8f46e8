//! In which order threads and blocks run. CUDA promises none, so a kernel has to be right in every one.

use std::str::FromStr;

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By their numbers.
    Forward,
    /// The last one first.
    Backward,
    /// By chance, another way at every barrier; the same chance for the same seed.
    Shuffled(u64),
}

impl FromStr for Order {
    type Err = ();

    fn from_str(text: &str) -> Result<Order, ()> {
        match text.split_once(':') {
            None if text == "forward" => Ok(Order::Forward),
            None if text == "backward" => Ok(Order::Backward),
            None if text == "shuffled" => Ok(Order::Shuffled(0)),
            Some(("shuffled", seed)) => seed.parse().map(Order::Shuffled).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

/// Chance: a multiplication and a shift of a counter (splitmix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Chance from a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Shuffles a list.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// The numbers of `n` blocks in an order.
pub fn blocks(order: Order, n: u64) -> impl Iterator<Item = u64> {
    // A step that has no divisor in common with n meets every number once.
    let (first, step) = match order {
        Order::Forward => (0, 1),
        Order::Backward => (n.saturating_sub(1), n.saturating_sub(1)),
        Order::Shuffled(seed) => {
            let mut chance = Chance::new(seed);
            let mut step = 1 + chance.below(n.max(1));
            while divisor(step, n) != 1 {
                step += 1;
            }
            (chance.below(n), step % n.max(1))
        }
    };
    (0..n).scan(first, move |at, _| {
        let this = *at;
        *at = ((u128::from(this) + u128::from(step)) % u128::from(n)) as u64;
        Some(this)
    })
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_every_block_once() {
        for n in [1, 2, 7, 12, 1000] {
            for order in [Order::Forward, Order::Backward, Order::Shuffled(0), Order::Shuffled(5)] {
                let mut all: Vec<u64> = blocks(order, n).collect();
                match order {
                    Order::Forward => assert!(all.is_sorted()),
                    Order::Backward => assert!(all.iter().rev().is_sorted()),
                    Order::Shuffled(_) => assert!(n < 1000 || !all.is_sorted()),
                }
                all.sort_unstable();
                assert!(all.into_iter().eq(0..n), "{order:?} {n}");
            }
        }
        assert_eq!(blocks(Order::Shuffled(1), 0).count(), 0);
    }

    #[test]
    fn orders_are_read() {
        assert_eq!("shuffled:7".parse(), Ok(Order::Shuffled(7)));
        assert_eq!("backward".parse(), Ok(Order::Backward));
        assert_eq!("sideways".parse::<Order>(), Err(()));
    }
}
