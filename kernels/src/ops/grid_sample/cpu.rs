//! Grid sampling on the processor. Every buffer element has one owner: threads share points where those
//! are written, and planes where voxels are.

use super::{AffineGrid, GridSample};
use crate::{Float, split};

/// A point along one axis of the volume.
#[derive(Clone, Copy)]
struct Axis<T> {
    size: usize,
    /// The voxel below, possibly outside, and how far the point is on the way to the next.
    low: isize,
    fraction: T,
    /// Voxels per unit of the grid: 0 where moving the point changes nothing.
    slope: T,
}

impl<T: Float> Axis<T> {
    fn new(p: &GridSample, size: u32, at: T) -> Axis<T> {
        let (one, half, n) = (T::one(), T::of(0.5), T::of(f64::from(size)));
        let (mut at, mut slope) = match p.align_corners {
            0 => (((at + one) * n - one) * half, n * half),
            _ => ((at + one) * half * (n - one), (n - one) * half),
        };
        if p.border == 1 {
            if at <= T::zero() {
                (at, slope) = (T::zero(), T::zero());
            } else if at >= n - one {
                (at, slope) = (n - one, T::zero());
            }
        } else if at < -one {
            // As far outside as any: what follows stays within the integers.
            at = T::of(-2.0);
        } else if at > n {
            at = n + one;
        }
        // Rounding down by way of an integer: the oldest x86-64 has no instruction for `floor`.
        let toward_zero = at.f64() as isize;
        let low = toward_zero - (at < T::of(toward_zero as f64)) as isize;
        Axis { size: size as usize, low, fraction: at - T::of(low as f64), slope }
    }

    /// The lower (0) or upper (1) voxel if it is inside, its weight and the derivative of that.
    fn side(&self, upper: usize) -> Option<(usize, T, T)> {
        let i = usize::try_from(self.low + upper as isize).ok().filter(|i| *i < self.size)?;
        match upper {
            0 => Some((i, T::one() - self.fraction, -self.slope)),
            _ => Some((i, self.fraction, self.slope)),
        }
    }
}

/// A voxel beside a point: where it stands, its weight, and the derivative of that by x, y and z.
struct Corner<T> {
    index: usize,
    weight: T,
    slope: [T; 3],
}

/// The voxels around a point, those inside.
#[inline(always)]
fn corners<T: Float>(p: &GridSample, point: &[T]) -> impl Iterator<Item = Corner<T>> {
    let [w, h, d] =
        [Axis::new(p, p.in_w, point[0]), Axis::new(p, p.in_h, point[1]), Axis::new(p, p.in_d, point[2])];
    let [xs, ys, zs] = [w, h, d].map(|axis| [axis.side(0), axis.side(1)]);
    (0..8).filter_map(move |corner| {
        let (iw, x, dx) = xs[corner & 1]?;
        let (ih, y, dy) = ys[corner >> 1 & 1]?;
        let (id, z, dz) = zs[corner >> 2]?;
        let index = (id * h.size + ih) * w.size + iw;
        Some(Corner { index, weight: x * y * z, slope: [dx * y * z, x * dy * z, x * y * dz] })
    })
}

/// Roughly what one point costs, in additions.
const COST: usize = 64;

// x: [samples, channels, in_d, in_h, in_w]   grid: [samples, points, 3]   y: [samples, channels, points]
pub fn forward<T: Float>(p: &GridSample, x: &[T], grid: &[T], y: &mut [T]) {
    let (points, slice) = (p.out_plane(), p.out_h as usize * p.out_w as usize);
    split::pieces(y, slice, slice * COST, |n, y| {
        let (plane, d) = (n / p.out_d as usize, n % p.out_d as usize);
        let x = &x[plane * p.in_plane()..][..p.in_plane()];
        let grid = &grid[(plane / p.channels as usize * points + d * slice) * 3..];
        for (y, point) in y.iter_mut().zip(grid.chunks_exact(3)) {
            *y = T::zero();
            corners(p, point).for_each(|corner| *y += corner.weight * x[corner.index]);
        }
    });
}

// grid: [samples, points, 3]   dy: [samples, channels, points]   dx: [samples, channels, in_d, in_h, in_w]
pub fn backward_input<T: Float>(p: &GridSample, grid: &[T], dy: &[T], dx: &mut [T]) {
    let (points, channels) = (p.out_plane(), p.channels as usize);
    split::pieces(dx, p.in_plane(), p.in_plane() + points * COST, |plane, dx| {
        dx.fill(T::zero());
        let grid = &grid[plane / channels * points * 3..][..points * 3];
        for (point, &dy) in grid.chunks(3).zip(&dy[plane * points..][..points]) {
            corners(p, point).for_each(|corner| dx[corner.index] += corner.weight * dy);
        }
    });
}

// x: [samples, channels, in_d, in_h, in_w]   dy: [samples, channels, points]
// grid, dgrid: [samples, points, 3]
pub fn backward_grid<T: Float>(p: &GridSample, x: &[T], grid: &[T], dy: &[T], dgrid: &mut [T]) {
    let (points, channels) = (p.out_plane(), p.channels as usize);
    let slice = p.out_h as usize * p.out_w as usize;
    split::pieces(dgrid, 3 * slice, slice * channels * COST, |n, dgrid| {
        let (sample, d) = (n / p.out_d as usize, n % p.out_d as usize);
        let first = d * slice;
        let grid = &grid[(sample * points + first) * 3..];
        dgrid.fill(T::zero());
        for plane in sample * channels..(sample + 1) * channels {
            let x = &x[plane * p.in_plane()..][..p.in_plane()];
            let dy = &dy[plane * points + first..][..slice];
            for ((dpoint, point), &dy) in dgrid.chunks_exact_mut(3).zip(grid.chunks_exact(3)).zip(dy) {
                corners(p, point).for_each(|corner| {
                    let product = dy * x[corner.index];
                    (0..3).for_each(|axis| dpoint[axis] += corner.slope[axis] * product);
                });
            }
        }
    });
}

/// The centre of voxel `i` of `size` in normalised coordinates.
fn centre<T: Float>(p: &AffineGrid, i: usize, size: u32) -> T {
    let (i, n) = (i as f64, f64::from(size));
    T::of(match p.align_corners {
        0 => (2.0 * i + 1.0) / n - 1.0,
        _ if size == 1 => 0.0,
        _ => 2.0 * i / (n - 1.0) - 1.0,
    })
}

/// x of every voxel of a row, and y and z of row number `row` of all maps.
struct Centres<T> {
    x: Vec<T>,
    y: Vec<T>,
    z: Vec<T>,
}

impl<T: Float> Centres<T> {
    fn new(p: &AffineGrid) -> Centres<T> {
        let along = |size: u32| (0..size as usize).map(|i| centre(p, i, size)).collect();
        Centres { x: along(p.w), y: along(p.h), z: along(p.d) }
    }

    fn row(&self, row: usize) -> (T, T) {
        (self.y[row % self.y.len()], self.z[row / self.y.len() % self.z.len()])
    }
}

// theta: [samples, 3, 4]   grid: [samples, d, h, w, 3]
pub fn affine_forward<T: Float>(p: &AffineGrid, theta: &[T], grid: &mut [T]) {
    let centres = Centres::<T>::new(p);
    let (width, rows) = (p.w as usize, p.d as usize * p.h as usize);
    split::pieces(grid, 3 * width, 12 * width, |row, grid| {
        let theta = &theta[row / rows * 12..][..12];
        let (y, z) = centres.row(row);
        for (point, &x) in grid.chunks_mut(3).zip(&centres.x) {
            for (at, a) in point.iter_mut().zip(theta.chunks(4)) {
                *at = a[0] * x + a[1] * y + a[2] * z + a[3];
            }
        }
    });
}

// dgrid: [samples, d, h, w, 3]   dtheta: [samples, 3, 4]
pub fn affine_backward<T: Float>(p: &AffineGrid, dgrid: &[T], dtheta: &mut [T]) {
    let centres = Centres::<f64>::new(p);
    let each = p.points() * 3;
    split::pieces(dtheta, 12, each * 4, |sample, dtheta| {
        let mut sums = [0.0; 12];
        let dgrid = &dgrid[sample * each..][..each];
        for (row, dgrid) in dgrid.chunks(3 * centres.x.len().max(1)).enumerate() {
            let (y, z) = centres.row(row);
            for (dpoint, &x) in dgrid.chunks(3).zip(&centres.x) {
                for (sums, dat) in sums.chunks_mut(4).zip(dpoint) {
                    sums.iter_mut().zip([x, y, z, 1.0]).for_each(|(sum, base)| *sum += dat.f64() * base);
                }
            }
        }
        dtheta.iter_mut().zip(sums).for_each(|(dtheta, sum)| *dtheta = T::of(sum));
    });
}
