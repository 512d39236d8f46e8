//! A volume with its border of zeros.
//!
//! In such a volume the input of kernel tap `k` is the same volume, shifted by a fixed distance: no
//! term needs to ask whether it lies inside.

use std::ops::Range;

use super::Conv;
use crate::Float;
use crate::ops::matmul::tile::Offsets;
use crate::wide::wide_fn;

/// The sizes of a volume with room for the border: what a flat position in it means.
#[derive(Clone, Copy)]
pub(super) struct Grid([usize; 3]);

/// Where the elements of a smaller volume go in a grid: element `i` of a dimension to `origin + i *
/// step`. What falls outside is left out.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    pub sizes: [usize; 3],
    pub origin: [i64; 3],
    pub step: [usize; 3],
}

impl Inside {
    /// Where element `i` of dimension `dim` goes, if that is within `0..size`.
    #[inline(always)]
    fn place(&self, dim: usize, i: usize, size: usize) -> Option<usize> {
        let at = self.origin[dim] + (i * self.step[dim]) as i64;
        (0..size as i64).contains(&at).then_some(at as usize)
    }

    /// The elements of a row that go within `0..width`, and the place of the first.
    fn row(&self, width: usize) -> (Range<usize>, usize) {
        let inside = |&i: &usize| self.place(2, i, width).is_some();
        let first = (0..self.sizes[2]).find(inside).unwrap_or(0);
        let end = (first..self.sizes[2]).rfind(inside).map_or(first, |last| last + 1);
        (first..end, self.place(2, first, width).unwrap_or(0))
    }
}

impl Grid {
    pub fn new(sizes: [usize; 3]) -> Grid {
        Grid(sizes)
    }

    pub fn len(self) -> usize {
        self.0.iter().product()
    }

    pub fn width(self) -> usize {
        self.0[2]
    }

    /// The flat position of `[d, h, w]`.
    pub fn at(self, [d, h, w]: [usize; 3]) -> usize {
        (d * self.0[1] + h) * self.0[2] + w
    }

    /// Copies channels into volumes of this grid, with zeros around them.
    // from: [channels, sizes]   to: [channels, grid]
    pub fn lay<T: Float>(self, from: &[T], inside: &Inside, to: &mut [T]) {
        if inside.sizes.contains(&0) { to.fill(T::zero()) } else { lay(self, from, inside, to) }
    }

    /// How far each kernel tap of each channel shifts the volumes, in the order of the weights.
    pub fn shifts(self, channels: usize, p: &Conv) -> Offsets {
        let taps = self.taps(p);
        (0..channels).flat_map(|c| taps.iter().map(move |tap| c * self.len() + tap)).collect()
    }

    /// How far each kernel tap shifts a volume.
    pub fn taps(self, p: &Conv) -> Vec<usize> {
        let [kd, kh, kw] = p.kernel.map(|size| size as usize);
        let [dd, dh, dw] = p.dilation.map(|size| size as usize);
        let taps = (0..kd * kh * kw).map(|tap| [tap / (kh * kw), tap / kw % kh, tap % kw]);
        taps.map(|[d, h, w]| self.at([d * dd, h * dh, w * dw])).collect()
    }
}

wide_fn! {
    /// See [`Grid::lay`].
    fn lay<T: Float>(grid: Grid, from: &[T], inside: &Inside, to: &mut [T]) {
        let [depth, height, width] = inside.sizes;
        let (elements, first) = inside.row(grid.width());
        // The rows that lie within, and where they go: the same for every channel.
        let mut rows = Vec::with_capacity(depth * height);
        for d in 0..depth {
            let Some(to_d) = inside.place(0, d, grid.0[0]) else { continue };
            for h in 0..height {
                let Some(to_h) = inside.place(1, h, grid.0[1]) else { continue };
                rows.push(((d * height + h) * width + elements.start, grid.at([to_d, to_h, first])));
            }
        }
        let (len, step) = (elements.len(), inside.step[2]);
        for (from, to) in from.chunks_exact(depth * height * width).zip(to.chunks_exact_mut(grid.len())) {
            // All in front of it is written.
            let mut next = 0;
            for &(from_row, at) in &rows {
                let from = &from[from_row..from_row + len];
                if step == 1 {
                    zero(to, next, at);
                    next = at + len;
                    copy_row(from, &mut to[at..next]);
                } else {
                    let end = at - first + grid.width();
                    to[next..end].fill(T::zero());
                    next = end;
                    to[at..end].iter_mut().step_by(step).zip(from).for_each(|(to, &from)| *to = from);
                }
            }
            to[next..].fill(T::zero());
        }
    }
}

/// Zeros from `first` to `end`. Where these are few, what follows may be overwritten: that takes no call.
#[inline(always)]
fn zero<T: Float>(to: &mut [T], first: usize, end: usize) {
    match to.get_mut(first..first + 8) {
        Some(eight) if end - first <= 8 => eight.copy_from_slice(&[T::zero(); 8]),
        _ => to[first..end].fill(T::zero()),
    }
}

/// Copies a row by a few vectors, which takes half as long as a call for so few numbers. (Sixteen in two
/// parts, and what is left as the last eight once more: a plain loop the compiler would make that call.)
#[inline(always)]
pub(super) fn copy_row<T: Float>(from: &[T], to: &mut [T]) {
    #[inline(always)]
    fn part<T: Copy, const N: usize>(from: &[T], to: &mut [T], at: usize) {
        let to: &mut [T; N] = (&mut to[at..at + N]).try_into().expect("N numbers");
        *to = from[at..at + N].try_into().expect("N numbers");
    }
    let len = from.len().min(to.len());
    if len < 8 {
        return (0..len).for_each(|i| to[i] = from[i]);
    }
    for i in (0..len / 16).map(|i| i * 16) {
        part::<T, 8>(from, to, i);
        part::<T, 8>(from, to, i + 8);
    }
    if !len.is_multiple_of(16) {
        if len % 16 > 8 {
            part::<T, 8>(from, to, len / 16 * 16);
        }
        part::<T, 8>(from, to, len - 8);
    }
}

impl Conv {
    /// The input with its padding.
    pub(super) fn padded(&self) -> Grid {
        Grid([0, 1, 2].map(|i| (self.input[i] + 2 * self.padding[i]) as usize))
    }

    /// Where the input lies in it.
    pub(super) fn input_inside(&self) -> Inside {
        let sizes = self.input.map(|size| size as usize);
        Inside { sizes, origin: self.padding.map(i64::from), step: [1; 3] }
    }
}
