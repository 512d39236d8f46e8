//! Rung 0 of convolution on the processor: the three formulas as they stand in `mod.rs`.

use super::{Conv, volume};
use crate::Float;

/// Every place `[d, h, w]` of a block, in memory order.
fn places(sizes: [u32; 3]) -> impl Iterator<Item = [i64; 3]> {
    let [depth, height, width] = sizes.map(i64::from);
    (0..depth).flat_map(move |d| (0..height).flat_map(move |h| (0..width).map(move |w| [d, h, w])))
}

/// Where place `p` stands in a block, or nowhere when it lies outside.
fn index(p: [i64; 3], sizes: [u32; 3]) -> Option<usize> {
    let inside = (0..3).all(|i| 0 <= p[i] && p[i] < i64::from(sizes[i]));
    inside.then(|| ((p[0] * i64::from(sizes[1]) + p[1]) * i64::from(sizes[2]) + p[2]) as usize)
}

impl Conv {
    /// The place of the input that output `p` sees through kernel place `k`.
    fn seen(&self, p: [i64; 3], k: [i64; 3]) -> Option<usize> {
        let at = |i: usize| {
            p[i] * i64::from(self.stride[i]) - i64::from(self.padding[i]) + k[i] * i64::from(self.dilation[i])
        };
        index([at(0), at(1), at(2)], self.input)
    }

    /// The place of the output that sees input `i` through kernel place `k`.
    fn seen_by(&self, i: [i64; 3], k: [i64; 3]) -> Option<usize> {
        let scaled = |d: usize| i[d] + i64::from(self.padding[d]) - k[d] * i64::from(self.dilation[d]);
        let stride = self.stride.map(i64::from);
        let whole = (0..3).all(|d| scaled(d) % stride[d] == 0);
        whole.then(|| index([0, 1, 2].map(|d| scaled(d) / stride[d]), self.output)).flatten()
    }

    /// Channels of one group: (input, output).
    pub(super) fn group_channels(&self) -> (usize, usize) {
        ((self.in_channels / self.groups) as usize, (self.out_channels / self.groups) as usize)
    }
}

// x: [N, C, D, H, W]   w: [O, C / groups, KD, KH, KW]   bias: [O]   y: [N, O, OD, OH, OW]
pub fn forward<T: Float>(p: &Conv, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let (channels, outputs) = p.group_channels();
    let (image, taps) = (volume(p.input), volume(p.kernel));
    let mut y = y.iter_mut();
    for n in 0..p.batch as usize {
        for o in 0..p.out_channels as usize {
            let first = n * p.in_channels as usize + o / outputs * channels;
            for place in places(p.output) {
                let mut sum = bias.map_or(T::zero(), |bias| bias[o]);
                for c in 0..channels {
                    for (tap, k) in places(p.kernel).enumerate() {
                        if let Some(i) = p.seen(place, k) {
                            sum += w[(o * channels + c) * taps + tap] * x[(first + c) * image + i];
                        }
                    }
                }
                *y.next().expect("one place per element") = sum;
            }
        }
    }
}

// dy: [N, O, OD, OH, OW]   w: [O, C / groups, KD, KH, KW]   dx: [N, C, D, H, W]
pub fn backward_input<T: Float>(p: &Conv, dy: &[T], w: &[T], dx: &mut [T]) {
    let (channels, outputs) = p.group_channels();
    let (map, taps) = (volume(p.output), volume(p.kernel));
    let mut dx = dx.iter_mut();
    for n in 0..p.batch as usize {
        for c in 0..p.in_channels as usize {
            let first = c / channels * outputs;
            for place in places(p.input) {
                let mut sum = T::zero();
                for o in first..first + outputs {
                    for (tap, k) in places(p.kernel).enumerate() {
                        if let Some(i) = p.seen_by(place, k) {
                            let weight = w[(o * channels + c % channels) * taps + tap];
                            sum += weight * dy[(n * p.out_channels as usize + o) * map + i];
                        }
                    }
                }
                *dx.next().expect("one place per element") = sum;
            }
        }
    }
}

// dy: [N, O, OD, OH, OW]   x: [N, C, D, H, W]   dw: [O, C / groups, KD, KH, KW]
pub fn backward_weight<T: Float>(p: &Conv, dy: &[T], x: &[T], dw: &mut [T]) {
    let (channels, outputs) = p.group_channels();
    let (image, map) = (volume(p.input), volume(p.output));
    let mut dw = dw.iter_mut();
    for o in 0..p.out_channels as usize {
        for c in 0..channels {
            for k in places(p.kernel) {
                let mut sum = T::zero();
                for n in 0..p.batch as usize {
                    let dy = &dy[(n * p.out_channels as usize + o) * map..][..map];
                    let x = &x[(n * p.in_channels as usize + o / outputs * channels + c) * image..][..image];
                    // One sum per sample first: a single running sum over millions of terms
                    // would lose the small ones.
                    let sample: T = places(p.output)
                        .zip(dy)
                        .filter_map(|(place, &dy)| Some(dy * x[p.seen(place, k)?]))
                        .sum();
                    sum += sample;
                }
                *dw.next().expect("one tap per element") = sum;
            }
        }
    }
}
