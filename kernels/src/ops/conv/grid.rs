//! A volume with its border of zeros.
//!
//! In such a volume the input of kernel tap `k` is the same volume, shifted by a fixed distance: no
//! term needs to ask whether it lies inside.

use std::ops::Range;

use super::Conv;
use crate::Float;
use crate::ops::matmul::tile::Offsets;

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
    /// The element that goes to `at`, in dimension `dim`.
    fn element(&self, dim: usize, at: usize) -> Option<usize> {
        let distance = usize::try_from(at as i64 - self.origin[dim]).ok()?;
        let i = distance / self.step[dim];
        (distance.is_multiple_of(self.step[dim]) && i < self.sizes[dim]).then_some(i)
    }

    /// The elements of a row that lie within `0..width`, which is where a step of 1 puts them side
    /// by side, and the place of the first.
    fn row(&self, width: usize) -> (Range<usize>, usize) {
        let place = |i: usize| self.origin[2] + (i * self.step[2]) as i64;
        let inside = |&i: &usize| (0..width as i64).contains(&place(i));
        let first = (0..self.sizes[2]).find(inside).unwrap_or(0);
        let end = (first..self.sizes[2]).rfind(inside).map_or(first, |last| last + 1);
        (first..end, place(first).max(0) as usize)
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

    /// The row of `inside` that goes to each row of the grid, or nothing where that is border.
    fn rows(self, inside: &Inside) -> impl Iterator<Item = Option<usize>> {
        let [depth, height, _] = self.0;
        (0..depth).flat_map(move |d| {
            let d = inside.element(0, d);
            (0..height).map(move |h| Some(d? * inside.sizes[1] + inside.element(1, h)?))
        })
    }

    /// Copies channels into zeroed volumes of this grid.
    // from: [channels, sizes]   to: [channels, grid]
    pub fn lay<T: Float>(self, from: &[T], inside: &Inside, to: &mut [T]) {
        let volume: usize = inside.sizes.iter().product();
        let (elements, first) = inside.row(self.width());
        to.fill(T::zero());
        if volume == 0 {
            return;
        }
        for (from, to) in from.chunks_exact(volume).zip(to.chunks_exact_mut(self.len())) {
            for (row, to) in self.rows(inside).zip(to.chunks_exact_mut(self.width())) {
                let Some(row) = row else { continue };
                let from = &from[row * inside.sizes[2]..][elements.clone()];
                match inside.step[2] {
                    1 => copy_row(from, &mut to[first..first + from.len()]),
                    step => to[first..].iter_mut().step_by(step).zip(from).for_each(|(to, &from)| *to = from),
                }
            }
        }
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

/// Copies a row in groups of eight, which takes half as long as a call for so few numbers.
fn copy_row<T: Float>(from: &[T], to: &mut [T]) {
    let (groups, rest) = to.as_chunks_mut::<8>();
    let (from_groups, from_rest) = from.as_chunks::<8>();
    groups.iter_mut().zip(from_groups).for_each(|(to, from)| *to = *from);
    rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
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
