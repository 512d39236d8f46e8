use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::*;

/// A file as the format's description says.
fn idx(magic: u32, dims: &[u32], numbers: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(numbers);
    bytes
}

/// Two images of 2 x 3 pixels and their labels.
fn two() -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..12).collect();
    (idx(IMAGES, &[2, 2, 3], &pixels), idx(LABELS, &[2], &[7, 9]))
}

fn read_two(images: &[u8], labels: &[u8]) -> Result<Images> {
    let folder = tempfile::tempdir().unwrap();
    let (image_file, label_file) = (folder.path().join("images"), folder.path().join("labels"));
    std::fs::write(&image_file, images).unwrap();
    std::fs::write(&label_file, labels).unwrap();
    read(&image_file, &label_file, 10)
}

fn refusal(images: &[u8], labels: &[u8]) -> String {
    read_two(images, labels).unwrap_err().to_string()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(vec![], Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn plain_or_packed_is_the_same() {
    let (images, labels) = two();
    let plain = read_two(&images, &labels).unwrap();
    assert_eq!((plain.size(), plain.labels()), ([1, 2, 3], &[7, 9][..]));
    assert_eq!(plain.pixels(1).unwrap(), [6, 7, 8, 9, 10, 11]);
    assert_eq!(read_two(&packed(&images), &packed(&labels)).unwrap(), plain);
    assert_eq!(read_two(&packed(&images), &labels).unwrap(), plain);
    // The published files carry a name in gzip's head; two packed halves in a row are one file.
    let mut named = GzBuilder::new().filename("images").write(vec![], Compression::best());
    named.write_all(&images[..10]).unwrap();
    let halves = [named.finish().unwrap(), packed(&images[10..])].concat();
    assert_eq!(read_two(&halves, &labels).unwrap(), plain);
}

#[test]
fn a_wrong_magic_number_says_which_was_expected() {
    let (images, labels) = two();
    let message = refusal(&labels, &labels);
    assert!(
        message.ends_with("images: its magic number is 2049, that of labels; images begin with 2051"),
        "{message}"
    );
    let message = refusal(&images, &images);
    assert!(
        message.ends_with("labels: its magic number is 2051, that of images; labels begin with 2049"),
        "{message}"
    );
    // 4-byte floats, which the format knows too.
    let message = refusal(&idx(0x0d03, &[2, 2, 3], &[0; 48]), &labels);
    assert!(message.ends_with("images: its magic number is 3331; images begin with 2051"), "{message}");
    let message = refusal(b"", &labels);
    assert!(message.ends_with("images: it has 0 bytes, and a magic number alone is 4"), "{message}");
}

#[test]
fn what_a_head_promises_is_checked_before_memory_is_taken() {
    let (images, labels) = two();
    for dims in [[u32::MAX; 3], [1 << 31, 1 << 31, 4], [2, 1 << 20, 1 << 10]] {
        let message = refusal(&idx(IMAGES, &dims, &[0; 12]), &labels);
        assert!(message.contains(&format!("its head says {dims:?}: more than the 1073741824")), "{message}");
    }
    // The largest that is allowed, but the file is short: as much memory as there are bytes.
    let message = refusal(&idx(IMAGES, &[2, 1 << 19, 1 << 10], &[0; 12]), &labels);
    assert!(
        message.contains("says that 1073741824 numbers follow, but it ends after 12 of them"),
        "{message}"
    );
    for dims in [[0, 28, 28], [2, 0, 28], [2, 28, 0]] {
        let message = refusal(&idx(IMAGES, &dims, &[]), &labels);
        assert!(message.ends_with(&format!("its head says {dims:?}: there are no images")), "{message}");
    }
    let message = refusal(&images[..9], &labels);
    assert!(message.ends_with("images: its head is cut short after 9 of 16 bytes"), "{message}");
    let message = refusal(&images, &labels[..7]);
    assert!(message.ends_with("labels: its head is cut short after 7 of 8 bytes"), "{message}");
}

#[test]
fn a_file_that_is_cut_or_goes_on_is_named() {
    let (images, labels) = two();
    let message = refusal(&images[..27], &labels);
    let wanted = "images: its head, [2, 2, 3], says that 12 numbers follow, but it ends after 11 of them";
    assert!(message.ends_with(wanted), "{message}");
    let longer = [&images[..], &[0]].concat();
    for longer in [packed(&longer), longer] {
        assert!(refusal(&longer, &labels).ends_with("12 numbers follow, but it goes on after them"));
    }
    let gz = packed(&images);
    let message = refusal(&gz[..gz.len() - 9], &labels);
    assert!(message.contains("images: its packed bytes end too early"), "{message}");
    let mut wrong = gz.clone();
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    let message = refusal(&wrong, &labels);
    assert!(message.contains("images: it can't be unpacked: "), "{message}");
}

#[test]
fn images_and_labels_belong_together() {
    let (images, _) = two();
    let message = refusal(&images, &idx(LABELS, &[3], &[1, 2, 3]));
    assert!(
        message.contains("labels: it has 3 labels, but ") && message.ends_with("has 2 images"),
        "{message}"
    );
    let message = refusal(&images, &idx(LABELS, &[2], &[9, 10]));
    assert!(message.ends_with("labels: label 1 at byte 9 is 10, labels end at 9"), "{message}");
    let message = read(Path::new("no/such"), Path::new("file"), 10).unwrap_err().to_string();
    assert!(message.starts_with("no/such: "), "{message}");
}
