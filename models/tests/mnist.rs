//! MNIST as a user gets it: from a directory, from a server, or drawn.

#[path = "../../tests/common/require.rs"]
mod require;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use voxgrad_models::data::download::Downloader;
use voxgrad_models::data::mnist::{self, Mnist};
use voxgrad_models::data::{Places, Source, fingerprint};
use voxgrad_models::{Error, Result};

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn idx(magic: u32, dims: &[u32], numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let head = [&[magic], dims].concat().into_iter().flat_map(u32::to_be_bytes);
    head.chain(numbers).collect()
}

/// The four files with 20 images to train on and 6 to test with. All pixels of an image are its number.
fn write_set(folder: &Path, side: u32, packed: bool) {
    std::fs::create_dir_all(folder).unwrap();
    let images =
        |n: u32| idx(2051, &[n, side, side], (0..n).flat_map(|i| vec![i as u8; (side * side) as usize]));
    let labels = |n: u32| idx(2049, &[n], (0..n).map(|i| (i % 10) as u8));
    for (name, bytes) in FILES.into_iter().zip([images(20), labels(20), images(6), labels(6)]) {
        if packed {
            let mut gz = GzEncoder::new(vec![], Compression::fast());
            gz.write_all(&bytes).unwrap();
            std::fs::write(folder.join(format!("{name}.gz")), gz.finish().unwrap()).unwrap();
        } else {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// Loads without any server: nobody listens at port 1.
fn load(places: &Places) -> Result<Mnist> {
    let servers = ["http://127.0.0.1:1/a/", "http://127.0.0.1:1/b/"];
    let mirrors = mnist::Mirrors { servers: &servers, ..mnist::MIRRORS };
    let downloader = Downloader { progress: false, ..Downloader::default() };
    mnist::load_from(places, &mirrors, &downloader, (50, 10), 5)
}

fn given(data: &Path) -> Places {
    Places { data: Some(data.into()), variable: None, cache: None }
}

#[test]
fn every_form_of_the_data_set_is_read_and_split_four_to_one() {
    let mut seen = vec![];
    for (folder, packed) in [("mnist", true), ("mnist", false), ("MNIST/raw", false), (".", true)] {
        let home = tempfile::tempdir().unwrap();
        write_set(&home.path().join(folder), 28, packed);
        let set = load(&given(home.path())).unwrap();
        assert_eq!((set.train.len(), set.val.len(), set.test.len()), (16, 4, 6));
        assert_eq!(set.test.labels(), [0, 1, 2, 3, 4, 5]);
        let mut all: Vec<u8> = vec![];
        for images in [&set.train, &set.val] {
            for (i, &label) in images.labels().iter().enumerate() {
                let pixels = images.pixels(i).unwrap();
                assert_eq!((pixels.len(), u32::from(pixels[0]) % 10), (784, label));
                all.push(pixels[0]);
            }
        }
        assert!(!all.is_sorted(), "{all:?}");
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<u8>>());
        let sentence = set.describe();
        let start = "16 training, 4 validation and 6 test images of MNIST from ";
        assert!(sentence.starts_with(start) && sentence.contains(&home.path().display().to_string()));
        seen.push(fingerprint(&[&set.train, &set.val, &set.test]).unwrap());
    }
    assert!(seen.iter().all(|md5| *md5 == seen[0]), "the same seed splits the same way: {seen:?}");
}

#[test]
fn a_given_directory_without_it_is_an_error_that_names_every_path() {
    let home = tempfile::tempdir().unwrap();
    let message = load(&given(home.path())).unwrap_err().to_string();
    assert!(message.starts_with("MNIST not found; looked for "), "{message}");
    for name in ["mnist", "MNIST/raw", ""] {
        assert!(message.contains(&home.path().join(name).display().to_string()), "{message}");
    }
    assert!(matches!(load(&given(&home.path().join("nowhere"))), Err(Error::NotFound { .. })));
}

#[test]
fn a_set_that_is_there_but_broken_is_an_error_and_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("mnist");
    // Not even where digits could be drawn instead.
    let cached = Places { data: None, variable: None, cache: Some(home.path().into()) };
    let refusal = |places: &Places| load(places).unwrap_err().to_string();
    write_set(&folder, 28, false);
    let labels = folder.join(FILES[1]);
    std::fs::write(&labels, idx(2049, &[19], [0; 19])).unwrap();
    for places in [&given(home.path()), &cached] {
        let message = refusal(places);
        assert!(message.contains("train-labels-idx1-ubyte: it has 19 labels, but "), "{message}");
        assert!(message.ends_with("has 20 images"), "{message}");
    }
    std::fs::remove_file(&labels).unwrap();
    let wanted = "it holds neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz, which MNIST has";
    let message = refusal(&cached);
    assert!(message.ends_with(wanted) && message.starts_with(&folder.display().to_string()), "{message}");

    write_set(&folder, 32, false);
    let message = refusal(&cached);
    let wanted = "train-images-idx3-ubyte: its images have 32 x 32 pixels, MNIST's have 28 x 28";
    assert!(message.ends_with(wanted), "{message}");

    let few = home.path().join("few");
    write_set(&few, 28, false);
    std::fs::write(few.join(FILES[0]), idx(2051, &[4, 28, 28], vec![0; 4 * 784])).unwrap();
    std::fs::write(few.join(FILES[1]), idx(2049, &[4], [0; 4])).unwrap();
    let message = refusal(&given(&few));
    assert_eq!(message, "data: 4 images to train on and 6 to test with are too few");
}

#[test]
fn without_data_and_without_a_server_digits_are_drawn() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    for cache in [Some(home.path().join("cache")), Some(file.join("below")), None] {
        let places = Places { data: None, variable: Some(home.path().into()), cache };
        let set = load(&places).unwrap();
        assert!(matches!(set.source, Source::Drawn(_)));
        assert_eq!((set.train.len(), set.val.len(), set.test.len()), (40, 10, 10));
        let sentence = set.describe();
        let start = "40 training, 10 validation and 10 test images drawn by voxgrad itself, not MNIST's \
                     handwritten digits: MNIST could not be fetched (";
        assert!(sentence.starts_with(start) && !sentence.contains('\n'), "{sentence}");
        // A wrong `$VOXGRAD_DATA` is not silent.
        let looked = format!("), and MNIST not found; looked for {}", home.path().join("mnist").display());
        assert!(sentence.contains(&looked), "{sentence}");
        assert_eq!(*set.train, *load(&places).unwrap().train);
    }
    assert_eq!(home.path().join("cache").read_dir().unwrap().count(), 1, "a lock, and no empty folder");
}

/// The real data set, where `VOXGRAD_DATA` names a directory that holds it.
#[test]
fn the_real_data_set_has_its_known_numbers() {
    let places = Places { data: None, cache: None, ..Places::new(None) };
    let set = load(&places).unwrap();
    if let Source::Drawn(_) = set.source {
        require::skip("data", "VOXGRAD_DATA names no directory with MNIST");
        return;
    }
    assert_eq!((set.train.len(), set.val.len(), set.test.len()), (48_000, 12_000, 10_000));
    let count =
        |labels: &[u32], counts: &mut [usize; 10]| labels.iter().for_each(|&l| counts[l as usize] += 1);
    let (mut to_train, mut test) = ([0; 10], [0; 10]);
    count(set.train.labels(), &mut to_train);
    count(set.val.labels(), &mut to_train);
    count(set.test.labels(), &mut test);
    assert_eq!(to_train, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(test, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    // The mean of the 60,000 images that everybody normalises with.
    let mut sum = 0u64;
    for images in [&set.train, &set.val] {
        for i in 0..images.len() {
            sum += images.pixels(i).unwrap().iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
        }
    }
    let mean = sum as f64 / 255.0 / (60_000.0 * 784.0);
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
}
