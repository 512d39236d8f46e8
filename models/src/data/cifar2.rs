//! CIFAR-2: the airplanes and birds of CIFAR-10, or drawn ones where these cannot be had.

use std::path::Path;
use std::sync::Arc;

use voxgrad_engine::data::TensorDataset;

use super::archive::Archive;
use super::download::Downloader;
use super::drawn::{self, Split};
pub use super::source::Source;
use super::{Images, Places, cifar};
use crate::Result;

/// The two classes: label 0 and label 1.
pub const CLASS_NAMES: [&str; 2] = ["airplane", "bird"];
/// Their labels in CIFAR-10.
const LABELS: [u8; 2] = [0, 2];
/// A folder with only these two classes, of the same form as the official one.
const FOLDER: &str = "cifar2";
/// How many images are drawn to train on and to judge by: as many as CIFAR-2 has.
const DRAWN: (usize, usize) = (10_000, 2_000);

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

    /// The two classes out of CIFAR-10's files in `folder`.
    ///
    /// # Errors
    /// When a file is missing or broken.
    pub fn read(folder: &Path) -> Result<Cifar2> {
        let train = cifar::read(folder, &cifar::TRAIN, &LABELS)?;
        let val = cifar::read(folder, &cifar::TEST, &LABELS)?;
        Cifar2::new(train, val, Source::Files(folder.into()))
    }

    /// This many drawn images; `why` says why they are not photographs.
    pub fn drawn(train: usize, val: usize, seed: u64, why: &str) -> Result<Cifar2> {
        let train = drawn::images(train, Split::Train, seed)?;
        let val = drawn::images(val, Split::Val, seed)?;
        Cifar2::new(train, val, Source::Drawn(why.into()))
    }

    /// The validation images as bytes, for pictures of predictions.
    pub fn images(&self) -> &Images {
        &self.val_images
    }

    /// What data this is, in one plain sentence.
    pub fn describe(&self) -> String {
        let (train, val) = (self.train_images.len(), self.val_images.len());
        let numbers = format!("{train} training and {val} validation images");
        match &self.source {
            Source::Files(folder) => {
                format!(
                    "{numbers} of CIFAR-2, the airplanes and birds of CIFAR-10, from {}",
                    folder.display()
                )
            }
            Source::Drawn(why) => {
                format!("{numbers} drawn by voxgrad itself, not CIFAR-2's photographs: {why}")
            }
        }
    }
}

/// Loads CIFAR-2 from `data` if given. Else from `$VOXGRAD_DATA` or the user's cache directory; if
/// it is in neither it is downloaded to the cache directory, with a progress bar if `progress` says
/// so; and if that fails, images are drawn with `seed`.
///
/// # Errors
/// When `data` is given and CIFAR-2 isn't there, with every path that was looked for; when it was
/// found but a file is missing or broken.
pub fn load(data: Option<&Path>, seed: u64, progress: bool) -> Result<Cifar2> {
    let downloader = Downloader { progress, ..Downloader::default() };
    load_from(&Places::new(data), &cifar::ARCHIVE, &downloader, DRAWN, seed)
}

/// As [`load`], with every place and number chosen: where to look, what to download and how, and
/// how many images to draw to train on and to judge by.
pub fn load_from(
    places: &Places,
    archive: &Archive<'_>,
    downloader: &Downloader,
    (train, val): (usize, usize),
    seed: u64,
) -> Result<Cifar2> {
    match cifar::find("CIFAR-2", &[cifar::FOLDER, FOLDER], places, archive, downloader)? {
        Source::Files(folder) => Cifar2::read(&folder),
        Source::Drawn(why) => Cifar2::drawn(train, val, seed, &why),
    }
}
