//! Elements of one type as elements of another: `y = x`, rounded to what `y` can hold.

mod cpu;

use crate::dtype::for_element;
use crate::{DType, Device, Result, Storage};

/// `x` in a new buffer of type `dtype`: floats round to the nearest; a float becomes u32 by
/// dropping its fraction, saturating at both ends, and NaN becomes 0.
pub fn convert(x: &Storage, dtype: DType) -> Result<Storage> {
    let mut y = Storage::empty(&x.device(), dtype, x.len())?;
    match x.device() {
        Device::Cuda(_) | Device::Wgpu(_) => return crate::error::no_kernel(),
        Device::Cpu => for_element!(x.dtype(), X => for_element!(dtype, Y => {
            // `as` is the conversion meant above, and exists for known types only.
            cpu::convert::<X, Y>(x.as_slice()?, y.as_mut_slice()?, |x| x as Y)
        })),
    }
    Ok(y)
}
