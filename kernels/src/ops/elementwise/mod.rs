//! Ops that treat every element alike.

use crate::dtype::for_float;
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
    match x.device() {
        Device::Cpu => for_float!("add_assign", x.dtype(), T => {
            x.as_mut_slice::<T>()?.iter_mut().zip(y.as_slice::<T>()?).for_each(|(x, y)| *x += *y)
        }),
    }
    Ok(())
}
