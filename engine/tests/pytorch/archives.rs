//! Archives and pickles, put together byte by byte.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A zip archive of these files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The files of a checkpoint with this program and one storage, "0".
pub fn checkpoint(program: &[u8], storage: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", program, b"."].concat();
    archive(&[("net/data.pkl", &pickle), ("net/byteorder", b"little"), ("net/data/0", storage)])
}

/// Pushes a text.
pub fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// Pushes a number.
pub fn number(n: i64) -> Vec<u8> {
    [b"\x8a\x08", &n.to_le_bytes()[..]].concat()
}

/// Pushes a tuple of numbers.
pub fn numbers(all: &[i64]) -> Vec<u8> {
    [b"(", &all.iter().flat_map(|&n| number(n)).collect::<Vec<u8>>()[..], b"t"].concat()
}

/// Pushes a tensor of f32.
pub struct View<'a> {
    pub key: &'a str,
    pub len: i64,
    pub offset: i64,
    pub size: &'a [i64],
    pub stride: &'a [i64],
}

impl View<'_> {
    pub fn push(&self) -> Vec<u8> {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            &text("storage")[..],
            b"ctorch\nFloatStorage\n",
            &text(self.key),
            // Where it was saved from does not matter.
            &text("cuda:3"),
            &number(self.len),
            b"tQ",
            &number(self.offset),
            &numbers(self.size),
            &numbers(self.stride),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
        .concat()
    }
}

/// Pushes a dict with one entry.
pub fn dict(key: &str, value: &[u8]) -> Vec<u8> {
    [b"}", &text(key)[..], value, b"s"].concat()
}
