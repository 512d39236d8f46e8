//! Ops that treat every element alike: functions of one element, arithmetic on two with
//! broadcasting, filling, and adding up in place.

mod binary;
pub(crate) mod cpu;
pub(crate) mod math;
mod unary;

pub use binary::{Binary, Broadcast, Side, binary, binary_backward};
pub use unary::{Saved, UNARY_RUNGS, Unary, unary, unary_backward, unary_backward_rung, unary_rung};

use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Float, Result, Storage};

/// Writes `value` to every element.
pub fn fill(x: &mut Storage, value: f64) -> Result<()> {
    match x.device() {
        Device::Cpu => for_float!("fill", x.dtype(), T => x.as_mut_slice::<T>()?.fill(T::of(value))),
    }
    Ok(())
}

/// `x += y`, of equal sizes: how gradients accumulate.
pub fn add_assign(x: &mut Storage, y: &Storage) -> Result<()> {
    same_device_and_dtype("add_assign", &[x, y])?;
    if x.len() != y.len() {
        return shape_error("add_assign", format!("{} elements += {} elements", x.len(), y.len()));
    }
    match x.device() {
        Device::Cpu => for_float!("add_assign", x.dtype(), T => {
            cpu::add_assign::<T>(x.as_mut_slice()?, y.as_slice()?)
        }),
    }
    Ok(())
}
