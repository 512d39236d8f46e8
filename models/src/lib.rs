//! The course's networks, data sets, metrics and trainer.

pub mod cifar2;
pub mod data;
mod error;
pub mod luna;
pub mod metrics;
pub mod mnist;
pub mod plot;
pub mod trainer;

pub use error::{Error, Result};
