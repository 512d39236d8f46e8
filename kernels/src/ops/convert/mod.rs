//! Elements of one type as elements of another: `y = x`, rounded to what `y` can hold.

use crate::dtype::for_element;
use crate::{DType, Device, Result, Storage};

/// `x` in a new buffer of type `dtype`.
pub fn convert(x: &Storage, dtype: DType) -> Result<Storage> {
    let mut y = Storage::empty(&x.device(), dtype, x.len())?;
    match x.device() {
        Device::Cpu => for_element!(x.dtype(), X => for_element!(dtype, Y => {
            let x = x.as_slice::<X>()?;
            // `as` rounds floats to the nearest and saturates at the ends of u32.
            y.as_mut_slice::<Y>()?.iter_mut().zip(x).for_each(|(y, &x)| *y = x as Y)
        })),
    }
    Ok(y)
}
