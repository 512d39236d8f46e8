//! Data sets: found on this machine, downloaded once, or drawn by the project itself.

pub mod archive;
pub mod cifar;
pub mod cifar10;
pub mod cifar2;
pub(crate) mod csv;
pub mod download;
pub mod drawn;
pub mod idx;
mod images;
pub mod mirrors;
pub mod mnist;
mod places;
mod source;

pub use images::{Images, fingerprint};
pub use places::Places;
pub use source::Source;
