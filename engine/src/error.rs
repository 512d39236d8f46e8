//! Everything a caller or a file can get wrong at the tensor level, as values.

use std::path::{Path, PathBuf};

use crate::Shape;

/// The result of anything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A kernel or a device refused.
    #[error(transparent)]
    Kernel(#[from] voxgrad_kernels::Error),
    /// Shapes that do not fit; the message names each of them.
    #[error("{op}: {message}")]
    Shape {
        /// The op that refused.
        op: &'static str,
        /// What was given and what was expected.
        message: String,
    },
    /// A setting outside its range: a learning rate that is not a number, a batch size of zero.
    #[error("{what}: {message}")]
    Value {
        /// What was set.
        what: &'static str,
        /// The value and what is allowed.
        message: String,
    },
    /// An op of a network refused.
    #[error("{place}: {source} (the network was given {given})")]
    Layer {
        /// The dotted name of the layer, or "after" it for a function between it and the next.
        place: String,
        /// The shape of the network's input.
        given: Shape,
        /// What the op said.
        source: Box<Error>,
    },
    /// `backward` where there is nothing to walk, or a second time.
    #[error("backward: {0}")]
    Graph(String),
    /// Parameters of a file and of a model that do not fit together.
    #[error("{0}")]
    StateDict(String),
    /// Samples that cannot be loaded or do not make a batch.
    #[error("data: {0}")]
    Data(String),
    /// A file that is not what it should be; the message says where it breaks.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, with the byte or line.
        message: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Io`] about `path`, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, source }
    }
}

/// An [`Error::Shape`], for ops that check their input.
pub(crate) fn shape_error<T>(op: &'static str, message: String) -> Result<T> {
    Err(Error::Shape { op, message })
}
