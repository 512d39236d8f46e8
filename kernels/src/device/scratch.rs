//! Working memory of the processor's kernels: packed factors, volumes with their border, sums.
//!
//! A kernel takes what it needs and gives it back at its end, at most a few pieces for each thread. The
//! pieces are kept at the largest size that they were ever wanted in, so a training step asks the
//! allocator for nothing after the first one. They are no tensors, and are not counted with them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::device::cpu;
use crate::device::lines::Lines;
use crate::{Device, Element, Error, Result};

/// Pieces that nobody uses now.
#[doc(hidden)]
pub type Waiting<T> = Mutex<Vec<Lines<T>>>;

/// A piece in use: `len` elements of unspecified contents.
pub(crate) struct Scratch<T: Element> {
    data: Lines<T>,
    len: usize,
}

impl<T: Element> Scratch<T> {
    pub(crate) fn take(len: usize) -> Result<Scratch<T>> {
        let mut data = {
            let mut waiting = T::scratch().lock().unwrap_or_else(PoisonError::into_inner);
            // The smallest that is large enough, else the largest, which grows.
            let large =
                (0..waiting.len()).filter(|&i| waiting[i].len() >= len).min_by_key(|&i| waiting[i].len());
            let best = large.or_else(|| (0..waiting.len()).max_by_key(|&i| waiting[i].len()));
            best.map_or_else(Lines::default, |best| waiting.swap_remove(best))
        };
        if data.len() < len {
            // What is in it is of no use: a new one needs no copy.
            drop(data);
            data = Lines::zeroed(len).map_err(|_| Error::OutOfMemory {
                device: Device::Cpu,
                asked: (len * size_of::<T>()) as u64,
                in_use: cpu::bytes_in_use(),
            })?;
        }
        if cfg!(debug_assertions) {
            data[..len].fill(T::POISON);
        }
        Ok(Scratch { data, len })
    }
}

impl<T: Element> Drop for Scratch<T> {
    fn drop(&mut self) {
        T::scratch().lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.data));
    }
}

impl<T: Element> Deref for Scratch<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[..self.len]
    }
}

impl<T: Element> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test of this type of element here that takes pieces.
    #[test]
    fn a_piece_is_used_again_at_any_smaller_size() {
        let first = Scratch::<u32>::take(1000).unwrap();
        let address = first.as_ptr();
        drop(first);
        let second = Scratch::<u32>::take(10).unwrap();
        assert_eq!((second.len(), second.as_ptr()), (10, address));
        let third = Scratch::<u32>::take(20).unwrap();
        assert_ne!(third.as_ptr(), address);
        drop((second, third));
        assert_eq!(Scratch::<u32>::take(15).unwrap().len(), 15);
        assert_eq!(Scratch::<u32>::take(900).unwrap().as_ptr(), address);
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        let error = Scratch::<f64>::take(usize::MAX / 16).err().expect("no machine has so much");
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    }
}
