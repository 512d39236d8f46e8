//! Max-pooling on the processor, the top rung: windows of two neighbours, side by side.
//!
//! That is what networks halve their images with. No element is in two windows or in none that begins
//! before it, so the first of a window needs no question whether it is the first; the gradient of every
//! input is decided where it stands (is it the maximum of its window?) and written once, where the rung
//! below fills a plane with zeros and then scatters into it. What is left has no branch and runs in
//! vector registers.

use super::Pool;
use super::cpu::Dim;
use crate::ops::elementwise::cpu::compiled_for;
use crate::{Float, split};

impl Pool {
    /// Whether the windows are pairs along the width, and side by side in all dimensions.
    pub fn is_pairs(&self) -> bool {
        let side_by_side = |dim: &Dim| dim.kernel == dim.stride && dim.pad == 0 && dim.dilation == 1;
        let dims = self.dims();
        dims.iter().all(side_by_side) && dims[2].kernel == 2
    }
}

// x: [planes, in_d, in_h, in_w]   y, argmax: [planes, out_d, out_h, out_w]
pub fn max_forward<T: Float, const WIDE: bool>(p: &Pool, x: &[T], y: &mut [T], argmax: &mut [u32]) {
    let [depth, height, width] = p.dims();
    let slice = height.out * width.out;
    split::pieces2((y, slice), (argmax, slice), slice * p.taps(), |n, y, argmax| {
        let (plane, od) = (n / depth.out, n % depth.out);
        let x = &x[plane * p.in_plane()..][..p.in_plane()];
        compiled_for::<WIDE>(
            #[inline(always)]
            || {
                for (oh, (max, first)) in
                    y.chunks_mut(width.out).zip(argmax.chunks_mut(width.out)).enumerate()
                {
                    for (row, d) in (od * depth.kernel..).take(depth.kernel).enumerate() {
                        for (column, h) in (oh * height.kernel..).take(height.kernel).enumerate() {
                            let start = (d * height.input + h) * width.input;
                            let x = &x[start..][..2 * width.out];
                            match (row, column) {
                                (0, 0) => max_row::<T, true>(x, start as u32, max, first),
                                _ => max_row::<T, false>(x, start as u32, max, first),
                            }
                        }
                    }
                }
            },
        );
    });
}

/// Takes one row of inputs, which begins at `start` of its plane, into a row of maxima, or begins it.
#[inline(always)]
fn max_row<T: Float, const BEGIN: bool>(x: &[T], start: u32, max: &mut [T], first: &mut [u32]) {
    let (max, max_rest) = max.as_chunks_mut::<GROUP>();
    let (first, first_rest) = first.as_chunks_mut::<GROUP>();
    let done = 2 * GROUP * max.len();
    for ((x, i), (max, first)) in
        x.chunks_exact(2 * GROUP).zip((start..).step_by(2 * GROUP)).zip(max.iter_mut().zip(first))
    {
        max_group::<T, BEGIN, GROUP>(x, i, max, first);
    }
    let rest = x[done..].chunks_exact(2).zip((start + done as u32..).step_by(2));
    for ((x, i), (max, first)) in rest.zip(max_rest.iter_mut().zip(first_rest)) {
        max_group::<T, BEGIN, 1>(x, i, std::array::from_mut(max), std::array::from_mut(first));
    }
}

/// Outputs of one group: their number is known to the compiler, which then finds the vectors.
const GROUP: usize = 8;

/// Takes `N` pairs into `N` maxima.
#[inline(always)]
fn max_group<T: Float, const BEGIN: bool, const N: usize>(
    x: &[T],
    start: u32,
    max: &mut [T; N],
    first: &mut [u32; N],
) {
    let [even, odd]: [[T; N]; 2] = [0, 1].map(|side| std::array::from_fn(|i| x[2 * i + side]));
    for i in 0..N {
        let at = start + 2 * i as u32;
        let so_far = if BEGIN { (even[i], at) } else { better((max[i], first[i]), (even[i], at)) };
        (max[i], first[i]) = better(so_far, (odd[i], at + 1));
    }
}

/// The new element if it is greater or NaN, as in the other rungs.
#[inline(always)]
fn better<T: Float>(so_far: (T, u32), new: (T, u32)) -> (T, u32) {
    let better = (new.0 > so_far.0) | new.0.is_nan();
    (if better { new.0 } else { so_far.0 }, if better { new.1 } else { so_far.1 })
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn max_backward<T: Float, const WIDE: bool>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
    let [depth, height, width] = p.dims();
    let out = p.out_plane();
    split::pieces(dx, p.in_plane(), p.in_plane() + 2 * out, |plane, dx| {
        let (argmax, dy) = (&argmax[plane * out..][..out], &dy[plane * out..][..out]);
        compiled_for::<WIDE>(
            #[inline(always)]
            || {
                for (row, dx) in dx.chunks_mut(width.input).enumerate() {
                    let (od, oh) = (row / height.input / depth.kernel, row % height.input / height.kernel);
                    let (pairs, rest) = dx.split_at_mut(2 * width.out);
                    rest.fill(T::zero());
                    if od >= depth.out || oh >= height.out {
                        pairs.fill(T::zero());
                        continue;
                    }
                    let windows = (od * height.out + oh) * width.out;
                    let windows = argmax[windows..].iter().zip(&dy[windows..]);
                    let start = (row * width.input) as u32;
                    let pairs = pairs.as_chunks_mut::<2>().0.iter_mut().zip((start..).step_by(2));
                    for ((pair, i), (&first, &dy)) in pairs.zip(windows) {
                        *pair = [i, i + 1].map(|i| if first == i { dy } else { T::zero() });
                    }
                }
            },
        );
    });
}
