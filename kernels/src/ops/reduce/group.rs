//! How the workgroups of a GPU share long sums.

use crate::device::kernel::GROUP;

/// Terms per thread up to which a sum is not cut into parts, when there are too few sums for all of
/// the GPU, and when there are enough.
const FEW: usize = 256;
const MANY: usize = 4096;
/// Workgroups that keep a GPU busy.
const ENOUGH: usize = 256;

/// A group works on `width` neighbouring outputs, with `GROUP / width` threads for each. Where that
/// leaves a thread too many terms, they are cut into parts of `chunk`, each part a group's work, and a
/// second launch adds up what the parts give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub width: u32,
    pub parts: u32,
    pub chunk: u32,
}

/// Terms that one thread adds up in the plain kernels.
const CHUNK: usize = 1024;

impl Share {
    /// For the plain kernels, where every part of a sum has one thread.
    pub fn plain(terms: usize) -> Share {
        Share { width: GROUP as u32, parts: terms.div_ceil(CHUNK).max(1) as u32, chunk: CHUNK as u32 }
    }

    /// For `outputs` sums of `terms` terms. The terms of one output lie side by side, or, where
    /// `columns` is above 1, those of so many outputs do.
    pub fn new(outputs: usize, terms: usize, columns: usize) -> Share {
        let width = width(terms, columns) as usize;
        let each = terms.div_ceil(GROUP / width);
        let most = if outputs.div_ceil(width) < ENOUGH { FEW } else { MANY };
        let parts = if each <= most { 1 } else { each.div_ceil(most / 4) };
        let chunk = terms.div_ceil(parts).max(1);
        Share { width: width as u32, parts: terms.div_ceil(chunk).max(1) as u32, chunk: chunk as u32 }
    }

    /// Workgroups for `outputs` sums.
    pub fn groups(&self, outputs: usize) -> usize {
        outputs.div_ceil(self.width as usize) * self.parts as usize
    }
}

/// How many neighbouring outputs a group works on: few of them, so that an output gets a thread for
/// every four terms, but enough of them that threads side by side read elements side by side.
pub(crate) fn width(terms: usize, columns: usize) -> u32 {
    let lanes = terms.div_ceil(4).next_power_of_two().min(GROUP);
    let abreast = columns.next_power_of_two().min(32);
    (GROUP / lanes).max(abreast) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sums_are_cut_and_short_ones_share_a_group() {
        let share = |outputs, terms, columns| {
            let Share { width, parts, chunk } = Share::new(outputs, terms, columns);
            (width, parts, chunk)
        };
        // A bias gradient after a convolution: one launch.
        assert_eq!(share(16, 64 * 32 * 32, 1), (1, 1, 64 * 32 * 32));
        // Of a linear layer.
        assert_eq!(share(10, 64, 10), (16, 1, 64));
        // Everything: 64 groups, then their sums.
        assert_eq!(share(1, 1 << 20, 1), (1, 64, 1 << 14));
        assert_eq!(share(1000, 1, 1), (256, 1, 1));
        assert_eq!(share(3, 0, 1), (256, 1, 1));
        // Every part has terms.
        for terms in 0..70_000 {
            let Share { parts, chunk, .. } = Share::new(7, terms, 5);
            assert!(u64::from(parts - 1) * u64::from(chunk) <= terms.saturating_sub(1) as u64, "{terms}");
            assert!(u64::from(parts) * u64::from(chunk) >= terms as u64, "{terms}");
        }
    }
}
