//! MetaImage, the format of LUNA16's scans: a text header (`.mhd`) that names a file with the voxels
//! (`.raw`, or `.zraw` when compressed), or has them behind it (`.mha`).
//!
//! The format is ITK's, <https://docs.itk.org/en/latest/learn/metaio.html>; every field that ITK
//! writes is read. `CenterOfRotation` and `AnatomicalOrientation` change nothing, as in ITK. What is
//! refused, by name: several numbers per voxel, voxels written as text, one file per slice, anything
//! but three dimensions.

mod data;
mod element;
mod header;
mod write;

use std::path::Path;

pub use element::ElementType;
pub use header::Header;
pub use write::Store;

use super::geometry::Geometry;
use crate::Result;

/// A volume of voxels, and where they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct MetaImage {
    /// Slices, rows and columns.
    pub size: [usize; 3],
    /// Where they lie.
    pub geometry: Geometry,
    /// What each is stored in.
    pub element: ElementType,
    /// The voxels, slice by slice and row by row, each with its lowest byte first, however the file had it.
    pub data: Vec<u8>,
}

impl MetaImage {
    /// Reads a `.mhd` file and its voxels, or a `.mha` file.
    ///
    /// # Errors
    /// Those of [`Header::read`]; a file of voxels that is missing, or shorter or longer than the header
    /// says; compressed voxels that can't be unpacked. All with the file's name.
    pub fn read(path: impl AsRef<Path>) -> Result<MetaImage> {
        let header = Header::read(path.as_ref())?;
        let data = header.read_data()?;
        Ok(MetaImage { size: header.size, geometry: header.geometry, element: header.element, data })
    }

    /// A volume of whole numbers of 16 bits, as CT scans are. `voxels` are `size[0] * size[1] * size[2]`.
    pub fn from_i16(size: [usize; 3], geometry: Geometry, voxels: &[i16]) -> MetaImage {
        let data = voxels.iter().flat_map(|v| v.to_le_bytes()).collect();
        MetaImage { size, geometry, element: ElementType::Short, data }
    }

    /// The voxels as f32; whole numbers beyond 2^24 are rounded.
    pub fn to_f32(&self) -> Vec<f32> {
        self.element.to_f32(&self.data)
    }
}
