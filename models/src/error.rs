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
    /// A data set that isn't where it was looked for.
    #[error("{what} not found; looked for {}", list(looked_for))]
    NotFound {
        /// The data set.
        what: &'static str,
        /// Every path that was looked for.
        looked_for: Vec<PathBuf>,
    },
    /// A file that could not be fetched.
    #[error("download of {url} failed: {message}")]
    Download {
        /// Where from.
        url: String,
        /// What happened, and what a further try will do.
        message: String,
    },
}

impl Error {
    /// An operating system's refusal about `path`, for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |e| voxgrad_engine::Error::io(path)(e).into()
    }

    /// A file that is not what it should be.
    pub(crate) fn file(path: &Path, message: String) -> Error {
        voxgrad_engine::Error::File { path: path.into(), message }.into()
    }
}

impl From<voxgrad_kernels::Error> for Error {
    fn from(e: voxgrad_kernels::Error) -> Error {
        Error::Engine(e.into())
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "it nowhere: no directory is known".to_string();
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}
