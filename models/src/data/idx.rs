//! IDX, the form of MNIST's files: a head that says how many numbers of what kind there are, then the
//! numbers, one after the other.
//!
//! ```text
//! byte 0   0, 0
//! byte 2   the kind of number; 8 is a byte each, the only one read here
//! byte 3   how many dimensions: 1 for labels (magic number 2049), 3 for images (2051)
//! byte 4   each dimension, 4 bytes, the highest first
//! then     the numbers, row-major
//! ```
//!
//! LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998. The files are
//! published packed with gzip; they are read either way, whatever their names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Images;
use crate::{Error, Result};

/// The first four bytes of a file of labels, as a number.
pub const LABELS: u32 = 2049;
/// The first four bytes of a file of images, as a number.
pub const IMAGES: u32 = 2051;
/// The most bytes of numbers that a file may say it has: twenty times as many as MNIST's largest.
const MOST_BYTES: usize = 1 << 30;

/// The images in one file with the labels in the other, each below `classes`. Both heads are checked,
/// alone and against each other, before any number is read.
///
/// # Errors
/// When a file can't be read or unpacked; with what was found and what was expected when it has
/// another magic number, no images or more than fit into 1 GiB, more or fewer bytes than its head
/// says, not as many labels as there are images, or a label that is no class.
pub fn read(images: &Path, labels: &Path, classes: u32) -> Result<Images> {
    let (mut image_file, mut label_file) = (Idx::<3>::open(images)?, Idx::<1>::open(labels)?);
    let ([n, rows, columns], [n_labels]) = (image_file.dims, label_file.dims);
    if n != n_labels {
        let message = format!("it has {n_labels} labels, but {} has {n} images", images.display());
        return Err(Error::file(labels, message));
    }
    let numbers = label_file.numbers()?;
    if let Some(at) = numbers.iter().position(|&label| u32::from(label) >= classes) {
        return Err(Error::file(
            labels,
            format!(
                "label {at} at byte {} is {}, labels end at {}",
                head_bytes(1) + at,
                numbers[at],
                classes.saturating_sub(1)
            ),
        ));
    }
    let numbers = numbers.into_iter().map(u32::from).collect();
    Ok(Images::new(image_file.numbers()?, [1, rows, columns], numbers)?)
}

/// The bytes of a head of so many dimensions.
const fn head_bytes(dims: usize) -> usize {
    4 + 4 * dims
}

/// A file of bytes in N dimensions, its head already read.
struct Idx<'a, const N: usize> {
    path: &'a Path,
    dims: [usize; N],
    /// The product of `dims`.
    count: usize,
    rest: Box<dyn Read>,
}

impl<const N: usize> Idx<'_, N> {
    fn open(path: &Path) -> Result<Idx<'_, N>> {
        let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
        let packed = file.fill_buf().map_err(Error::io(path))?.starts_with(&[0x1f, 0x8b]);
        let mut rest: Box<dyn Read> =
            if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

        let mut head = Vec::with_capacity(head_bytes(N));
        read_up_to(&mut rest, head_bytes(N), &mut head, path)?;
        let (dims, count) = check_head(&head).map_err(|message| Error::file(path, message))?;
        Ok(Idx { path, dims, count, rest })
    }

    /// All numbers; the file must end with the last of them.
    fn numbers(&mut self) -> Result<Vec<u8>> {
        let mut numbers = Vec::new();
        // One more than there should be, to see that the file ends; gzip's checksum is compared there.
        read_up_to(&mut self.rest, self.count + 1, &mut numbers, self.path)?;
        if numbers.len() == self.count {
            return Ok(numbers);
        }
        let found = match numbers.len() {
            n if n > self.count => "it goes on after them".to_string(),
            n => format!("it ends after {n} of them"),
        };
        let count = self.count;
        Err(Error::file(
            self.path,
            format!("its head, {:?}, says that {count} numbers follow, but {found}", self.dims),
        ))
    }
}

/// Dimensions and their product; the error is a message without the file's name.
fn check_head<const N: usize>(head: &[u8]) -> std::result::Result<([usize; N], usize), String> {
    let word = |i: usize| head.get(4 * i..4 * i + 4)?.try_into().ok().map(u32::from_be_bytes);
    let expected = if N == 1 { LABELS } else { IMAGES };
    let what = if N == 1 { "labels" } else { "images" };
    match word(0) {
        Some(magic) if magic == expected => {}
        Some(magic) => {
            let known = match magic {
                LABELS => ", that of labels",
                IMAGES => ", that of images",
                _ => "",
            };
            return Err(format!("its magic number is {magic}{known}; {what} begin with {expected}"));
        }
        None => return Err(format!("it has {} bytes, and a magic number alone is 4", head.len())),
    }
    let mut dims = [0; N];
    for (i, dim) in dims.iter_mut().enumerate() {
        let Some(size) = word(1 + i) else {
            return Err(format!("its head is cut short after {} of {} bytes", head.len(), head_bytes(N)));
        };
        *dim = size as usize;
    }
    let count = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    match count {
        Some(0) => Err(format!("its head says {dims:?}: there are no {what}")),
        Some(count) if count <= MOST_BYTES => Ok((dims, count)),
        _ => Err(format!("its head says {dims:?}: more than the {MOST_BYTES} bytes that are read of a file")),
    }
}

/// Appends what comes, `most` bytes or as many as there are.
fn read_up_to(from: &mut dyn Read, most: usize, to: &mut Vec<u8>, path: &Path) -> Result<()> {
    let cut = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    match from.take(most as u64).read_to_end(to) {
        Ok(_) => Ok(()),
        Err(error) if cut(&error) => Err(Error::file(
            path,
            format!("its packed bytes end too early, after {} unpacked ones", to.len()),
        )),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Err(Error::file(path, format!("it can't be unpacked: {error}")))
        }
        Err(error) => Err(Error::io(path)(error)),
    }
}

#[cfg(test)]
mod tests;
