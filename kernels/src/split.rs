//! How work is cut for several threads and how long sums are added up: in pieces of fixed size,
//! put together in a fixed order, so that the number of threads changes no bit of a result.

use rayon::prelude::*;

use crate::Float;

/// Element operations below which waking other threads costs more than it saves.
const ENOUGH: usize = 32 * 1024;

/// Calls `body(i, piece)` for every piece of `size` elements of `y`, on all threads if one piece
/// costs enough: `cost` is the number of element operations of a piece.
pub(crate) fn pieces<A: Send>(
    y: &mut [A],
    size: usize,
    cost: usize,
    body: impl Fn(usize, &mut [A]) + Send + Sync,
) {
    /// Behind a pointer, so that the threads' machinery is compiled once and not once per kernel.
    fn spread<A: Send>(y: &mut [A], size: usize, min: usize, body: &(dyn Fn(usize, &mut [A]) + Sync)) {
        y.par_chunks_mut(size).enumerate().with_min_len(min).for_each(|(i, y)| body(i, y));
    }
    let size = size.max(1);
    match enough(y.len() / size, cost) {
        None => y.chunks_mut(size).enumerate().for_each(|(i, y)| body(i, y)),
        Some(min) => spread(y, size, min, &body),
    }
}

/// As [`pieces`], for two buffers that are cut alike: `body(i, piece of y, piece of z)`.
pub(crate) fn pieces2<A: Send, B: Send>(
    (y, y_size): (&mut [A], usize),
    (z, z_size): (&mut [B], usize),
    cost: usize,
    body: impl Fn(usize, &mut [A], &mut [B]) + Send + Sync,
) {
    let (y_size, z_size) = (y_size.max(1), z_size.max(1));
    match enough(y.len() / y_size, cost) {
        None => {
            let both = y.chunks_mut(y_size).zip(z.chunks_mut(z_size));
            both.enumerate().for_each(|(i, (y, z))| body(i, y, z))
        }
        Some(min) => {
            let both = y.par_chunks_mut(y_size).zip(z.par_chunks_mut(z_size));
            both.enumerate().with_min_len(min).for_each(|(i, (y, z))| body(i, y, z))
        }
    }
}

/// How many pieces a thread should take at least, or `None` when one thread should take them all.
fn enough(pieces: usize, cost: usize) -> Option<usize> {
    let total = pieces.saturating_mul(cost);
    (pieces > 1 && total >= ENOUGH).then(|| (ENOUGH / 2 / cost.max(1)).max(1))
}

/// Terms that are added in the type of the elements, before an f64 takes over.
const CHUNK: usize = 1024;
/// Running sums beside each other: what a vector unit adds in one go.
const LANES: usize = 8;

/// The sum of `x`.
pub(crate) fn sum<T: Float>(x: &[T]) -> f64 {
    sum_of(x, |x| x)
}

/// The sum of `f(x_i)`: eight running sums within a chunk, chunk after chunk in f64.
#[inline(always)]
pub(crate) fn sum_of<T: Float>(x: &[T], f: impl Fn(T) -> T) -> f64 {
    let mut total = 0.0;
    for x in x.chunks(CHUNK) {
        let mut sums = [T::zero(); LANES];
        let xs = x.chunks_exact(LANES);
        let rest: T = xs.remainder().iter().map(|&x| f(x)).sum();
        for x in xs {
            for lane in 0..LANES {
                sums[lane] += f(x[lane]);
            }
        }
        total += (sums.into_iter().sum::<T>() + rest).f64();
    }
    total
}

/// The sum of `f(x_i, y_i)`, likewise.
#[inline(always)]
pub(crate) fn sum_of2<T: Float>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> f64 {
    let mut total = 0.0;
    for (x, y) in x.chunks(CHUNK).zip(y.chunks(CHUNK)) {
        let mut sums = [T::zero(); LANES];
        let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
        let rest = xs.remainder().iter().zip(ys.remainder());
        let rest: T = rest.map(|(&x, &y)| f(x, y)).sum();
        for (x, y) in xs.zip(ys) {
            for lane in 0..LANES {
                sums[lane] += f(x[lane], y[lane]);
            }
        }
        total += (sums.into_iter().sum::<T>() + rest).f64();
    }
    total
}

/// For tests: the bits that `f` gives on one thread and on three, which must be the same.
#[cfg(test)]
pub(crate) fn same_bits_on_any_number_of_threads<R: PartialEq + std::fmt::Debug + Send>(
    f: impl Fn() -> R + Send + Sync,
) {
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&f);
    assert_eq!(on(1), on(3));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_visited_once_with_its_number() {
        for (len, size) in [(0, 4), (10, 3), (100_000, 7)] {
            let (mut y, mut z) = (vec![0; len], vec![0; 2 * len]);
            pieces2((&mut y, size), (&mut z, 2 * size), 1000, |i, y, z| {
                y.iter_mut().for_each(|y| *y += i);
                z.iter_mut().for_each(|z| *z += i);
            });
            pieces(&mut y, size, 1000, |i, y| y.iter_mut().for_each(|y| *y += i));
            assert!(y.iter().enumerate().all(|(n, &y)| y == 2 * (n / size)));
            assert!(z.iter().enumerate().all(|(n, &z)| z == n / 2 / size));
        }
    }

    #[test]
    fn a_million_f32_terms_keep_their_digits() {
        let x = vec![0.1f32; 1_000_003];
        let exact = 1_000_003.0 * f64::from(0.1f32);
        assert!((sum(&x) / exact - 1.0).abs() < 1e-6, "{}", sum(&x));
        assert!((sum_of2(&x, &x, |x, y| x * y) / (exact * f64::from(0.1f32)) - 1.0).abs() < 1e-6);
        assert_eq!(sum::<f32>(&[]), 0.0);
    }
}
