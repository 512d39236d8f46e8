//! LUNA lung-nodule classification: "Deep Learning with PyTorch", chapters 9 to 12.

mod csv;
pub mod ct;
pub mod geometry;
pub mod look;
pub mod metaimage;
pub mod model;
pub mod phantom;
pub mod scans;
pub mod tables;
