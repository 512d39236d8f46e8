//! LUNA lung-nodule classification: "Deep Learning with PyTorch", chapters 9 to 12.

pub mod model;
