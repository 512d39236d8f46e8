//! What the tests, the benches and the kernel lab share: the table of cases, the devices, the comparison.
//!
//! Each test binary compiles this module for itself and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod cases;
pub mod compare;
pub mod devices;
pub mod input;
pub mod ladder;
pub mod require;
pub mod source;

pub use cases::Case;
pub use ladder::Ladder;
pub use require::say;
