//! Changes of a crop that leave a nodule a nodule: mirror, move, scale and turn it, and add noise
//! ("Deep Learning with PyTorch", section 12.6).
//!
//! All but the noise is one affine map M of normalised coordinates (x, y, z), -1 and 1 being the outer faces
//! of the crop; x runs along columns, y along rows, z along slices:
//!
//! ```text
//! per axis k:  M[k][k] = +-(1 + scale u)     the sign at random, u uniform in [-1, 1)
//!              M[k][3] = offset u
//! then M = M R, R a turn by an angle in [0, 2 pi) in the x-y plane: slices are further apart than rows,
//!              so other turns would change a nodule's form
//! new[p] = old[M p]                           trilinear; outside is the nearest voxel of the border
//! ```
//!
//! which is PyTorch's `affine_grid` and `grid_sample` with `padding_mode="border"` and
//! `align_corners=False`. The engine has both as operations with gradients, by way of a grid of points. A
//! training step needs 32 crops without any gradient, as fast as they can be had, hence [`resample`].

use voxgrad_engine::random::Rng;

/// A 3 x 4 matrix: rows for x, y and z, columns for x, y, z and 1.
pub type Affine = [[f64; 4]; 3];

/// How crops are changed while training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Mirrors each axis with probability 0.5.
    pub flip: bool,
    /// The farthest move along each axis, in half widths of the crop.
    pub offset: f32,
    /// The most by which each axis is scaled, as a part of 1.
    pub scale: f32,
    /// Turns in the x-y plane by any angle.
    pub rotate: bool,
    /// The standard deviation of the noise, in HU.
    pub noise: f32,
}

impl Augmentation {
    /// Crops stay as they are.
    pub const NONE: Augmentation =
        Augmentation { flip: false, offset: 0.0, scale: 0.0, rotate: false, noise: 0.0 };

    /// The book's.
    pub const BOOK: Augmentation =
        Augmentation { flip: true, offset: 0.1, scale: 0.2, rotate: true, noise: 25.0 };

    /// Changes a crop of `size` slices, rows and columns. Everything random comes from `rng`.
    pub fn apply(&self, crop: Vec<f32>, size: [usize; 3], rng: &mut Rng) -> Vec<f32> {
        let mut crop = match (Augmentation { noise: 0.0, ..*self }) {
            Augmentation::NONE => crop,
            _ => resample(&crop, size, &self.map(rng)),
        };
        if self.noise > 0.0 {
            let mut noise = vec![0.0; crop.len()];
            rng.fill_normal(&mut noise);
            crop.iter_mut().zip(noise).for_each(|(hu, noise)| *hu += self.noise * noise);
        }
        crop
    }

    /// A map at random.
    pub fn map(&self, rng: &mut Rng) -> Affine {
        let (mut scales, mut offsets) = ([1.0; 3], [0.0; 3]);
        for (scale, offset) in scales.iter_mut().zip(&mut offsets) {
            // Drawn whether needed or not: a flag more changes nothing about the others.
            let (coin, moved, scaled) = (rng.uniform(), rng.range(-1.0, 1.0), rng.range(-1.0, 1.0));
            let sign = if self.flip && coin < 0.5 { -1.0 } else { 1.0 };
            *scale = sign * (1.0 + f64::from(self.scale * scaled));
            *offset = f64::from(self.offset * moved);
        }
        let angle = std::f64::consts::TAU * f64::from(rng.uniform());
        affine(scales, offsets, if self.rotate { angle } else { 0.0 })
    }
}

/// The map that scales the axes x, y and z, mirrors those of negative scales, moves them by `offsets`, and
/// turns by `angle` in the x-y plane before all that.
pub fn affine(scales: [f64; 3], offsets: [f64; 3], angle: f64) -> Affine {
    let ([x, y, z], (sin, cos)) = (scales, angle.sin_cos());
    [[x * cos, -x * sin, 0.0, offsets[0]], [y * sin, y * cos, 0.0, offsets[1]], [0.0, 0.0, z, offsets[2]]]
}

/// The volume `old`, of `size` slices, rows and columns, seen through `map`: each voxel's normalised
/// coordinates are mapped, and what `old` has there, trilinearly interpolated, is its new value. Places
/// outside have the nearest value of the border. A volume with a side of fewer than 2 voxels stays as it is.
pub fn resample(old: &[f32], size: [usize; 3], map: &Affine) -> Vec<f32> {
    let [depth, height, width] = size;
    if size.iter().any(|&side| side < 2) || old.len() != depth * height * width {
        return old.to_vec();
    }
    let sides = [width, height, depth];
    let map = in_voxels(map, sides.map(|side| side as f64));
    let last = sides.map(|side| (side - 1) as f32);
    let (row, slice) = (width, width * height);
    let mut new = Vec::with_capacity(old.len());
    for index in 0..depth {
        for y in 0..height {
            // Along a row of the result the place in `old` moves by equal steps.
            let start = map
                .map(|[_, by_row, by_slice, one]| (by_row * y as f64 + by_slice * index as f64 + one) as f32);
            let step = map.map(|[by_column, ..]| by_column as f32);
            new.extend((0..width).map(|x| {
                let at = |axis: usize| (start[axis] + step[axis] * x as f32).max(0.0).min(last[axis]);
                let at = [at(0), at(1), at(2)];
                // The voxel before it, which has one behind it, and the part of the way to that.
                let low: [usize; 3] = std::array::from_fn(|axis| (at[axis] as usize).min(sides[axis] - 2));
                let [u, v, w]: [f32; 3] = std::array::from_fn(|axis| at[axis] - low[axis] as f32);
                let corner = &old[low[2] * slice + low[1] * row + low[0]..];
                let corner = &corner[..slice + row + 2];
                let mix = |a: f32, b: f32, part: f32| a + (b - a) * part;
                let in_row = |at: usize| mix(corner[at], corner[at + 1], u);
                let in_slice = |at: usize| mix(in_row(at), in_row(at + row), v);
                mix(in_slice(0), in_slice(slice), w)
            }));
        }
    }
    new
}

/// The same map of voxel numbers. Voxel i of n has its centre at (2 i + 1) / n - 1.
fn in_voxels(map: &Affine, n: [f64; 3]) -> Affine {
    std::array::from_fn(|k| {
        let m = &map[k];
        let middle: f64 = m[3] + (0..3).map(|j| m[j] * (1.0 / n[j] - 1.0)).sum::<f64>();
        let by = |j: usize| m[j] * n[k] / n[j];
        [by(0), by(1), by(2), (middle + 1.0) * n[k] / 2.0 - 0.5]
    })
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::ops::PaddingMode;
    use voxgrad_engine::{Device, Tensor};

    use super::*;

    const SIZE: [usize; 3] = [4, 5, 6];

    fn volume() -> Vec<f32> {
        let mut rng = Rng::new(1, 2);
        (0..120).map(|_| rng.range(-1.0, 1.0)).collect()
    }

    #[test]
    fn nothing_and_mirrors_are_exact() {
        let (old, mut rng) = (volume(), Rng::new(0, 0));
        assert_eq!(Augmentation::NONE.apply(old.clone(), SIZE, &mut rng), old);
        let diagonal = |x, y, z| [[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0]];
        assert_eq!(resample(&old, SIZE, &diagonal(1.0, 1.0, 1.0)), old);
        let close = |a: &[f32], b: Vec<f32>| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let mirrored = resample(&old, SIZE, &diagonal(-1.0, 1.0, 1.0));
        assert!(close(&mirrored, old.chunks(6).flat_map(|row| row.iter().rev().copied()).collect()));
        let mirrored = resample(&old, SIZE, &diagonal(1.0, 1.0, -1.0));
        assert!(close(&mirrored, old.chunks(30).rev().flatten().copied().collect()));
    }

    /// A move by one column to the right: what comes in from outside is the border.
    #[test]
    fn outside_is_the_border() {
        let old = volume();
        let moved = [[1.0, 0.0, 0.0, -2.0 / 6.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        for (new, old) in resample(&old, SIZE, &moved).chunks(6).zip(old.chunks(6)) {
            let expected = [&old[..1], &old[..5]].concat();
            assert!(new.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{new:?} {old:?}");
        }
    }

    #[test]
    fn the_engines_operations_give_the_same() {
        let (old, cpu) = (volume(), Device::cpu());
        let [d, h, w] = SIZE;
        for seed in 0..20 {
            let map = Augmentation { offset: 0.4, ..Augmentation::BOOK }.map(&mut Rng::new(seed, 0));
            let theta = Tensor::new(map.as_flattened(), [1, 3, 4], &cpu).unwrap();
            let grid = Tensor::affine_grid3d(&theta, [1, 1, d, h, w], false).unwrap();
            let wide: Vec<f64> = old.iter().map(|&v| v.into()).collect();
            let sampled = Tensor::new(&wide, [1, 1, d, h, w], &cpu).unwrap();
            let sampled = sampled.grid_sample3d(&grid, PaddingMode::Border, false).unwrap();
            for (ours, theirs) in resample(&old, SIZE, &map).iter().zip(sampled.to_f64_vec().unwrap()) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-5, "seed {seed}: {ours} {theirs}");
            }
        }
    }

    #[test]
    fn what_is_asked_for_and_nothing_else() {
        let map = |augmentation: Augmentation, stream| augmentation.map(&mut Rng::new(5, stream));
        let none = Augmentation::NONE;
        for stream in 0..200 {
            let m = map(Augmentation { flip: true, ..none }, stream);
            assert!((0..3).all(|k| m[k][k].abs() == 1.0 && m[k][3] == 0.0));
            let m = map(Augmentation { offset: 0.1, ..none }, stream);
            assert!((0..3).all(|k| m[k][k] == 1.0 && m[k][3].abs() <= 0.1));
            let m = map(Augmentation { scale: 0.2, ..none }, stream);
            assert!((0..3).all(|k| (0.8..=1.2).contains(&m[k][k])));
            let m = map(Augmentation { rotate: true, ..none }, stream);
            assert!((m[0][0] - m[1][1]).abs() < 1e-12 && (m[0][1] + m[1][0]).abs() < 1e-12 && m[2][2] == 1.0);
            assert!((m[0][0].hypot(m[0][1]) - 1.0).abs() < 1e-12);
        }
        let flips = (0..200).filter(|&s| map(Augmentation { flip: true, ..none }, s)[1][1] < 0.0).count();
        assert!((70..130).contains(&flips), "{flips} of 200");
        let noisy = Augmentation { noise: 25.0, ..none }.apply(vec![0.0; 4000], SIZE, &mut Rng::new(0, 0));
        let variance = noisy.iter().map(|v| v * v).sum::<f32>() / 4000.0;
        assert!((variance.sqrt() - 25.0).abs() < 1.5, "{variance}");
    }
}
