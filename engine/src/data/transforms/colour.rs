//! Transforms of each number on its own: bytes to numbers, normalisation, brightness.

use super::{Transform, data_error};
use crate::data::Sample;
use crate::random::Rng;
use crate::{Error, Result};

/// How the bytes of an image lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A plane per channel.
    Chw,
    /// The channels of each pixel side by side, as image files have them.
    Hwc,
}

/// Bytes of an image of `channels`, `rows`, `columns` as numbers in 0..1, `[C, H, W]`.
///
/// # Errors
/// When there are more or fewer bytes than the image has.
pub fn to_tensor(bytes: &[u8], layout: Layout, [channels, rows, columns]: [usize; 3]) -> Result<Vec<f32>> {
    let pixels = rows.checked_mul(columns);
    if pixels.and_then(|pixels| pixels.checked_mul(channels)) != Some(bytes.len()) {
        let n = bytes.len();
        return data_error(format!(
            "to_tensor: {n} bytes are not an image of [{channels}, {rows}, {columns}]"
        ));
    }
    let number = |byte: &u8| *byte as f32 / 255.0;
    Ok(match layout {
        Layout::Chw => bytes.iter().map(number).collect(),
        Layout::Hwc => {
            let channel = |c| bytes.iter().skip(c).step_by(channels).map(number);
            (0..channels).flat_map(channel).collect()
        }
    })
}

/// (x - mean) / std, with a mean and a standard deviation per channel.
#[derive(Debug, Clone)]
pub struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalize {
    /// Normalises by these, one of each per channel.
    ///
    /// # Errors
    /// When there are not as many of one as of the other, or a deviation is not above 0.
    pub fn new(mean: &[f32], std: &[f32]) -> Result<Normalize> {
        if mean.len() != std.len() {
            let (means, stds) = (mean.len(), std.len());
            return Err(Error::Value {
                what: "normalize",
                message: format!("{means} means, but {stds} standard deviations"),
            });
        }
        if let Some(bad) = std.iter().find(|s| s.is_nan() || **s <= 0.0) {
            let message = format!("a standard deviation of {bad} is not above 0");
            return Err(Error::Value { what: "normalize", message });
        }
        Ok(Normalize { mean: mean.to_vec(), std: std.to_vec() })
    }
}

impl Transform for Normalize {
    fn apply(&self, sample: &mut Sample, _rng: &mut Rng) -> Result<()> {
        let channels = self.mean.len();
        if sample.shape.first() != Some(&channels) {
            let shape = &sample.shape;
            return data_error(format!("normalize: {channels} means for the channels of a sample {shape}"));
        }
        let size = sample.input.len() / channels.max(1);
        for (c, plane) in sample.input.chunks_mut(size.max(1)).enumerate() {
            plane.iter_mut().for_each(|x| *x = (*x - self.mean[c]) / self.std[c]);
        }
        Ok(())
    }
}

/// Multiplies all numbers by one factor from `1 - strength .. 1 + strength`, kept within 0..1: for
/// images that are not normalised yet (torchvision's `ColorJitter(brightness=strength)`).
#[derive(Debug, Clone, Copy)]
pub struct RandomBrightness(pub f32);

impl Transform for RandomBrightness {
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()> {
        let strength = self.0;
        if !strength.is_finite() || strength < 0.0 {
            return data_error(format!("random brightness: a strength of {strength} is not 0 or more"));
        }
        let factor = rng.range((1.0 - strength).max(0.0), 1.0 + strength);
        sample.input.iter_mut().for_each(|x| *x = (*x * factor).clamp(0.0, 1.0));
        Ok(())
    }
}
