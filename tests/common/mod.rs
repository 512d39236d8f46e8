//! What the tests and the benches share: the table of cases, the devices, the comparison.
//!
//! Each test binary compiles this module for itself and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod cases;
pub mod compare;
pub mod devices;
pub mod input;
pub mod ladder;
pub mod require;

pub use cases::Case;
pub use ladder::Ladder;
pub use require::say;
