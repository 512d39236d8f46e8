//! Writing what ITK would write.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use voxgrad_engine::checkpoint::write_atomically;

use super::MetaImage;
use crate::{Error, Result};

/// How voxels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// As they are.
    #[default]
    Raw,
    /// As a zlib stream.
    Compressed,
}

impl MetaImage {
    /// Writes the volume: a path that ends with `.mhd` gets a header, and beside it the voxels in a file of
    /// the same name with `.raw` or `.zraw`; one that ends with `.mha` gets both. The header is written
    /// last, so that whoever finds it finds the voxels too.
    ///
    /// # Errors
    /// A path with another ending, a number of bytes that does not fit `size`, or a disk that refuses.
    pub fn write(&self, path: impl AsRef<Path>, store: Store) -> Result<()> {
        let path = path.as_ref();
        let voxels = self.size.iter().try_fold(self.element.bytes(), |bytes, &n| bytes.checked_mul(n));
        if voxels != Some(self.data.len()) {
            let (size, element, bytes) = (self.size, self.element, self.data.len());
            return Err(Error::file(path, format!("{size:?} voxels of {element} are not {bytes} bytes")));
        }
        let packed;
        let data = match store {
            Store::Raw => &self.data,
            Store::Compressed => {
                let mut encoder = ZlibEncoder::new(vec![], Compression::default());
                packed =
                    encoder.write_all(&self.data).and_then(|()| encoder.finish()).map_err(Error::io(path))?;
                &packed
            }
        };
        let size = (store == Store::Compressed).then_some(data.len());
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("mha") => {
                let mut file = self.header(size, "LOCAL").into_bytes();
                file.extend_from_slice(data);
                write_atomically(path, &file)?;
            }
            Some("mhd") => {
                let beside = path.with_extension(if size.is_some() { "zraw" } else { "raw" });
                let name = beside.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| Error::file(path, "the name is not text".into()))?;
                write_atomically(&beside, data)?;
                write_atomically(path, self.header(size, name).as_bytes())?;
            }
            _ => return Err(Error::file(path, "a MetaImage's name ends with .mhd or .mha".into())),
        }
        Ok(())
    }

    fn header(&self, compressed: Option<usize>, data_file: &str) -> String {
        let [slices, rows, columns] = self.size;
        let d = self.geometry.direction;
        // One axis after the other: the columns of the matrix.
        let matrix: [f64; 9] = std::array::from_fn(|i| d[i % 3][i / 3]);
        let mut text = String::from("ObjectType = Image\nNDims = 3\nBinaryData = True\n");
        text += "BinaryDataByteOrderMSB = False\n";
        text += match compressed {
            None => "CompressedData = False\n",
            Some(_) => "CompressedData = True\n",
        };
        if let Some(bytes) = compressed {
            let _ = writeln!(text, "CompressedDataSize = {bytes}");
        }
        let _ = writeln!(text, "TransformMatrix = {}", spaced(&matrix));
        let _ = writeln!(text, "Offset = {}", spaced(&self.geometry.origin));
        text += "CenterOfRotation = 0 0 0\n";
        let _ = writeln!(text, "AnatomicalOrientation = {}", orientation(&d));
        let _ = writeln!(text, "ElementSpacing = {}", spaced(&self.geometry.spacing));
        let _ = writeln!(text, "DimSize = {columns} {rows} {slices}");
        let _ = writeln!(text, "ElementType = {}", self.element);
        let _ = writeln!(text, "ElementDataFile = {data_file}");
        text
    }
}

/// Where columns, rows and slices come from: Right or Left, Anterior or Posterior, Inferior or Superior,
/// whichever is nearest and not yet taken.
fn orientation(direction: &[[f64; 3]; 3]) -> String {
    const LETTERS: [[&str; 2]; 3] = [["R", "L"], ["A", "P"], ["I", "S"]];
    let mut taken = [false; 3];
    let mut letter = |axis: usize| {
        let along = |k: usize| direction[k][axis];
        let free = (0..3).rev().filter(|&k| !taken[k]);
        let nearest = free.max_by(|&a, &b| along(a).abs().total_cmp(&along(b).abs())).unwrap_or(axis);
        taken[nearest] = true;
        LETTERS[nearest][usize::from(along(nearest) < 0.0)]
    };
    [0, 1, 2].map(&mut letter).concat()
}

/// Numbers as short as they can be and still be read back as the same.
fn spaced(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(" ")
}
