//! Everything a caller, a file or a device can get wrong, as values.

use crate::{DType, Device};

/// The result of anything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong below the tensor level.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Sizes that do not fit the op; the message names every shape and what was expected.
    #[error("{op}: {message}")]
    Shape {
        /// The op that refused.
        op: &'static str,
        /// What was given and what was expected.
        message: String,
    },
    /// A value no op can work with: a class index out of range, a probability above 1.
    #[error("{op}: {message}")]
    Value {
        /// The op that refused.
        op: &'static str,
        /// The value, where it stands, and what is allowed.
        message: String,
    },
    /// An element type this op does not take.
    #[error("{op}: expected {expected}, got {got}; convert it with `.to_dtype(..)`")]
    DType {
        /// The op that refused.
        op: &'static str,
        /// What the op takes.
        expected: String,
        /// What it was given.
        got: DType,
    },
    /// Two buffers of one op with elements of two types.
    #[error("{op}: one tensor is {left}, another {right}; convert one with `.to_dtype(..)`")]
    DTypeMismatch {
        /// The op that refused.
        op: &'static str,
        /// The type of the first buffer.
        left: DType,
        /// The type of the other.
        right: DType,
    },
    /// Two buffers of one op on two devices.
    #[error("{op}: one tensor is on {left}, another on {right}; move one with `.to(&device)`")]
    DeviceMismatch {
        /// The op that refused.
        op: &'static str,
        /// The device of the first buffer.
        left: Device,
        /// The device of the other.
        right: Device,
    },
    /// A device that cannot be opened here.
    #[error("device {name} cannot be used: {reason}")]
    DeviceUnavailable {
        /// The name that was asked for.
        name: String,
        /// Why not, and what would help.
        reason: String,
    },
    /// An allocation that failed.
    #[error("out of memory on {device}: {}, {in_use} bytes in use", amount(*asked))]
    OutOfMemory {
        /// Where.
        device: Device,
        /// Bytes asked for; 0 where the driver wanted them for itself (a kernel, a graph) and does not say.
        asked: u64,
        /// Bytes held by live buffers when it failed.
        in_use: u64,
    },
    /// A buffer that no kernel of the device could use, however much memory is free.
    #[error("{asked} bytes in one buffer are more than {device} can bind, {most}")]
    BufferTooLarge {
        /// Where.
        device: Device,
        /// Bytes asked for.
        asked: u64,
        /// The most it can bind.
        most: u64,
    },
    /// A kernel that cannot be compiled or launched.
    #[error("kernel {kernel}: {message}")]
    Kernel {
        /// Its entry point.
        kernel: String,
        /// What the compiler or the driver said.
        message: String,
    },
    /// A device that is gone: it crashed, hung, or was taken away. Nothing on it can be read.
    #[error("device {device} was lost: {message}")]
    DeviceLost {
        /// Which one.
        device: String,
        /// What the driver said.
        message: String,
    },
}

/// What was asked for, in words.
fn amount(asked: u64) -> String {
    match asked {
        0 => "the driver itself needed some".into(),
        asked => format!("{asked} bytes asked for"),
    }
}

/// An [`Error::Shape`], for the host functions that check sizes.
pub(crate) fn shape_error<T>(op: &'static str, message: String) -> Result<T> {
    Err(Error::Shape { op, message })
}
