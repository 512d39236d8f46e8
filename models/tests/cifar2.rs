//! CIFAR-2 as a user gets it: from a directory, from a server, or drawn.

#[path = "../../tests/common/require.rs"]
mod require;

use std::path::{Path, PathBuf};

use voxgrad_engine::data::Dataset;
use voxgrad_models::data::cifar2::{self, Cifar2, Source};
use voxgrad_models::data::download::Downloader;
use voxgrad_models::data::{Places, cifar};
use voxgrad_models::{Error, Result};

/// A record whose pixels all have one value.
fn record(label: u8, pixel: u8) -> Vec<u8> {
    let mut record = vec![pixel; cifar::RECORD];
    record[0] = label;
    record
}

/// Six files: an airplane, a bird and, if `all` classes are wanted, a ship in each.
fn write_set(folder: &Path, all: bool) {
    std::fs::create_dir_all(folder).unwrap();
    for (i, file) in cifar::FILES.into_iter().enumerate() {
        let mut bytes = [record(0, 10 * i as u8), record(2, 10 * i as u8 + 1)].concat();
        if all {
            bytes.extend(record(8, 255));
        }
        std::fs::write(folder.join(file), bytes).unwrap();
    }
}

/// Loads without any server: nobody listens at port 1.
fn load(places: &Places) -> Result<Cifar2> {
    let mut archive = cifar::ARCHIVE;
    archive.file.url = "http://127.0.0.1:1/cifar-10-binary.tar.gz";
    let downloader = Downloader { progress: false, ..Downloader::default() };
    cifar2::load_from(places, &archive, &downloader, (30, 20), 5)
}

fn given(data: &Path) -> Places {
    Places { data: Some(data.into()), variable: None, cache: None }
}

#[test]
fn both_forms_of_the_data_set_are_read() {
    for (folder, all) in [(cifar::FOLDER, true), ("cifar2", false), (".", true)] {
        let home = tempfile::tempdir().unwrap();
        write_set(&home.path().join(folder), all);
        let set = load(&given(home.path())).unwrap();
        assert_eq!(set.train_images.labels(), [0, 1].repeat(5));
        assert_eq!(set.val_images.labels(), [0, 1]);
        assert_eq!((set.train.len(), set.val.len()), (10, 2));
        assert_eq!(set.images().pixels(1).unwrap()[0], 51);
        // Training image 3 is the bird of the second file.
        let (input, label) = set.train.sample(3).unwrap();
        assert_eq!(label, 1);
        for c in 0..3 {
            let expected = (11.0 / 255.0 - cifar::MEAN[c]) / cifar::STD[c];
            assert!((input[c * 1024] - expected).abs() < 1e-6);
        }
        let sentence = set.describe();
        assert!(sentence.starts_with("10 training and 2 validation images of CIFAR-2, "), "{sentence}");
        assert!(sentence.contains(&home.path().display().to_string()), "{sentence}");
    }
}

#[test]
fn a_given_directory_without_it_is_an_error_that_names_every_path() {
    let home = tempfile::tempdir().unwrap();
    let error = load(&given(home.path())).unwrap_err();
    let Error::NotFound { looked_for, .. } = &error else { panic!("{error}") };
    let expected: Vec<PathBuf> = [cifar::FOLDER, "cifar2", ""].map(|name| home.path().join(name)).into();
    assert_eq!(*looked_for, expected);
    let message = error.to_string();
    assert!(message.starts_with("CIFAR-2 not found; looked for "), "{message}");
    for path in expected {
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
    // A directory that doesn't exist is no different.
    assert!(matches!(load(&given(&home.path().join("nowhere"))), Err(Error::NotFound { .. })));
}

#[test]
fn a_set_that_is_there_but_broken_is_an_error_and_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cifar2");
    write_set(&folder, false);
    let file = folder.join("data_batch_3.bin");
    let cut = record(0, 1)[..3072].to_vec();
    std::fs::write(&file, &cut).unwrap();
    // Not even where images could be drawn instead.
    let cached = Places { data: None, variable: None, cache: Some(home.path().into()) };
    for places in [given(home.path()), cached] {
        let message = load(&places).unwrap_err().to_string();
        assert!(message.contains("data_batch_3.bin: record 0 at byte 0 is cut short"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), cut);
    }
    std::fs::remove_file(&file).unwrap();
    let message = load(&given(home.path())).unwrap_err().to_string();
    assert!(message.starts_with(&file.display().to_string()), "{message}");
}

#[test]
fn without_data_and_without_a_server_images_are_drawn() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    for cache in [Some(home.path().join("cache")), Some(file.join("below")), None] {
        let places = Places { data: None, variable: Some(home.path().into()), cache };
        let set = load(&places).unwrap();
        assert!(matches!(set.source, Source::Drawn(_)));
        assert_eq!((set.train.len(), set.val.len()), (30, 20));
        let sentence = set.describe();
        let start = "30 training and 20 validation images drawn by voxgrad itself, not CIFAR-2's photographs: CIFAR-10 could not be fetched (";
        assert!(sentence.starts_with(start), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
        // A wrong `$VOXGRAD_DATA` is not silent.
        let looked =
            format!("), and CIFAR-2 not found; looked for {}", home.path().join("cifar-10").display());
        assert!(sentence.contains(&looked), "{sentence}");
        assert_eq!(*set.train_images, *load(&places).unwrap().train_images);
    }
}

/// The real data set, where `VOXGRAD_DATA` names a directory that holds it.
#[test]
fn the_real_data_set_has_its_known_numbers() {
    let places = Places { data: None, cache: None, ..Places::new(None) };
    let set = load(&places).unwrap();
    if let Source::Drawn(_) = set.source {
        require::skip("data", "VOXGRAD_DATA names no directory with CIFAR-2");
        return;
    }
    assert_eq!((set.train.len(), set.val.len()), (10_000, 2_000));
    let birds = |images: &voxgrad_models::data::Images| images.labels().iter().filter(|&&l| l == 1).count();
    assert_eq!((birds(&set.train_images), birds(&set.val_images)), (5_000, 1_000));
    // Mean and standard deviation of the two classes' training images, worked out independently.
    let (mut sum, mut squares) = ([0.0f64; 3], [0.0f64; 3]);
    for i in 0..set.train_images.len() {
        for (c, plane) in set.train_images.pixels(i).unwrap().chunks(1024).enumerate() {
            for &byte in plane {
                let x = f64::from(byte) / 255.0;
                sum[c] += x;
                squares[c] += x * x;
            }
        }
    }
    let n = 10_000.0 * 1024.0;
    for (c, (mean, std)) in
        [(0.507453, 0.239611), (0.525903, 0.233654), (0.506476, 0.267923)].into_iter().enumerate()
    {
        let own = sum[c] / n;
        assert!((own - mean).abs() < 1e-6, "mean {own}");
        assert!(((squares[c] / n - own * own).sqrt() - std).abs() < 1e-6);
    }
}
