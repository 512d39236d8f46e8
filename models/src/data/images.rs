//! Labelled images as files hold them, a byte per number.

use md5::{Digest, Md5};
use voxgrad_engine::data::{Dataset, Sample, TensorDataset};
use voxgrad_engine::random::Rng;
use voxgrad_engine::{Error, Result, Shape};

/// The stream of a random split's order: a loader with the same seed doesn't draw from it.
const SPLIT_STREAM: u64 = 3 << 40;

/// Labelled images of one size, 8 bits per channel. As a [`Dataset`] it gives them as numbers in
/// 0..1, for transforms to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    pixels: Vec<u8>,
    size: [usize; 3],
    labels: Vec<u32>,
}

impl Images {
    /// Images of `size` channels, rows and columns that lie one after the other in `pixels`.
    ///
    /// # Errors
    /// When `pixels` doesn't hold one image for each of `labels`.
    pub fn new(pixels: Vec<u8>, size: [usize; 3], labels: Vec<u32>) -> Result<Images> {
        let (bytes, images) = (pixels.len(), labels.len());
        if Shape::from(size).numel()?.checked_mul(images) != Some(bytes) {
            return Err(Error::Data(format!("{bytes} bytes do not fill {images} images of {size:?}")));
        }
        Ok(Images { pixels, size, labels })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, rows, columns.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The pixels of image `index`, `[C, H, W]`.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn pixels(&self, index: usize) -> Result<&[u8]> {
        if index >= self.len() {
            return Err(Error::Data(format!("there is no image {index} among {}", self.len())));
        }
        let bytes = self.pixels.len() / self.len();
        Ok(&self.pixels[index * bytes..(index + 1) * bytes])
    }

    /// The class of every image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The images in a random order that follows from `seed`, as two sets, the first of `first` images
    /// and the second of the others; no image is in both.
    ///
    /// # Errors
    /// When there are fewer than `first` images.
    pub fn random_split(&self, first: usize, seed: u64) -> Result<(Images, Images)> {
        let n = self.len();
        if first > n {
            return Err(Error::Data(format!("{first} of {n} images can't be split off")));
        }
        let mut order: Vec<usize> = (0..n).collect();
        Rng::new(seed, SPLIT_STREAM).shuffle(&mut order);
        let part = |chosen: &[usize]| {
            let mut pixels = Vec::with_capacity(self.pixels.len() / n.max(1) * chosen.len());
            for &i in chosen {
                pixels.extend_from_slice(self.pixels(i)?);
            }
            Images::new(pixels, self.size, chosen.iter().map(|&i| self.labels[i]).collect())
        };
        let (one, other) = order.split_at(first);
        Ok((part(one)?, part(other)?))
    }

    /// All images as numbers, (pixel / 255 - mean) / std with a mean and a standard deviation per
    /// channel.
    ///
    /// # Errors
    /// When there are not as many of these as channels, or a deviation is not above 0.
    pub fn normalised(&self, mean: &[f32], std: &[f32]) -> Result<TensorDataset> {
        let [channels, height, width] = self.size;
        if mean.len() != channels || std.len() != channels {
            return Err(Error::Data(format!(
                "normalise: {} means and {} deviations for {channels} channels",
                mean.len(),
                std.len()
            )));
        }
        if let Some(bad) = std.iter().find(|s| s.is_nan() || **s <= 0.0) {
            return Err(Error::Data(format!("normalise: a standard deviation of {bad} is not above 0")));
        }
        // A byte has 256 values: each is worked out once per channel.
        let tables: Vec<[f32; 256]> = std::iter::zip(mean, std)
            .map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std))
            .collect();
        let mut inputs = Vec::with_capacity(self.pixels.len());
        if height * width > 0 {
            for (plane, table) in self.pixels.chunks(height * width).zip(tables.iter().cycle()) {
                inputs.extend(plane.iter().map(|&byte| table[byte as usize]));
            }
        }
        TensorDataset::new(inputs, self.size, self.labels.clone())
    }
}

/// The MD5 sum of all images and labels of some sets, in hexadecimal: it tells whether data is still
/// the same, wherever it lies.
///
/// # Errors
/// Never for sets as [`Images::new`] makes them.
pub fn fingerprint(sets: &[&Images]) -> Result<String> {
    let mut md5 = Md5::new();
    for images in sets {
        for (i, label) in images.labels().iter().enumerate() {
            md5.update(label.to_le_bytes());
            md5.update(images.pixels(i)?);
        }
    }
    Ok(md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Dataset for Images {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize, _rng: &mut Rng) -> Result<Sample> {
        let input = self.pixels(index)?.iter().map(|&byte| byte as f32 / 255.0).collect();
        Ok(Sample { input, shape: self.size.into(), target: self.labels[index] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_per_channel() {
        let images = Images::new(vec![0, 255, 51, 102], [2, 1, 1], vec![0, 1]).unwrap();
        let data = images.normalised(&[0.5, 0.2], &[0.25, 2.0]).unwrap();
        assert_eq!(data.inputs(), [-2.0, 0.4, (0.2 - 0.5) / 0.25, (0.4 - 0.2) / 2.0]);
        assert_eq!(images.pixels(1).unwrap(), [51, 102]);
        assert_eq!(images.get(1, &mut Rng::new(0, 0)).unwrap().input, [0.2, 0.4]);
    }

    #[test]
    fn a_random_split_has_every_image_once() {
        let images = Images::new((0..100).collect(), [1, 1, 2], (0..50).collect()).unwrap();
        let (one, other) = images.random_split(40, 1).unwrap();
        assert_eq!((one.len(), other.len()), (40, 10));
        for part in [&one, &other] {
            for (i, &label) in part.labels().iter().enumerate() {
                assert_eq!(part.pixels(i).unwrap(), images.pixels(label as usize).unwrap());
            }
        }
        let mut all = [one.labels(), other.labels()].concat();
        assert!(!all.is_sorted(), "{all:?}");
        all.sort_unstable();
        assert_eq!(all, images.labels());
        assert_eq!(images.random_split(40, 1).unwrap().0, one);
        assert_ne!(images.random_split(40, 2).unwrap().0, one);
        let message = images.random_split(51, 1).unwrap_err().to_string();
        assert_eq!(message, "data: 51 of 50 images can't be split off");
        assert_eq!(images.random_split(50, 1).unwrap().1.len(), 0);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Images::new(vec![0; 5], [2, 1, 1], vec![0, 1]).is_err());
        let images = Images::new(vec![0; 4], [2, 1, 1], vec![0, 1]).unwrap();
        assert_eq!(images.pixels(2).unwrap_err().to_string(), "data: there is no image 2 among 2");
        assert!(images.normalised(&[0.5], &[0.5]).is_err());
        assert!(images.normalised(&[0.5, 0.5], &[0.5, 0.0]).is_err());
        assert!(images.normalised(&[0.5, 0.5], &[0.5, f32::NAN]).is_err());
    }
}
