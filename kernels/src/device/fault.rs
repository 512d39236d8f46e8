//! What only the data on a GPU can show to be wrong.
//!
//! The CPU kernels look at every label before they use it. On a GPU that look would mean waiting
//! for the device in every training step. Instead the kernel notes the first bad place in a small
//! table on the device, gives NaN there, and goes on; whoever next reads anything from the device,
//! or synchronises with it, gets the error.
//!
//! A kernel that checks declares `faults`, an array of atomic u32 words, as its last buffer, and
//! writes `atomicMin(&faults[slot], place)`. The smallest place wins, in whatever order threads run.

use crate::Error;

/// What a place holds while nothing is wrong.
pub const NONE: u32 = u32::MAX;

/// One thing that a kernel can find wrong: its slot in the table is its position here.
pub struct Fault {
    /// The op that found it.
    pub op: &'static str,
    /// What is wrong, before and after the number of the place.
    pub message: [&'static str; 2],
}

/// All of them. The numbers of the slots stand in the shaders too.
pub const FAULTS: [Fault; 4] = [
    Fault {
        op: "cross_entropy",
        message: ["label number ", " of the batch is not below the number of classes"],
    },
    Fault { op: "nll_loss", message: ["label number ", " of the batch is not below the number of classes"] },
    Fault { op: "index_select", message: ["the index at position ", " is not below the dimension's size"] },
    Fault { op: "binary_cross_entropy", message: ["element ", " of the input must be in 0..=1"] },
];

/// Bytes of the table.
pub const BYTES: u64 = 4 * FAULTS.len() as u64;

/// The first fault in a table read from the device, and its slot.
pub fn first(table: &[u32]) -> Option<(usize, Error)> {
    let slot = table.iter().position(|place| *place != NONE)?;
    let (Fault { op, message: [before, after] }, place) = (&FAULTS[slot], table[slot]);
    Some((slot, Error::Value { op, message: format!("{before}{place}{after}") }))
}
