//! MNIST: 70,000 handwritten digits, 28 x 28 in grey; or drawn ones where these cannot be had.
//!
//! LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::download::Downloader;
use super::drawn::{self, Split};
pub use super::mirrors::Mirrors;
use super::{Images, Places, Source, idx};
use crate::{Error, Result};

/// The names of the classes, by label.
pub const CLASS_NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// Channels, rows, columns.
pub const SIZE: [usize; 3] = [1, 28, 28];
/// Images and labels to train on, and to test with; each perhaps with `.gz` at its end.
const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
/// Where the data set is published: copies of the files of its authors' page, which is gone.
pub const MIRRORS: Mirrors<'static> = Mirrors {
    folder: "mnist",
    servers: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    files: &[
        ("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ],
};
/// The folders it may be in: ours, and the one that torchvision makes.
const FOLDERS: [&str; 2] = ["mnist", "MNIST/raw"];
/// How many digits are drawn to train and validate with, and to test with: with a fifth of the first
/// for validation that is 4 : 1 : 1.
const DRAWN: (usize, usize) = (50_000, 10_000);

/// Three sets of images of digits.
#[derive(Debug, Clone)]
pub struct Mnist {
    /// What to train on.
    pub train: Arc<Images>,
    /// What tells, after every epoch, how good the weights are; they never learn from it.
    pub val: Arc<Images>,
    /// What the weights that were kept are tested with, once.
    pub test: Arc<Images>,
    /// Where they come from.
    pub source: Source,
}

impl Mnist {
    /// The images to train on are split at random, by `seed`, into four parts for training and one for
    /// validation; those to test with stay as they were published, so that accuracies compare with
    /// those of others. Of MNIST's 60,000 and 10,000 that makes 48,000, 12,000 and 10,000.
    ///
    /// # Errors
    /// When there are too few of either.
    fn new(to_train: &Images, test: Images, source: Source, seed: u64) -> Result<Mnist> {
        let n = to_train.len();
        if n < 5 || test.is_empty() {
            let message = format!("{n} images to train on and {} to test with are too few", test.len());
            return Err(voxgrad_engine::Error::Data(message).into());
        }
        let (train, val) = to_train.random_split(n - n / 5, seed)?;
        Ok(Mnist { train: Arc::new(train), val: Arc::new(val), test: Arc::new(test), source })
    }

    /// MNIST's four files in `folder`, packed with gzip or not.
    ///
    /// # Errors
    /// When a file is missing or broken, or the images are not of 28 x 28 pixels.
    pub fn read(folder: &Path, seed: u64) -> Result<Mnist> {
        let both = |[images, labels]: [&str; 2]| {
            let path = file_in(folder, images)?;
            let images = idx::read(&path, &file_in(folder, labels)?, CLASS_NAMES.len() as u32)?;
            match images.size() {
                SIZE => Ok(images),
                [_, rows, columns] => {
                    let message = format!("its images have {rows} x {columns} pixels, MNIST's have 28 x 28");
                    Err(Error::file(&path, message))
                }
            }
        };
        Mnist::new(&both(TRAIN)?, both(TEST)?, Source::Files(folder.into()), seed)
    }

    /// Drawn digits, so many to train and validate with and to test with; `why` says why they are not
    /// handwritten.
    pub fn drawn(to_train: usize, test: usize, seed: u64, why: &str) -> Result<Mnist> {
        let (to_train, test) =
            (drawn::digits(to_train, Split::Train, seed)?, drawn::digits(test, Split::Val, seed)?);
        Mnist::new(&to_train, test, Source::Drawn(why.into()), seed)
    }

    /// What data this is, in one plain sentence.
    pub fn describe(&self) -> String {
        let (train, val, test) = (self.train.len(), self.val.len(), self.test.len());
        let numbers = format!("{train} training, {val} validation and {test} test images");
        match &self.source {
            Source::Files(folder) => format!("{numbers} of MNIST from {}", folder.display()),
            Source::Drawn(why) => {
                format!("{numbers} drawn by voxgrad itself, not MNIST's handwritten digits: {why}")
            }
        }
    }
}

/// The file `name` in `folder`, or the packed one.
fn file_in(folder: &Path, name: &str) -> Result<PathBuf> {
    let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
    match [plain, packed].into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => Err(Error::file(folder, format!("it holds neither {name} nor {name}.gz, which MNIST has"))),
    }
}

/// Loads MNIST from `data` if given. Else from `$VOXGRAD_DATA` or the user's cache directory; if it is
/// in neither it is downloaded to the cache directory, with a progress bar if `progress` says so; and
/// if that fails, digits are drawn. `seed` decides what is split off for validation, and what is drawn.
///
/// # Errors
/// When `data` is given and MNIST isn't there, with every path that was looked for; when it was found
/// but a file is missing or broken.
pub fn load(data: Option<&Path>, seed: u64, progress: bool) -> Result<Mnist> {
    let downloader = Downloader { progress, ..Downloader::default() };
    load_from(&Places::new(data), &MIRRORS, &downloader, DRAWN, seed)
}

/// As [`load`], with every place and number chosen: where to look, what to download and how, and
/// how many digits to draw to train and validate with and to test with.
pub fn load_from(
    places: &Places,
    mirrors: &Mirrors<'_>,
    downloader: &Downloader,
    (to_train, test): (usize, usize),
    seed: u64,
) -> Result<Mnist> {
    let names = [TRAIN, TEST].concat();
    let packed: Vec<String> = names.iter().map(|name| format!("{name}.gz")).collect();
    let files: Vec<&str> = names.iter().copied().chain(packed.iter().map(String::as_str)).collect();
    let not_found = match places.find("MNIST", &FOLDERS, &files) {
        Ok(folder) => return Mnist::read(&folder, seed),
        Err(error) if places.data.is_some() => return Err(error),
        Err(error) => error,
    };
    let installed = match &places.cache {
        Some(cache) => mirrors.install(cache, downloader),
        None => Err(Error::Download {
            url: mirrors.servers.join(" or "),
            message: "this user has no cache directory to put it into".into(),
        }),
    };
    match installed {
        Ok(folder) => Mnist::read(&folder, seed),
        Err(error) => {
            let why = format!("MNIST could not be fetched ({error}), and {not_found}");
            Mnist::drawn(to_train, test, seed, &why)
        }
    }
}
