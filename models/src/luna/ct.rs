//! One CT scan.

use std::path::Path;

use super::geometry::Geometry;
use super::metaimage::MetaImage;
use crate::{Error, Result};

/// Voxels are clipped to this, in Hounsfield units: air is -1000, water 0, and bone at most about 1000.
/// What scanners write outside of their round field of view lies far below, metal far above.
pub const HU: (f32, f32) = (-1000.0, 1000.0);

/// Slices, rows and columns of the crop that the network is given.
pub const CROP: [usize; 3] = [32, 48, 48];

/// A scan: its voxels in Hounsfield units, and where they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Ct {
    /// The name of the scan: its file's name without the ending.
    pub series_uid: String,
    /// The voxels, slice by slice and row by row, clipped to [`HU`].
    pub hu: Vec<f32>,
    /// Slices, rows and columns.
    pub size: [usize; 3],
    /// Where the voxels lie.
    pub geometry: Geometry,
}

impl Ct {
    /// Reads a scan from a `.mhd` or `.mha` file.
    ///
    /// # Errors
    /// Those of [`MetaImage::read`]; a voxel that is not a number.
    pub fn read(path: impl AsRef<Path>) -> Result<Ct> {
        let path = path.as_ref();
        let series_uid = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
        let image = MetaImage::read(path)?;
        let (mut hu, size, geometry) = (image.to_f32(), image.size, image.geometry);
        if let Some(at) = hu.iter().position(|v| v.is_nan()) {
            let [_, rows, columns] = size;
            let irc = [at / columns / rows, at / columns % rows, at % columns];
            return Err(Error::file(path, format!("the voxel {irc:?} (slice, row, column) is not a number")));
        }
        hu.iter_mut().for_each(|v| *v = v.clamp(HU.0, HU.1));
        Ok(Ct { series_uid, hu, size, geometry })
    }

    /// The voxels around `centre`, `size` of them, and the first one's slice, row and column. A window that
    /// would reach over a border is shifted inside; nothing is padded.
    ///
    /// # Errors
    /// A centre outside of the scan, and a scan that is smaller than the window.
    pub fn window(&self, centre: [i64; 3], size: [usize; 3]) -> Result<(Vec<f32>, [i64; 3])> {
        let mut start = [0; 3];
        for axis in 0..3 {
            let length = self.size[axis];
            let refuse = |message: String| Error::Run(format!("scan {}: {message}", self.series_uid));
            match usize::try_from(centre[axis]).ok().filter(|&at| at < length) {
                _ if length < size[axis] => {
                    let ours = self.size;
                    let message = format!("its size {ours:?} is smaller than the {size:?} of a crop");
                    return Err(refuse(message));
                }
                None => {
                    let (ours, axis) = (self.size, ["slice", "row", "column"][axis]);
                    return Err(refuse(format!(
                        "the place {centre:?} (slice, row, column) lies outside: its {axis}s are 0 to {}, \
                         its size is {ours:?}",
                        length - 1
                    )));
                }
                Some(at) => start[axis] = at.saturating_sub(size[axis] / 2).min(length - size[axis]),
            }
        }
        let mut voxels = Vec::with_capacity(size.iter().product());
        for index in start[0]..start[0] + size[0] {
            for row in start[1]..start[1] + size[1] {
                let first = (index * self.size[1] + row) * self.size[2] + start[2];
                voxels.extend_from_slice(&self.hu[first..first + size[2]]);
            }
        }
        Ok((voxels, start.map(|at| at as i64)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::IDENTITY;
    use super::*;

    /// Every voxel's value is its number.
    fn counted(size: [usize; 3]) -> Ct {
        let geometry = Geometry::new([0.0; 3], [1.0; 3], IDENTITY).unwrap();
        let hu = (0..size.iter().product()).map(|i: usize| i as f32).collect();
        Ct { series_uid: "1.2".into(), hu, size, geometry }
    }

    #[test]
    fn a_window_lies_around_its_centre_and_is_shifted_inside_at_a_border() {
        let ct = counted([5, 6, 7]);
        let value = |i: usize, r: usize, c: usize| (42 * i + 7 * r + c) as f32;
        // An even size has one more before the centre, as the book's rounding has it.
        let (voxels, start) = ct.window([2, 3, 3], [2, 4, 3]).unwrap();
        assert_eq!(start, [1, 1, 2]);
        assert_eq!((voxels.len(), voxels[0], voxels[23]), (24, value(1, 1, 2), value(2, 4, 4)));
        assert_eq!(voxels[3 + 1], value(1, 2, 3));
        for (centre, start) in [([0, 0, 0], [0, 0, 0]), ([4, 5, 6], [3, 2, 4]), ([1, 1, 1], [0, 0, 0])] {
            let (voxels, at) = ct.window(centre, [2, 4, 3]).unwrap();
            assert_eq!(at, start, "{centre:?}");
            let [i, r, c] = start.map(|at| at as usize);
            assert_eq!((voxels[0], voxels[23]), (value(i, r, c), value(i + 1, r + 3, c + 2)));
        }
        assert_eq!(ct.window([2, 2, 2], [5, 6, 7]).unwrap().0, ct.hu);
    }

    #[test]
    fn what_has_no_window_is_named() {
        let ct = counted([5, 6, 7]);
        let message = ct.window([5, 0, 0], [2, 2, 2]).unwrap_err().to_string();
        assert_eq!(
            message,
            "scan 1.2: the place [5, 0, 0] (slice, row, column) lies outside: its slices are 0 to 4, its size \
             is [5, 6, 7]"
        );
        assert!(ct.window([0, 0, -1], [2, 2, 2]).unwrap_err().to_string().contains("columns are 0 to 6"));
        let message = ct.window([2, 2, 2], [2, 8, 2]).unwrap_err().to_string();
        assert_eq!(message, "scan 1.2: its size [5, 6, 7] is smaller than the [2, 8, 2] of a crop");
    }
}
