//! Scans: those of ITK, broken ones, real ones and drawn ones.

mod broken;
mod itk;
mod phantom;
mod real;
#[path = "../../../tests/common/require.rs"]
mod require;

use std::path::PathBuf;

/// A file that make.py has written. A test is run in the folder of its package.
fn file(name: &str) -> PathBuf {
    PathBuf::from("tests/luna/files").join(name)
}
