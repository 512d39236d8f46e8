//! Elements of one type as elements of another: `y = x`, rounded to what `y` can hold.

mod cpu;

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source};
use crate::dtype::for_element;
use crate::{DType, Device, Result, Storage};

pub(crate) static SOURCE: Source = source!("convert": "../elementwise/math", "convert");
static TO_FLOAT: Kernel = Kernel::new(&SOURCE, "u32_to_f32");
static TO_WHOLE: Kernel = Kernel::new(&SOURCE, "f32_to_u32");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Convert {
    n: u32,
}

/// `x` in a new buffer of type `dtype`: floats round to the nearest; a float becomes u32 by
/// dropping its fraction, saturating at both ends, and NaN becomes 0.
pub fn convert(x: &Storage, dtype: DType) -> Result<Storage> {
    let mut y = Storage::empty(&x.device(), dtype, x.len())?;
    match x.device() {
        Device::Cpu => for_element!("convert", x.dtype(), X => for_element!(dtype, Y => {
            // `as` is the conversion meant above, and exists for known types only.
            cpu::convert::<X, Y>(x.as_slice()?, y.as_mut_slice()?, |x| x as Y)
        })),
        _ if x.dtype() == dtype => return x.copy(),
        gpu => {
            // No other type exists on a GPU.
            let kernel = if dtype == DType::F32 { &TO_FLOAT } else { &TO_WHOLE };
            let p = Convert { n: x.len() as u32 };
            gpu.launch(kernel, Grid::threads(x.len()), &p, &[x], &mut [&mut y])?
        }
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::gpus;

    #[test]
    fn a_gpu_converts_as_the_cpu_does() {
        for gpu in gpus() {
            let floats = [
                0.0,
                -0.0,
                0.99,
                1.0,
                1.5,
                -0.5,
                -3.0,
                1e9,
                4_294_967_040.0,
                4_294_967_296.0,
                1e20,
                -1e20,
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                1e-40,
            ];
            let words = [0, 1, 16_777_215, 16_777_216, 0x8000_0000, 0xFFFF_FF00, u32::MAX];
            let whole = |device: &Device| {
                convert(&Storage::from_slice(device, &floats).unwrap(), DType::U32)
                    .unwrap()
                    .to_vec::<u32>()
                    .unwrap()
            };
            assert_eq!(whole(&gpu), whole(&Device::Cpu));
            let float = |device: &Device| {
                convert(&Storage::from_slice(device, &words).unwrap(), DType::F32)
                    .unwrap()
                    .to_vec::<f32>()
                    .unwrap()
            };
            assert_eq!(float(&gpu), float(&Device::Cpu));
            let x = Storage::from_slice(&gpu, &words).unwrap();
            assert_eq!(convert(&x, DType::U32).unwrap().to_vec::<u32>().unwrap(), words);
            let message = convert(&x, DType::F64).unwrap_err().to_string();
            assert!(message.contains("f64"), "{message}");
        }
    }
}
