//! Data sets: found on this machine, downloaded once, or drawn by the project itself.

pub mod archive;
pub mod cifar;
pub mod cifar2;
pub mod download;
pub mod drawn;
mod images;
mod places;

pub use images::Images;
pub use places::Places;
