//! Everything that can go wrong between a command line and a trained network.

/// The result of anything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor, a file or a device refused.
    #[error(transparent)]
    Engine(#[from] voxgrad_engine::Error),
}
