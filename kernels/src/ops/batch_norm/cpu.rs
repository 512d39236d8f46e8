//! Batch normalisation on the processor.
//!
//! The plain rung walks one channel after the other. In the fast rung the unit of work is a plane, the
//! values of one channel in one sample, which lie side by side: threads share the planes, and where a
//! sum over a channel is wanted the sums of its planes are added in the order of the samples. So a
//! single channel (LUNA's input) keeps all threads busy, and their number changes nothing.

use super::{BatchNorm, Channels};
use crate::wide::wide_fn;
use crate::{Float, Result, split};

/// What a channel is shifted and scaled by.
pub struct Slices<'a, T> {
    mean: &'a [T],
    var: &'a [T],
    weight: Option<&'a [T]>,
    bias: Option<&'a [T]>,
    eps: f64,
}

impl<'a, T: Float> Slices<'a, T> {
    pub fn new(channels: &Channels<'a>) -> Result<Slices<'a, T>> {
        Ok(Slices {
            mean: channels.mean.as_slice()?,
            var: channels.var.as_slice()?,
            weight: channels.weight.map(|weight| weight.as_slice()).transpose()?,
            bias: channels.bias.map(|bias| bias.as_slice()).transpose()?,
            eps: channels.eps,
        })
    }

    /// 1 / sqrt(v + eps).
    fn inv_std(&self, c: usize) -> T {
        T::of(1.0 / (self.var[c].f64() + self.eps).sqrt())
    }

    fn weight(&self, c: usize) -> T {
        self.weight.map_or(T::one(), |weight| weight[c])
    }

    fn bias(&self, c: usize) -> T {
        self.bias.map_or(T::zero(), |bias| bias[c])
    }
}

impl BatchNorm {
    /// Where the values of channel `c` stand.
    fn positions(self, c: usize) -> impl Iterator<Item = usize> {
        let (channels, inner) = (self.channels as usize, self.inner as usize);
        (0..self.samples as usize).flat_map(move |n| (0..inner).map(move |i| (n * channels + c) * inner + i))
    }

    /// Whether a plane has too few values to be a unit of work, as after a linear layer, where it has one.
    fn planes_are_small(&self) -> bool {
        self.inner < 16
    }

    /// The values of plane number `n * channels + c`.
    fn plane<'a, T>(&self, x: &'a [T], plane: usize) -> &'a [T] {
        &x[plane * self.inner as usize..][..self.inner as usize]
    }

    /// What `of_plane` gives for each plane of each channel `c`. [samples, channels]
    fn planes<const N: usize>(
        &self,
        of_plane: impl Fn(usize, usize, &mut [f64; N]) + Sync + Send,
    ) -> Vec<[f64; N]> {
        let channels = self.channels as usize;
        let mut planes = vec![[0.0; N]; self.samples as usize * channels];
        split::pieces(&mut planes, 1, self.inner as usize, |plane, sums| {
            of_plane(plane, plane % channels, &mut sums[0])
        });
        planes
    }

    /// The sums over every channel of what `term` makes of its planes.
    fn sum_planes<const N: usize>(
        &self,
        planes: &[[f64; N]],
        term: impl Fn(usize, [f64; N]) -> [f64; N],
    ) -> Vec<[f64; N]> {
        let channels = self.channels as usize;
        let mut sums = vec![[0.0; N]; channels];
        for sample in planes.chunks(channels.max(1)) {
            for (c, (sum, plane)) in sums.iter_mut().zip(sample).enumerate() {
                let term = term(c, *plane);
                (0..N).for_each(|i| sum[i] += term[i]);
            }
        }
        sums
    }
}

// x: [samples, channels, inner]   mean, var: [channels]
pub fn statistics<T: Float>(p: &BatchNorm, x: &[T], mean: &mut [T], var: &mut [T]) {
    let count = p.count() as f64;
    for c in 0..p.channels as usize {
        let m = p.positions(c).map(|i| x[i].f64()).sum::<f64>() / count;
        let v = p.positions(c).map(|i| (x[i].f64() - m).powi(2)).sum::<f64>() / count;
        (mean[c], var[c]) = (T::of(m), T::of(v));
    }
}

pub fn statistics_by_plane<T: Float>(p: &BatchNorm, x: &[T], mean: &mut [T], var: &mut [T]) {
    if p.planes_are_small() {
        return statistics(p, x, mean, var);
    }
    // A plane's own mean first: so the squares can be added while the plane is in the cache. (Chan, Golub and
    // LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979: the squares
    // about another mean are those about the own one, and the square of the distance for each value.)
    let planes = p.planes(|plane, _, moments| moments_of(p.plane(x, plane), moments));
    let (count, inner) = (p.count() as f64, f64::from(p.inner));
    let means: Vec<f64> =
        p.sum_planes(&planes, |_, plane| plane).iter().map(|[sum, _]| sum / count).collect();
    let about =
        |c: usize, [sum, squares]: [f64; 2]| [0.0, squares + inner * (sum / inner - means[c]).powi(2)];
    let sums = p.sum_planes(&planes, about);
    mean.iter_mut().zip(&means).for_each(|(mean, &m)| *mean = T::of(m));
    var.iter_mut().zip(sums).for_each(|(var, [_, squares])| *var = T::of(squares / count));
}

wide_fn! {
    /// The sum of the values, and of the squares of their distances from their mean.
    fn moments_of<T: Float>(x: &[T], moments: &mut [f64; 2]) {
        let sum = split::sum_of(x, |x| x);
        let mean = T::of(sum / x.len() as f64);
        *moments = [sum, split::sum_of(x, |x| (x - mean) * (x - mean))];
    }
}

// x, y: [samples, channels, inner]
pub fn forward<T: Float>(p: &BatchNorm, channels: &Slices<T>, x: &[T], y: &mut [T]) {
    for c in 0..p.channels as usize {
        let (mean, inv_std) = (channels.mean[c], channels.inv_std(c));
        for i in p.positions(c) {
            let normal = (x[i] - mean) * inv_std;
            y[i] = channels.weight(c) * normal + channels.bias(c);
        }
    }
}

pub fn forward_by_plane<T: Float>(p: &BatchNorm, channels: &Slices<T>, x: &[T], y: &mut [T]) {
    if p.planes_are_small() {
        return forward(p, channels, x, y);
    }
    let inner = p.inner as usize;
    split::pieces(y, inner, inner, |plane, y| {
        let c = plane % p.channels as usize;
        let (mean, scale, bias) =
            (channels.mean[c], channels.weight(c) * channels.inv_std(c), channels.bias(c));
        normalise(p.plane(x, plane), mean, scale, bias, y);
    });
}

wide_fn! {
    fn normalise<T: Float>(x: &[T], mean: T, scale: T, bias: T, y: &mut [T]) {
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * scale + bias);
    }
}

/// The gradients of weight and bias: `(p, channels, x, dy, dweight, dbias)`.
pub type Sums<T> = fn(&BatchNorm, &Slices<T>, &[T], &[T], &mut [T], &mut [T]);

// x, dy: [samples, channels, inner]   dweight, dbias: [channels]
pub fn sums<T: Float>(
    p: &BatchNorm,
    channels: &Slices<T>,
    x: &[T],
    dy: &[T],
    dweight: &mut [T],
    dbias: &mut [T],
) {
    for c in 0..p.channels as usize {
        let (mean, inv_std) = (channels.mean[c], channels.inv_std(c));
        let normal = |i: usize| (x[i] - mean) * inv_std;
        dbias[c] = T::of(p.positions(c).map(|i| dy[i].f64()).sum());
        dweight[c] = T::of(p.positions(c).map(|i| (dy[i] * normal(i)).f64()).sum());
    }
}

pub fn sums_by_plane<T: Float>(
    p: &BatchNorm,
    channels: &Slices<T>,
    x: &[T],
    dy: &[T],
    dweight: &mut [T],
    dbias: &mut [T],
) {
    if p.planes_are_small() {
        return sums(p, channels, x, dy, dweight, dbias);
    }
    let planes = p.planes(|plane, c, sums| {
        sums_of(p.plane(x, plane), p.plane(dy, plane), channels.mean[c], channels.inv_std(c), sums)
    });
    for (c, [weight, bias]) in p.sum_planes(&planes, |_, plane| plane).into_iter().enumerate() {
        (dweight[c], dbias[c]) = (T::of(weight), T::of(bias));
    }
}

wide_fn! {
    /// What a plane adds to the gradients of weight and bias.
    fn sums_of<T: Float>(x: &[T], dy: &[T], mean: T, inv_std: T, sums: &mut [f64; 2]) {
        let products = split::sum_of2(x, dy, |x, dy| dy * ((x - mean) * inv_std));
        *sums = [products, split::sum_of(dy, |dy| dy)];
    }
}

/// The gradient of the input: `(p, channels, x, dy, dweight, dbias, dx)`.
pub type Backward<T> = fn(&BatchNorm, &Slices<T>, &[T], &[T], &[T], &[T], &mut [T]);

// x, dy, dx: [samples, channels, inner]   dweight, dbias: [channels]
pub fn backward<T: Float>(
    p: &BatchNorm,
    channels: &Slices<T>,
    x: &[T],
    dy: &[T],
    dweight: &[T],
    dbias: &[T],
    dx: &mut [T],
) {
    let count = T::of(p.count() as f64);
    for c in 0..p.channels as usize {
        let (mean, inv_std) = (channels.mean[c], channels.inv_std(c));
        let scale = channels.weight(c) * inv_std;
        for i in p.positions(c) {
            let normal = (x[i] - mean) * inv_std;
            dx[i] = match p.of_batch {
                0 => scale * dy[i],
                _ => scale * (dy[i] - dbias[c] / count - normal * dweight[c] / count),
            };
        }
    }
}

pub fn backward_by_plane<T: Float>(
    p: &BatchNorm,
    channels: &Slices<T>,
    x: &[T],
    dy: &[T],
    dweight: &[T],
    dbias: &[T],
    dx: &mut [T],
) {
    if p.planes_are_small() {
        return backward(p, channels, x, dy, dweight, dbias, dx);
    }
    let (inner, count) = (p.inner as usize, T::of(p.count() as f64));
    split::pieces(dx, inner, inner, |plane, dx| {
        let c = plane % p.channels as usize;
        let (mean, inv_std) = (channels.mean[c], channels.inv_std(c));
        let scale = channels.weight(c) * inv_std;
        let dy = p.plane(dy, plane);
        if p.of_batch == 0 {
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = scale * dy);
        } else {
            let (shift, slope) = (dbias[c] / count, inv_std * dweight[c] / count);
            backward_of(p.plane(x, plane), dy, [mean, scale, shift, slope], dx);
        }
    });
}

wide_fn! {
    fn backward_of<T: Float>(x: &[T], dy: &[T], terms: [T; 4], dx: &mut [T]) {
        let [mean, scale, shift, slope] = terms;
        let inputs = x.iter().zip(dy);
        dx.iter_mut()
            .zip(inputs)
            .for_each(|(dx, (&x, &dy))| *dx = scale * (dy - shift - (x - mean) * slope));
    }
}

// running, batch: [channels]
pub fn update_running<T: Float>(running: &mut [T], batch: &[T], momentum: f64, factor: f64) {
    let (keep, take) = (T::of(1.0 - momentum), T::of(momentum * factor));
    running.iter_mut().zip(batch).for_each(|(running, &batch)| *running = keep * *running + take * batch);
}
