//! Checkpoints in PyTorch's own format: real ones, and ones made to do damage.

mod allocations;
mod archives;
mod hostile_archives;
mod hostile_pickles;
mod real;

use std::io::{Seek, Write};
use std::path::PathBuf;

use tempfile::NamedTempFile;
use voxgrad_engine::checkpoint::{self, Checkpoint};

/// A file that make.py has written. A test is run in the folder of its package.
fn file(name: &str) -> PathBuf {
    PathBuf::from("tests/pytorch/files").join(name)
}

/// Reads these bytes as a file, and checks that no buffer was asked for that is much larger.
fn read_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
    thread_local! {
        /// One for thousands of reads: a new file each time would take longer than all the rest.
        static FILE: NamedTempFile = NamedTempFile::new().unwrap();
    }
    let read = FILE.with(|file| {
        file.as_file().set_len(bytes.len() as u64).unwrap();
        file.as_file().rewind().unwrap();
        file.as_file().write_all(bytes).unwrap();
        allocations::forget();
        checkpoint::read(file.path()).map_err(|e| e.to_string())
    });
    let (largest, allowed) = (allocations::largest(), 64 * bytes.len() + (1 << 16));
    assert!(largest <= allowed, "a buffer of {largest} bytes for a file of {}", bytes.len());
    read
}

/// The file is refused, and the message says all this.
#[track_caller]
fn refuses(bytes: &[u8], parts: &[&str]) {
    let message = read_bytes(bytes).expect_err("the file was read");
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}
