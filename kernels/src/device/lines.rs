//! Memory that begins where a cache line does.
//!
//! A vector register of 64 bytes that is loaded from anywhere else touches two lines, which takes twice as long.

use std::collections::TryReserveError;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A cache line.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line([u8; 64]);

/// `len` numbers, the first at the begin of a line.
#[derive(Debug)]
pub struct Lines<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Lines<T> {
        Lines { lines: Vec::new(), len: 0, of: PhantomData }
    }
}

impl<T: bytemuck::Pod> Lines<T> {
    /// Zeros, or the error of an allocator that has not so much.
    pub(crate) fn zeroed(len: usize) -> Result<Lines<T>, TryReserveError> {
        // Too many bytes to count are too many to have.
        let needed =
            len.checked_mul(size_of::<T>()).map_or(usize::MAX, |bytes| bytes.div_ceil(size_of::<Line>()));
        let mut lines = Vec::new();
        lines.try_reserve_exact(needed)?;
        lines.resize(needed, bytemuck::Zeroable::zeroed());
        Ok(Lines { lines, len, of: PhantomData })
    }
}

impl<T: bytemuck::Pod> Deref for Lines<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: bytemuck::Pod> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_line() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut numbers = Lines::<f32>::zeroed(len).unwrap();
            assert_eq!((numbers.len(), numbers.as_ptr() as usize % 64), (len, 0));
            numbers.fill(1.0);
            assert!(numbers.iter().all(|&x| x == 1.0));
        }
        assert!(Lines::<f64>::default().is_empty());
        assert!(Lines::<f64>::zeroed(usize::MAX / 2).is_err());
    }
}
