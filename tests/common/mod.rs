//! What the tests and the benches share: the table of cases, the devices, the comparison.
//!
//! Each test binary compiles this module for itself and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod cases;
pub mod compare;
pub mod devices;
pub mod input;
pub mod ladder;

pub use cases::Case;
pub use ladder::Ladder;

/// Prints a line that is seen even where the test harness swallows the output of a passing test.
pub fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
