//! CIFAR-10: 60,000 photographs of ten classes, 32 x 32 in three colours; or drawn shapes where these
//! cannot be had.
//!
//! Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

use std::path::Path;
use std::sync::Arc;

use super::archive::Archive;
use super::download::Downloader;
use super::drawn::{self, SHAPES, Split};
use super::{Images, Places, Source, cifar};
use crate::{Error, Result};

/// Of so many images to learn from, one is kept for validation: 5,000 of 50,000.
const ONE_OF: usize = 10;
/// How many images are drawn to train and validate with, and to test with.
const DRAWN: (usize, usize) = (20_000, 2_000);

/// Three sets of images of ten classes.
#[derive(Debug, Clone)]
pub struct Cifar10 {
    /// What to train on.
    pub train: Arc<Images>,
    /// What tells, after every epoch, how good the weights are; they never learn from it.
    pub val: Arc<Images>,
    /// What the weights that were kept are tested with.
    pub test: Arc<Images>,
    /// Where they come from.
    pub source: Source,
    /// The names of the classes, by label.
    pub class_names: [&'static str; 10],
}

impl Cifar10 {
    /// A tenth of `to_train`, chosen at random by `seed`, is kept for validation.
    fn new(to_train: &Images, test: Images, source: Source, seed: u64) -> Result<Cifar10> {
        let n = to_train.len();
        let (train, val) = to_train.random_split(n - n / ONE_OF, seed)?;
        if val.is_empty() {
            let message = format!("{n} images to train and validate with are too few, {ONE_OF} are needed");
            return Err(voxgrad_engine::Error::Data(message).into());
        }
        let class_names = if matches!(source, Source::Files(_)) { cifar::CLASSES } else { SHAPES };
        Ok(Cifar10 { train: Arc::new(train), val: Arc::new(val), test: Arc::new(test), source, class_names })
    }

    /// CIFAR-10's files in `folder`; `seed` decides what is kept for validation.
    ///
    /// # Errors
    /// When a file is missing or broken, or there is no image of some class, as in CIFAR-2's files.
    pub fn read(folder: &Path, seed: u64) -> Result<Cifar10> {
        let all: [u8; 10] = std::array::from_fn(|class| class as u8);
        let to_train = cifar::read(folder, &cifar::TRAIN, &all)?;
        let missing: Vec<&str> = cifar::CLASSES
            .into_iter()
            .zip(0..)
            .filter(|(_, class)| !to_train.labels().contains(class))
            .map(|(name, _)| name)
            .collect();
        if !missing.is_empty() {
            let message =
                format!("its training files have no image of {}, CIFAR-10's have", missing.join(", "));
            return Err(Error::file(folder, message));
        }
        let test = cifar::read(folder, &cifar::TEST, &all)?;
        Cifar10::new(&to_train, test, Source::Files(folder.into()), seed)
    }

    /// Drawn shapes, so many to train and validate with and to test with; `why` says why they are not
    /// photographs.
    pub fn drawn(to_train: usize, test: usize, seed: u64, why: &str) -> Result<Cifar10> {
        let (to_train, test) =
            (drawn::shapes(to_train, Split::Train, seed)?, drawn::shapes(test, Split::Val, seed)?);
        Cifar10::new(&to_train, test, Source::Drawn(why.into()), seed)
    }

    /// What data this is, in one plain sentence.
    pub fn describe(&self) -> String {
        let (train, val, test) = (self.train.len(), self.val.len(), self.test.len());
        let numbers = format!("{train} training, {val} validation and {test} test images");
        match &self.source {
            Source::Files(folder) => format!("{numbers} of CIFAR-10 from {}", folder.display()),
            Source::Drawn(why) => {
                format!("{numbers} of shapes drawn by voxgrad itself, not CIFAR-10's photographs: {why}")
            }
        }
    }
}

/// Loads CIFAR-10 from `data` if given. Else from `$VOXGRAD_DATA` or the user's cache directory; if it is
/// in neither it is downloaded to the cache directory, with a progress bar if `progress` says so; and if
/// that fails, shapes are drawn. `seed` decides what is kept for validation, and what is drawn.
///
/// # Errors
/// When `data` is given and CIFAR-10 isn't there, with every path that was looked for; when it was found
/// but a file is missing or broken.
pub fn load(data: Option<&Path>, seed: u64, progress: bool) -> Result<Cifar10> {
    let downloader = Downloader { progress, ..Downloader::default() };
    load_from(&Places::new(data), &cifar::ARCHIVE, &downloader, DRAWN, seed)
}

/// As [`load`], with every place and number chosen: where to look, what to download and how, and how many
/// shapes to draw to train and validate with and to test with.
pub fn load_from(
    places: &Places,
    archive: &Archive<'_>,
    downloader: &Downloader,
    (to_train, test): (usize, usize),
    seed: u64,
) -> Result<Cifar10> {
    match cifar::find("CIFAR-10", &[cifar::FOLDER], places, archive, downloader)? {
        Source::Files(folder) => Cifar10::read(&folder, seed),
        Source::Drawn(why) => Cifar10::drawn(to_train, test, seed, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `per_file` records to each of the six files, whose labels count up and begin anew at
    /// `classes`.
    fn write(folder: &Path, per_file: usize, classes: usize) {
        for (f, file) in cifar::FILES.into_iter().enumerate() {
            let record = |i: usize| {
                let mut record = vec![(f * per_file + i) as u8; cifar::RECORD];
                record[0] = (i % classes) as u8;
                record
            };
            std::fs::write(folder.join(file), (0..per_file).flat_map(record).collect::<Vec<_>>()).unwrap();
        }
    }

    #[test]
    fn a_tenth_is_kept_for_validation() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20, 10);
        let data = Cifar10::read(folder.path(), 7).unwrap();
        assert_eq!((data.train.len(), data.val.len(), data.test.len()), (90, 10, 20));
        assert_eq!(data.class_names[9], "truck");
        // Each image has its number in every pixel: none is in both sets, none is lost.
        let numbers = |images: &Images| -> Vec<u8> {
            (0..images.len()).map(|i| images.pixels(i).unwrap()[0]).collect()
        };
        let mut all = [numbers(&data.train), numbers(&data.val)].concat();
        assert_eq!(numbers(&Cifar10::read(folder.path(), 7).unwrap().val), numbers(&data.val));
        assert_ne!(numbers(&Cifar10::read(folder.path(), 8).unwrap().val), numbers(&data.val));
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u8>>());
        assert_eq!(numbers(&data.test), (100..120).collect::<Vec<u8>>());
    }

    #[test]
    fn files_of_fewer_classes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20, 8);
        let message = Cifar10::read(folder.path(), 0).unwrap_err().to_string();
        assert!(
            message.ends_with("its training files have no image of ship, truck, CIFAR-10's have"),
            "{message}"
        );
    }

    #[test]
    fn without_files_shapes_are_drawn() {
        let data = Cifar10::drawn(50, 8, 1, "there is no network").unwrap();
        assert_eq!((data.train.len(), data.val.len(), data.test.len()), (45, 5, 8));
        assert_eq!(
            data.describe(),
            "45 training, 5 validation and 8 test images of shapes drawn by voxgrad itself, \
             not CIFAR-10's photographs: there is no network"
        );
        assert!(Cifar10::drawn(9, 8, 1, "").is_err());
    }
}
