//! A grid of voxels that shapes are painted into, and the scanner that looks at it.

use voxgrad_kernels::philox::philox4x32_10;

/// A place in the phantom, x, y, z in mm from the centre of the first voxel.
pub type Point = [f32; 3];

/// A body that knows how far away from its surface a place is.
pub trait Shape {
    /// The corners of a box around it.
    fn bounds(&self) -> [Point; 2];
    /// The distance to its surface in mm, negative inside. Near the surface it is right, elsewhere its
    /// sign is.
    fn distance(&self, p: Point) -> f32;
}

/// Voxels in Hounsfield units.
pub struct Volume {
    /// Slices, rows and columns.
    pub size: [usize; 3],
    /// Between columns, rows and slices, in mm.
    pub spacing: [f32; 3],
    /// Slice by slice, row by row.
    pub hu: Vec<f32>,
}

impl Volume {
    /// The volume in which a voxel's value is that of `hu` at its centre.
    pub fn new(size: [usize; 3], spacing: [f32; 3], hu: impl Fn(Point) -> f32) -> Volume {
        let [slices, rows, columns] = size;
        let [sx, sy, sz] = spacing;
        let mut voxels = Vec::with_capacity(slices * rows * columns);
        for slice in 0..slices {
            for row in 0..rows {
                let [y, z] = [row as f32 * sy, slice as f32 * sz];
                voxels.extend((0..columns).map(|column| hu([column as f32 * sx, y, z])));
            }
        }
        Volume { size, spacing, hu: voxels }
    }

    /// Fills `shape` with a material of `hu`. A voxel at its surface gets a part of it, and where there is
    /// something brighter that remains.
    pub fn paint(&mut self, shape: &impl Shape, hu: f32) {
        /// A slice is thicker than a pixel is wide: it sees the mean of some heights.
        const HEIGHTS: usize = 3;
        let [low, high] = shape.bounds();
        let [columns, rows, slices] = [0, 1, 2].map(|axis| {
            let (spacing, end) = (self.spacing[axis], self.size[2 - axis]);
            let first = (low[axis] / spacing - 1.0).floor().max(0.0) as usize;
            let last = (high[axis] / spacing + 2.0).ceil().max(0.0) as usize;
            first.min(end)..last.min(end)
        });
        let [sx, sy, sz] = self.spacing;
        for slice in slices {
            for row in rows.clone() {
                let line = (slice * self.size[1] + row) * self.size[2];
                for column in columns.clone() {
                    let [x, y] = [column as f32 * sx, row as f32 * sy];
                    let heights = (0..HEIGHTS).map(|i| (i as f32 + 0.5) / HEIGHTS as f32 - 0.5);
                    let inside =
                        heights.map(|h| covered(shape.distance([x, y, (slice as f32 + h) * sz]), sx));
                    let part = inside.sum::<f32>() / HEIGHTS as f32;
                    let voxel = &mut self.hu[line + column];
                    *voxel = voxel.max(*voxel + part * (hu - *voxel));
                }
            }
        }
    }

    /// Blurs along one axis (0 x, 1 y, 2 z) with the weights `side`, 1 - 2 `side`, `side`.
    pub fn blur(&mut self, axis: usize, side: f32) {
        blur(&mut self.hu, self.size, axis, side);
    }

    /// Adds noise of a standard deviation of `sigma` HU, whose grains are as large as those of a
    /// reconstruction filter: white noise, blurred within the slice.
    pub fn add_noise(&mut self, key: [u32; 2], sigma: f32) {
        const SIDE: f32 = 0.25;
        let mut noise: Vec<f32> = Vec::with_capacity(self.hu.len() + 8);
        for block in 0..self.hu.len().div_ceil(8) as u64 {
            let words = philox4x32_10([block as u32, (block >> 32) as u32, 0, 0], key);
            // Two numbers of 16 bits a word; blurred, a few of them add up to what is nearly normal.
            noise.extend(
                words.iter().flat_map(|word| [word & 0xffff, word >> 16]).map(|u| u as f32 / 65535.0 - 0.5),
            );
        }
        noise.truncate(self.hu.len());
        for axis in [0, 1, 0, 1] {
            blur(&mut noise, self.size, axis, SIDE);
        }
        // Blurred twice along two axes, with weights 1 4 6 4 1 / 16; the variance of u is 1 / 12.
        let left = (1.0f32 + 16.0 + 36.0 + 16.0 + 1.0) / 256.0;
        let scale = sigma * 12f32.sqrt() / left;
        self.hu.iter_mut().zip(noise).for_each(|(hu, noise)| *hu += scale * noise);
    }
}

/// How much of a voxel of this width lies in a body whose surface is so far away from its centre.
pub fn covered(distance: f32, width: f32) -> f32 {
    (0.5 - distance / width).clamp(0.0, 1.0)
}

fn blur(voxels: &mut [f32], [_, rows, columns]: [usize; 3], axis: usize, side: f32) {
    let step = [1, columns, rows * columns][axis];
    let length = if axis == 2 { voxels.len() } else { step * [columns, rows][axis] };
    for line in voxels.chunks_exact_mut(length) {
        // Beyond an end the voxels go on as the last one.
        let mut before = line[..step].to_vec();
        for at in 0..length {
            let here = line[at];
            let after = if at + step < length { line[at + step] } else { here };
            line[at] = here + side * (before[at % step] + after - 2.0 * here);
            before[at % step] = here;
        }
    }
}
