//! The binary form of CIFAR-10: records of one label byte and 3 x 32 x 32 pixel bytes, without any
//! header, in six files.
//!
//! Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

use std::path::Path;

use super::archive::Archive;
use super::download::{Downloader, RemoteFile};
use super::{Images, Places, Source};
use crate::{Error, Result};

/// Channels, rows, columns.
pub const SIZE: [usize; 3] = [3, 32, 32];
/// Bytes of a record: the label, then a plane each of red, green and blue.
pub const RECORD: usize = 1 + 3 * 32 * 32;
/// The classes, in the order of their labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// The folder inside the official archive.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// Where the data set is published.
pub const ARCHIVE: Archive<'static> = Archive {
    name: "cifar-10-binary.tar.gz",
    file: RemoteFile {
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        bytes: 170_052_171,
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
    },
    folder: FOLDER,
    files: &FILES,
};
/// All files of the data set.
pub const FILES: [&str; 6] = [TRAIN[0], TRAIN[1], TRAIN[2], TRAIN[3], TRAIN[4], TEST[0]];
/// The training files, in order.
pub const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The test files.
pub const TEST: [&str; 1] = ["test_batch.bin"];
/// Mean of the training set per channel, pixels in 0..1, as the book rounds it.
pub const MEAN: [f32; 3] = [0.4915, 0.4823, 0.4468];
/// Standard deviation of the training set per channel, pixels in 0..1, as the book rounds it.
pub const STD: [f32; 3] = [0.2470, 0.2435, 0.2616];

/// Where CIFAR-10's files are, in one of `folders`: in `places`, else in the cache directory after a
/// download; or why they can't be had. `what` names what is looked for.
///
/// # Errors
/// When a directory is given and they are not there, with every path that was looked for.
pub fn find(
    what: &'static str,
    folders: &[&str],
    places: &Places,
    archive: &Archive<'_>,
    downloader: &Downloader,
) -> Result<Source> {
    let not_found = match places.find(what, folders, &FILES) {
        Ok(folder) => return Ok(Source::Files(folder)),
        Err(error) if places.data.is_some() => return Err(error),
        Err(error) => error,
    };
    let installed = match &places.cache {
        Some(cache) => archive.install(cache, downloader),
        None => Err(Error::Download {
            url: archive.file.url.into(),
            message: "this user has no cache directory to put it into".into(),
        }),
    };
    Ok(match installed {
        Ok(folder) => Source::Files(folder),
        Err(error) => Source::Drawn(format!("CIFAR-10 could not be fetched ({error}), and {not_found}")),
    })
}

/// The images in `files` of `folder` whose label is one of `classes`, relabelled by its place
/// there: with `&[0, 2]` airplanes become 0 and birds become 1.
///
/// # Errors
/// A file that is missing, empty, cut in the middle of a record or has a label above 9, with the
/// record and the byte; files without a single image of these classes.
pub fn read(folder: &Path, files: &[&str], classes: &[u8]) -> Result<Images> {
    let (mut pixels, mut labels) = (vec![], vec![]);
    for file in files {
        let path = folder.join(file);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        read_records(&bytes, classes, &mut pixels, &mut labels)
            .map_err(|message| Error::file(&path, message))?;
    }
    if labels.is_empty() {
        let names: Vec<&str> = classes.iter().filter_map(|&c| CLASSES.get(c as usize).copied()).collect();
        let message = format!("no image of the classes {names:?} in {files:?}");
        return Err(Error::file(folder, message));
    }
    Ok(Images::new(pixels, SIZE, labels)?)
}

/// Appends the records of one file; the error is a message without the file's name.
fn read_records(
    bytes: &[u8],
    classes: &[u8],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> std::result::Result<(), String> {
    if bytes.is_empty() {
        return Err(format!("the file is empty, at least one record of {RECORD} bytes is needed"));
    }
    for (n, record) in bytes.chunks(RECORD).enumerate() {
        let start = n * RECORD;
        if record.len() < RECORD {
            return Err(format!(
                "record {n} at byte {start} is cut short: the file ends after {} of its {RECORD} bytes",
                record.len()
            ));
        }
        let label = record[0];
        if label as usize >= CLASSES.len() {
            return Err(format!("record {n} at byte {start} has the label {label}, labels end at 9"));
        }
        if let Some(class) = classes.iter().position(|&class| class == label) {
            labels.push(class as u32);
            pixels.extend_from_slice(&record[1..]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8, pixel: u8) -> Vec<u8> {
        let mut record = vec![pixel; RECORD];
        record[0] = label;
        record
    }

    fn read_one(bytes: &[u8]) -> Result<Images> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.bin"), bytes).unwrap();
        read(folder.path(), &["x.bin"], &[0, 2])
    }

    #[test]
    fn keeps_the_classes_asked_for_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let first = [record(2, 10), record(5, 20), record(0, 30)].concat();
        std::fs::write(folder.path().join("1.bin"), first).unwrap();
        std::fs::write(folder.path().join("2.bin"), record(2, 40)).unwrap();
        let images = read(folder.path(), &["1.bin", "2.bin"], &[0, 2]).unwrap();
        assert_eq!(images.labels(), [1, 0, 1]);
        assert_eq!(images.size(), SIZE);
        for (i, pixel) in [10, 30, 40].into_iter().enumerate() {
            assert_eq!(images.pixels(i).unwrap(), [pixel; 3072]);
        }
        let all = read(folder.path(), &["1.bin"], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        assert_eq!(all.labels(), [2, 5, 0]);
    }

    #[test]
    fn a_broken_file_is_named_with_record_and_byte() {
        let cut = [record(0, 1), record(2, 1)[..100].to_vec()].concat();
        let message = read_one(&cut).unwrap_err().to_string();
        assert!(message.contains("x.bin: record 1 at byte 3073 is cut short"), "{message}");
        assert!(message.contains("after 100 of its 3073 bytes"), "{message}");

        let message = read_one(&[record(9, 1), record(10, 1)].concat()).unwrap_err().to_string();
        assert!(
            message.ends_with("x.bin: record 1 at byte 3073 has the label 10, labels end at 9"),
            "{message}"
        );

        let message = read_one(&[]).unwrap_err().to_string();
        assert!(message.contains("x.bin: the file is empty"), "{message}");

        let message = read_one(&record(5, 1)).unwrap_err().to_string();
        assert!(message.contains("no image of the classes [\"airplane\", \"bird\"]"), "{message}");

        let message = read(Path::new("nowhere"), &["x.bin"], &[0]).unwrap_err().to_string();
        assert!(message.starts_with("nowhere/x.bin: "), "{message}");
    }
}
