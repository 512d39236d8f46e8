//! What is alike in checking the numbers of all lessons' command lines.

use crate::{Error, Result};

/// # Errors
/// [`Error::Usage`] when `value`, that of `option`, is 0.
pub(crate) fn at_least_one(option: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::Usage(format!("{option} 0: it must be a whole number from 1 up"))),
        _ => Ok(()),
    }
}

/// # Errors
/// [`Error::Usage`] when `value`, that of `option`, is 0, below it, infinite or no number.
pub(crate) fn above_zero(option: &str, value: f64) -> Result<()> {
    match value.is_finite() && value > 0.0 {
        false => Err(Error::Usage(format!("{option} {value}: it must be a finite number above 0"))),
        true => Ok(()),
    }
}
