//! Everything that can go wrong between a command line and a trained network.

use std::path::{Path, PathBuf};

/// The result of anything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor, a file or a device refused.
    #[error(transparent)]
    Engine(#[from] voxgrad_engine::Error),
    /// A setting that is not allowed; the message says what is.
    #[error("{0}")]
    Usage(String),
    /// A run that can't be started, or can't go on.
    #[error("{0}")]
    Run(String),
    /// A picture that can't be drawn.
    #[error("{}: {message}", path.display())]
    Plot {
        /// The picture's file.
        path: PathBuf,
        /// What the drawing library said.
        message: String,
    },
}

impl Error {
    /// An operating system's refusal about `path`, for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |e| voxgrad_engine::Error::io(path)(e).into()
    }
}

impl From<voxgrad_kernels::Error> for Error {
    fn from(e: voxgrad_kernels::Error) -> Error {
        Error::Engine(e.into())
    }
}
