//! The processor's memory: typed vectors that go back to a pool when dropped.
//!
//! A training step asks for the same sizes again and again. Taking them from a pool saves the
//! allocator's and the kernel's work (a fresh page is zeroed by the operating system on first
//! touch), and a recycled vector needs no filling: it holds old numbers, which its new owner
//! overwrites.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::lines::Lines;
use crate::{Device, Element, Error, Result};

/// Bytes held by live buffers, by all buffers waiting in the pools, and the most that ever lived.
static IN_USE: AtomicU64 = AtomicU64::new(0);
static WAITING: AtomicU64 = AtomicU64::new(0);
static HIGH_WATER: AtomicU64 = AtomicU64::new(64 << 20);

/// Bytes held by live CPU buffers now.
pub fn bytes_in_use() -> u64 {
    IN_USE.load(Ordering::Relaxed)
}

/// The most bytes that live CPU buffers ever held at once, or 64 MiB where that is more.
pub fn most_bytes_in_use() -> u64 {
    HIGH_WATER.load(Ordering::Relaxed)
}

/// Bytes of freed CPU buffers kept for reuse now.
pub fn bytes_pooled() -> u64 {
    WAITING.load(Ordering::Relaxed)
}

/// A CPU buffer of one of the element types.
#[doc(hidden)]
#[derive(Debug)]
pub enum Buffer {
    F32(Pooled<f32>),
    F64(Pooled<f64>),
    U32(Pooled<u32>),
}

/// Freed vectors of one element type, by length.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pool<T> {
    free: Mutex<Option<HashMap<usize, Vec<Lines<T>>>>>,
}

impl<T: Element> Pool<T> {
    pub(crate) const fn new() -> Pool<T> {
        Pool { free: Mutex::new(None) }
    }

    fn free(&self) -> MutexGuard<'_, Option<HashMap<usize, Vec<Lines<T>>>>> {
        // A panic while the lock was held cannot leave the map half-changed: keep using it.
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A vector of `len` elements with unspecified contents.
    pub(crate) fn take(&'static self, len: usize) -> Result<Pooled<T>> {
        let recycled = self.free().as_mut().and_then(|free| free.get_mut(&len)?.pop());
        let bytes = bytes_of::<T>(len);
        let data = match recycled {
            Some(mut data) => {
                WAITING.fetch_sub(bytes, Ordering::Relaxed);
                if cfg!(debug_assertions) {
                    data.fill(T::POISON);
                }
                data
            }
            None => {
                let mut data = Lines::zeroed(len).map_err(|_| Error::OutOfMemory {
                    device: Device::Cpu,
                    asked: bytes,
                    in_use: bytes_in_use(),
                })?;
                if cfg!(debug_assertions) {
                    data.fill(T::POISON);
                }
                data
            }
        };
        let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        HIGH_WATER.fetch_max(in_use, Ordering::Relaxed);
        Ok(Pooled { data })
    }

    fn give_back(&self, data: Lines<T>) {
        let bytes = bytes_of::<T>(data.len());
        IN_USE.fetch_sub(bytes, Ordering::Relaxed);
        let waiting = WAITING.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut free = self.free();
        let free = free.get_or_insert_with(HashMap::new);
        if waiting > 2 * HIGH_WATER.load(Ordering::Relaxed) {
            // Sizes have changed and the pool is full of the old ones: start over, so that the process
            // never holds more than three times what it once needed. (A step that frees all its sizes
            // one after the other has more waiting than it ever uses at once.)
            let dropped: usize = free.drain().flat_map(|(_, all)| all).map(|v| v.len()).sum();
            WAITING.fetch_sub(bytes_of::<T>(dropped) + bytes, Ordering::Relaxed);
        } else {
            free.entry(data.len()).or_default().push(data);
        }
    }
}

fn bytes_of<T>(len: usize) -> u64 {
    len as u64 * size_of::<T>() as u64
}

/// A vector that returns to its pool when dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pooled<T: Element> {
    data: Lines<T>,
}

impl<T: Element> Deref for Pooled<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data
    }
}

impl<T: Element> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data
    }
}

impl<T: Element> Drop for Pooled<T> {
    fn drop(&mut self) {
        T::pool().give_back(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_buffer_is_handed_out_again() {
        let pool = f64::pool();
        let first = pool.take(12_345).unwrap();
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(12_345).unwrap().as_ptr(), address);
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        let error = u32::pool().take(usize::MAX / 16).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    }
}
