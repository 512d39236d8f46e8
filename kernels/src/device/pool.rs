//! Freed GPU buffers, by size.
//!
//! A training step asks for the same sizes again and again, and making a buffer costs far more than a
//! launch. A freed buffer may still be in use by launches that were issued before; that is no
//! danger, because the launches of whoever gets it next come after them.

use std::collections::HashMap;

/// Bytes that may always wait in the pool.
const ALWAYS: u64 = 64 << 20;

/// Freed buffers by size in bytes.
pub(super) struct Pool<T> {
    free: HashMap<u64, Vec<T>>,
    waiting: u64,
    in_use: u64,
    high_water: u64,
}

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool { free: HashMap::new(), waiting: 0, in_use: 0, high_water: 0 }
    }
}

impl<T> Pool<T> {
    /// Bytes of the buffers that somebody holds.
    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    /// A freed buffer of this size, from now on in use.
    pub fn take(&mut self, bytes: u64) -> Option<T> {
        let buffer = self.free.get_mut(&bytes)?.pop()?;
        self.waiting -= bytes;
        self.took(bytes);
        Some(buffer)
    }

    /// Notes a new buffer.
    pub fn took(&mut self, bytes: u64) {
        self.in_use += bytes;
        self.high_water = self.high_water.max(self.in_use);
    }

    /// Takes a buffer back. Those that are too many now are returned.
    #[must_use]
    pub fn give_back(&mut self, bytes: u64, buffer: T) -> Vec<T> {
        self.in_use -= bytes;
        self.waiting += bytes;
        self.free.entry(bytes).or_default().push(buffer);
        if self.waiting > self.high_water.max(ALWAYS) {
            // Sizes have changed and the pool is full of the old ones: start over, so that no more
            // than twice what was once needed is ever held.
            return self.clear();
        }
        Vec::new()
    }

    /// All that waits.
    #[must_use]
    pub fn clear(&mut self) -> Vec<T> {
        self.waiting = 0;
        self.free.drain().flat_map(|(_, buffers)| buffers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_buffer_is_handed_out_again() {
        let mut pool = Pool::default();
        pool.took(8);
        assert!(pool.take(8).is_none());
        assert!(pool.give_back(8, "a").is_empty());
        assert_eq!((pool.take(4), pool.take(8), pool.in_use()), (None, Some("a"), 8));
        assert!(pool.give_back(8, "a").is_empty());
        assert_eq!((pool.clear(), pool.in_use()), (vec!["a"], 0));
    }

    #[test]
    fn no_more_than_was_once_needed_waits() {
        let mut pool = Pool::default();
        let half = ALWAYS / 2;
        for (bytes, buffer) in [(half, 1), (half, 2)] {
            pool.took(bytes);
            assert!(pool.give_back(bytes, buffer).is_empty());
        }
        pool.took(4);
        assert_eq!(pool.give_back(4, 3).len(), 3);
        assert!(pool.take(half).is_none());
    }
}
