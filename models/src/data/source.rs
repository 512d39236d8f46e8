//! Where a data set's samples come from.

use std::path::PathBuf;

/// Real ones from files, or made by the project where these cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The published data set's files in this folder.
    Files(PathBuf),
    /// Drawn by this project, for this reason.
    Drawn(String),
}
