//! MNIST digits.

pub mod net;
