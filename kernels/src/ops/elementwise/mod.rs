//! Ops that treat every element alike: functions of one element, arithmetic on two with
//! broadcasting, filling, and adding up in place.

mod binary;
pub(crate) mod cpu;
pub(crate) mod math;
#[cfg(test)]
mod tests;
mod unary;

#[cfg(test)]
pub(crate) use binary::SOURCE as BINARY_SOURCE;
pub use binary::{Binary, Broadcast, Side, binary, binary_backward};
#[cfg(test)]
pub(crate) use unary::SOURCE as UNARY_SOURCE;
pub use unary::{
    Saved, UNARY_RUNGS, Unary, unary, unary_backward, unary_backward_in_place, unary_backward_rung,
    unary_rung,
};
pub(crate) use unary::{backward_in_place, in_place};

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{DType, Device, Float, Result, Storage};

pub(crate) static SOURCE: Source = source!("elementwise": "elementwise");
static FILL: Kernel = Kernel::new(&SOURCE, "fill");
static ADD_ASSIGN: Kernel = Kernel::new(&SOURCE, "add_assign");

/// What the GPU's `fill` is told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Fill {
    n: u32,
    bits: u32,
}

/// What the GPU's `add_assign` is told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct AddAssign {
    n: u32,
}

/// Writes `value` to every element.
pub fn fill(x: &mut Storage, value: f64) -> Result<()> {
    match x.device() {
        Device::Cpu => for_float!("fill", x.dtype(), T => x.as_mut_slice::<T>()?.fill(T::of(value))),
        _ if x.dtype() != DType::F32 => return crate::dtype::not_a_float("fill", x.dtype()),
        gpu => fill_words(&gpu, x, (value as f32).to_bits())?,
    }
    Ok(())
}

/// Zeros in a buffer on a GPU, whatever the type of its elements: all have zeros of zero bits.
pub(crate) fn clear(x: &mut Storage) -> Result<()> {
    fill_words(&x.device(), x, 0)
}

/// NaN in every element of a buffer on a GPU, which is a number that is no label either.
pub(crate) fn poison(x: &mut Storage) -> Result<()> {
    fill_words(&x.device(), x, f32::NAN.to_bits())?;
    x.device().count_poisoning();
    Ok(())
}

fn fill_words(gpu: &Device, x: &mut Storage, bits: u32) -> Result<()> {
    let p = Fill { n: x.len() as u32, bits };
    gpu.launch(&FILL, Grid::threads(x.len()), &p, &[], &mut [x])
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
        gpu => {
            let p = AddAssign { n: x.len() as u32 };
            gpu.launch(&ADD_ASSIGN, Grid::threads(x.len()), &p, &[y], &mut [x])?
        }
    }
    Ok(())
}
