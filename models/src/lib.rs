//! The networks of *Deep Learning with PyTorch*, "the book" from here on, and the data sets, metrics
//! and trainer for its lessons.

pub mod cifar10;
pub mod cifar2;
pub mod curves;
pub mod data;
mod error;
pub mod keras;
pub mod lab;
pub mod losses;
pub mod luna;
pub mod metrics;
pub mod mnist;
mod option;
pub mod penalty;
pub mod plot;
pub mod tensorboard;
pub mod thoracic;
pub mod trainer;
pub mod vgg;

pub use error::{Error, Result};
