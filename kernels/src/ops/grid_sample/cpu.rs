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
        let low = at.floor();
        Axis { size: size as usize, low: low.f64() as isize, fraction: at - low, slope }
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
fn corners<T: Float>(p: &GridSample, point: &[T]) -> impl Iterator<Item = Corner<T>> {
    let w = Axis::new(p, p.in_w, point[0]);
    let h = Axis::new(p, p.in_h, point[1]);
    let d = Axis::new(p, p.in_d, point[2]);
    (0..8).filter_map(move |corner| {
        let (iw, x, dx) = w.side(corner & 1)?;
        let (ih, y, dy) = h.side(corner >> 1 & 1)?;
        let (id, z, dz) = d.side(corner >> 2)?;
        let index = (id * h.size + ih) * w.size + iw;
        Some(Corner { index, weight: x * y * z, slope: [dx * y * z, x * dy * z, x * y * dz] })
    })
}

/// Roughly what one point costs, in additions.
const COST: usize = 64;
/// Points that a thread takes at a time.
const PIECE: usize = 512;

// x: [samples, channels, in_d, in_h, in_w]   grid: [samples, points, 3]   y: [samples, channels, points]
pub fn forward<T: Float>(p: &GridSample, x: &[T], grid: &[T], y: &mut [T]) {
    let (points, channels) = (p.out_plane(), p.channels as usize);
    split::pieces(y, PIECE, PIECE * COST, |piece, y| {
        for (i, y) in (piece * PIECE..).zip(y) {
            let (plane, point) = (i / points, i % points);
            let x = &x[plane * p.in_plane()..][..p.in_plane()];
            let point = &grid[(plane / channels * points + point) * 3..][..3];
            *y = corners(p, point).map(|corner| corner.weight * x[corner.index]).sum();
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
    split::pieces(dgrid, 3 * PIECE, PIECE * COST, |piece, dgrid| {
        for (i, dpoint) in (piece * PIECE..).zip(dgrid.chunks_mut(3)) {
            let (sample, point) = (i / points, i % points);
            dpoint.fill(T::zero());
            for corner in corners(p, &grid[i * 3..][..3]) {
                for plane in sample * channels..(sample + 1) * channels {
                    let product = dy[plane * points + point] * x[plane * p.in_plane() + corner.index];
                    (0..3).for_each(|axis| dpoint[axis] += corner.slope[axis] * product);
                }
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

/// (x, y, z, 1) of point number `i`.
fn base<T: Float>(p: &AffineGrid, i: usize) -> [T; 4] {
    let (w, h) = (p.w as usize, p.h as usize);
    [centre(p, i % w, p.w), centre(p, i / w % h, p.h), centre(p, i / w / h, p.d), T::one()]
}

// theta: [samples, 3, 4]   grid: [samples, d, h, w, 3]
pub fn affine_forward<T: Float>(p: &AffineGrid, theta: &[T], grid: &mut [T]) {
    split::pieces(grid, 3 * PIECE, PIECE * COST, |piece, grid| {
        for (i, point) in (piece * PIECE..).zip(grid.chunks_mut(3)) {
            let base = base::<T>(p, i % p.points());
            let theta = &theta[i / p.points() * 12..][..12];
            for (at, row) in point.iter_mut().zip(theta.chunks(4)) {
                *at = row.iter().zip(base).map(|(&a, b)| a * b).sum();
            }
        }
    });
}

// dgrid: [samples, d, h, w, 3]   dtheta: [samples, 3, 4]
pub fn affine_backward<T: Float>(p: &AffineGrid, dgrid: &[T], dtheta: &mut [T]) {
    split::pieces(dtheta, 12, p.points() * COST, |sample, dtheta| {
        let mut sums = [0.0; 12];
        for (i, dpoint) in dgrid[sample * p.points() * 3..][..p.points() * 3].chunks(3).enumerate() {
            let base = base::<f64>(p, i);
            for (row, dat) in dpoint.iter().enumerate() {
                (0..4).for_each(|k| sums[row * 4 + k] += dat.f64() * base[k]);
            }
        }
        dtheta.iter_mut().zip(sums).for_each(|(dtheta, sum)| *dtheta = T::of(sum));
    });
}
