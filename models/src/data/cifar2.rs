//! CIFAR-2: the airplanes and birds of CIFAR-10.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use voxgrad_engine::data::TensorDataset;

use super::{Images, Places, cifar};
use crate::Result;

/// The two classes: label 0 and label 1.
pub const CLASS_NAMES: [&str; 2] = ["airplane", "bird"];
/// Their labels in CIFAR-10.
const LABELS: [u8; 2] = [0, 2];
/// A folder with only these two classes, of the same form as the official one.
const FOLDER: &str = "cifar2";

/// Where the images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Photographs: CIFAR-10's files in this folder.
    Files(PathBuf),
}

/// Two sets of images of airplanes and birds, 32x32 in three colours.
#[derive(Debug, Clone)]
pub struct Cifar2 {
    /// What to train on, normalised, `[3, 32, 32]` a sample.
    pub train: Arc<TensorDataset>,
    /// What to judge by, normalised.
    pub val: Arc<TensorDataset>,
    /// The training images as bytes: for pictures, and for transforms to work on.
    pub train_images: Arc<Images>,
    /// The validation images as bytes.
    pub val_images: Arc<Images>,
    /// Where they come from.
    pub source: Source,
    /// The names of the classes, by label.
    pub class_names: [&'static str; 2],
}

impl Cifar2 {
    fn new(train: Images, val: Images, source: Source) -> Result<Cifar2> {
        Ok(Cifar2 {
            train: Arc::new(train.normalised(&cifar::MEAN, &cifar::STD)?),
            val: Arc::new(val.normalised(&cifar::MEAN, &cifar::STD)?),
            train_images: Arc::new(train),
            val_images: Arc::new(val),
            source,
            class_names: CLASS_NAMES,
        })
    }

    /// The validation images as bytes, for pictures of predictions.
    pub fn images(&self) -> &Images {
        &self.val_images
    }

    /// What data this is, in one plain sentence.
    pub fn describe(&self) -> String {
        let (train, val) = (self.train_images.len(), self.val_images.len());
        let what = match &self.source {
            Source::Files(folder) => {
                format!("CIFAR-2, the airplanes and birds of CIFAR-10, from {}", folder.display())
            }
        };
        format!("{what}: {train} training and {val} validation images")
    }
}

/// Loads CIFAR-2 from `data` if given, else from `$VOXGRAD_DATA` or the user's cache directory.
///
/// # Errors
/// When it isn't there, with every path that was looked for, or a file is broken.
pub fn load(data: Option<&Path>, seed: u64, progress: bool) -> Result<Cifar2> {
    let _ = (seed, progress);
    let folder = find(&Places::new(data))?;
    read(&folder)
}

fn find(places: &Places) -> Result<PathBuf> {
    let files: Vec<&str> = cifar::TRAIN.into_iter().chain(cifar::TEST).collect();
    places.find("CIFAR-2", &[cifar::FOLDER, FOLDER], &files)
}

fn read(folder: &Path) -> Result<Cifar2> {
    let train = cifar::read(folder, &cifar::TRAIN, &LABELS)?;
    let val = cifar::read(folder, &cifar::TEST, &LABELS)?;
    Cifar2::new(train, val, Source::Files(folder.into()))
}
