//! Transforms: what is done to a sample on its way into a batch, most of them at random.
//!
//! They work on images `[C, H, W]`, and on anything else whose first dimension is channels and
//! whose last two are rows and columns.
//!
//! ```
//! use std::sync::Arc;
//! use voxgrad_engine::data::transforms::{Compose, Normalize, RandomCrop, RandomHorizontalFlip, Transformed};
//! use voxgrad_engine::data::{DataLoader, TensorDataset};
//!
//! let images = TensorDataset::new(vec![0.5; 10 * 3 * 8 * 8], [3, 8, 8], vec![0; 10])?;
//! let augment = Compose::new()
//!     .then(RandomHorizontalFlip(0.5))
//!     .then(RandomCrop { size: 8, padding: 1 })
//!     .then(Normalize::new(&[0.5, 0.5, 0.5], &[0.25, 0.25, 0.25])?);
//! let loader = DataLoader::new(Arc::new(Transformed::new(Arc::new(images), augment)), 5)?.shuffle(1);
//! assert_eq!(loader.epoch(0).count(), 2);
//! # Ok::<(), voxgrad_engine::Error>(())
//! ```

mod colour;
mod geometry;

use std::sync::Arc;

pub use colour::{Layout, Normalize, RandomBrightness, to_tensor};
pub use geometry::{RandomCrop, RandomHorizontalFlip, RandomRotation};

use super::dataset::{Dataset, Sample, data_error};
use crate::Result;
use crate::random::Rng;

/// A change of a sample. Everything random about it comes from `rng`.
pub trait Transform: Send + Sync {
    /// Changes `sample`.
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()>;
}

/// Transforms one after the other.
#[derive(Default)]
pub struct Compose(Vec<Box<dyn Transform>>);

impl Compose {
    /// None yet: samples stay as they are.
    pub fn new() -> Compose {
        Compose::default()
    }

    /// Adds a transform after those so far.
    pub fn then(mut self, transform: impl Transform + 'static) -> Compose {
        self.0.push(Box::new(transform));
        self
    }
}

impl Transform for Compose {
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()> {
        self.0.iter().try_for_each(|transform| transform.apply(sample, rng))
    }
}

/// A data set whose samples pass through a transform, anew each time they are asked for.
pub struct Transformed {
    dataset: Arc<dyn Dataset>,
    transform: Box<dyn Transform>,
}

impl Transformed {
    /// The samples of `dataset`, changed by `transform`.
    pub fn new(dataset: Arc<dyn Dataset>, transform: impl Transform + 'static) -> Transformed {
        Transformed { dataset, transform: Box::new(transform) }
    }
}

impl Dataset for Transformed {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize, rng: &mut Rng) -> Result<Sample> {
        let mut sample = self.dataset.get(index, rng)?;
        self.transform.apply(&mut sample, rng)?;
        Ok(sample)
    }
}

/// Rows and columns of a sample: its last two dimensions.
fn rows_and_columns(transform: &str, sample: &Sample) -> Result<(usize, usize)> {
    match sample.shape[..] {
        [.., rows, columns] => Ok((rows, columns)),
        _ => data_error(format!("{transform}: a sample of shape {} has no rows and columns", sample.shape)),
    }
}

#[cfg(test)]
mod tests;
