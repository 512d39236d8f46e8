//! LUNA lung-nodule classification: "Deep Learning with PyTorch", chapters 9 to 12.
//!
//! Scans ([`metaimage`], [`ct`], [`geometry`]) and their tables ([`tables`]) make a folder of data
//! ([`scans`]); where there is none, the project draws one ([`phantom`], [`find`]). Candidates become samples
//! ([`dataset`]): crops of scans ([`crops`]), kept on disk ([`crop_cache`]), changed at random
//! ([`augment`]). The network ([`model`]) is trained on them ([`train()`]), watched ([`watch`], [`scores`])
//! and asked ([`ask`]).

pub mod ask;
pub mod augment;
pub mod crop_cache;
pub mod crops;
mod csv;
pub mod ct;
pub mod dataset;
pub mod estimate;
pub mod find;
pub mod geometry;
pub mod look;
pub mod metaimage;
pub mod model;
pub mod phantom;
pub mod scans;
pub mod scores;
mod settings;
pub mod tables;
#[cfg(test)]
mod tests;
mod train;
pub mod watch;

pub use find::{DrawSettings, draw, prep_cache};
pub use settings::{Augment, CacheSettings, Init, ScanSettings, Settings, Training};
pub use train::train;
