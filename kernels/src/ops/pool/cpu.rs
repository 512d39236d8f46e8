//! Pooling on the processor, the plain rung: one output (forward) or one input (backward) at a time.

use super::{NOWHERE, Pool};
use crate::Float;

/// The sizes of a pooling in one dimension.
#[derive(Clone, Copy)]
pub struct Dim {
    pub input: usize,
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    pub dilation: usize,
}

impl Dim {
    /// Where element `k` of window `o` stands, if it is not in the margin.
    pub fn element(&self, o: usize, k: usize) -> Option<usize> {
        (o * self.stride + k * self.dilation).checked_sub(self.pad).filter(|&i| i < self.input)
    }

    /// The elements of window `o`, in order, without those in the margin.
    pub fn elements(self, o: usize) -> impl Iterator<Item = usize> {
        (0..self.kernel).filter_map(move |k| self.element(o, k))
    }

    /// The windows that contain element `i`, in order.
    pub fn windows(self, i: usize) -> impl Iterator<Item = usize> {
        (0..self.kernel).rev().filter_map(move |k| {
            let start = (i + self.pad).checked_sub(k * self.dilation)?;
            (start.is_multiple_of(self.stride) && start / self.stride < self.out)
                .then_some(start / self.stride)
        })
    }
}

#[rustfmt::skip]
impl Pool {
    /// The sizes by dimension: depth, height, width.
    pub fn dims(&self) -> [Dim; 3] {
        let dim = |input, out, kernel, stride, pad, dilation| {
            let [input, out, kernel, stride, pad, dilation] =
                [input, out, kernel, stride, pad, dilation].map(|size: u32| size as usize);
            Dim { input, out, kernel, stride, pad, dilation }
        };
        [
            dim(self.in_d, self.out_d, self.kernel_d, self.stride_d, self.pad_d, self.dilation_d),
            dim(self.in_h, self.out_h, self.kernel_h, self.stride_h, self.pad_h, self.dilation_h),
            dim(self.in_w, self.out_w, self.kernel_w, self.stride_w, self.pad_w, self.dilation_w),
        ]
    }
}

impl Pool {
    /// By how much the sum over window `o` is divided.
    pub fn count(&self, o: [usize; 3]) -> usize {
        match self.all_count_alike() {
            true => self.taps(),
            false => self.dims().into_iter().zip(o).map(|(dim, o)| dim.elements(o).count()).product(),
        }
    }

    /// Whether every window counts as full.
    pub fn all_count_alike(&self) -> bool {
        self.count_include_pad == 1 || [self.pad_d, self.pad_h, self.pad_w] == [0; 3]
    }

    /// Plane, depth, height and width of output number `o`.
    fn output(&self, o: usize) -> (usize, [usize; 3]) {
        split(o, self.out_size())
    }

    /// Plane, depth, height and width of input number `i`.
    fn input(&self, i: usize) -> (usize, [usize; 3]) {
        split(i, [self.in_d, self.in_h, self.in_w].map(|size| size as usize))
    }
}

fn split(i: usize, [depth, height, width]: [usize; 3]) -> (usize, [usize; 3]) {
    let (i, w) = (i / width, i % width);
    let (i, h) = (i / height, i % height);
    (i / depth, [i % depth, h, w])
}

// x: [planes, in_d, in_h, in_w]   y, argmax: [planes, out_d, out_h, out_w]
pub fn max_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T], argmax: &mut [u32]) {
    let [depth, height, width] = p.dims();
    for n in 0..y.len() {
        let (plane, [od, oh, ow]) = p.output(n);
        let x = &x[plane * p.in_plane()..];
        let (mut max, mut first) = (T::neg_infinity(), NOWHERE);
        for d in depth.elements(od) {
            for h in height.elements(oh) {
                for w in width.elements(ow) {
                    let i = (d * height.input + h) * width.input + w;
                    if first == NOWHERE || x[i] > max || x[i].is_nan() {
                        (max, first) = (x[i], i as u32);
                    }
                }
            }
        }
        (y[n], argmax[n]) = (max, first);
    }
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn max_backward<T: Float>(p: &Pool, argmax: &[u32], dy: &[T], dx: &mut [T]) {
    let [depth, height, width] = p.dims();
    for (n, dx) in dx.iter_mut().enumerate() {
        let (plane, [d, h, w]) = p.input(n);
        let i = (n - plane * p.in_plane()) as u32;
        let mut sum = T::zero();
        for od in depth.windows(d) {
            for oh in height.windows(h) {
                for ow in width.windows(w) {
                    let o = ((plane * depth.out + od) * height.out + oh) * width.out + ow;
                    if argmax[o] == i {
                        sum += dy[o];
                    }
                }
            }
        }
        *dx = sum;
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
pub fn avg_forward<T: Float>(p: &Pool, x: &[T], y: &mut [T]) {
    let [depth, height, width] = p.dims();
    for (n, y) in y.iter_mut().enumerate() {
        let (plane, [od, oh, ow]) = p.output(n);
        let x = &x[plane * p.in_plane()..];
        let mut sum = 0.0;
        for d in depth.elements(od) {
            for h in height.elements(oh) {
                for w in width.elements(ow) {
                    sum += x[(d * height.input + h) * width.input + w].f64();
                }
            }
        }
        *y = T::of(sum / p.count([od, oh, ow]) as f64);
    }
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
pub fn avg_backward<T: Float>(p: &Pool, dy: &[T], dx: &mut [T]) {
    let [depth, height, width] = p.dims();
    for (n, dx) in dx.iter_mut().enumerate() {
        let (plane, [d, h, w]) = p.input(n);
        let mut sum = T::zero();
        for od in depth.windows(d) {
            for oh in height.windows(h) {
                for ow in width.windows(w) {
                    let o = ((plane * depth.out + od) * height.out + oh) * width.out + ow;
                    sum += dy[o] / T::of(p.count([od, oh, ow]) as f64);
                }
            }
        }
        *dx = sum;
    }
}
