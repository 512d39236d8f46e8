//! From the bytes of a file to the elements of a tensor.

use half::{bf16, f16};
use safetensors::tensor::Dtype;
use voxgrad_kernels::Element;

use crate::{Device, Shape, Tensor};

/// A tensor of `shape` on the CPU from its elements, little-endian and row-major, or why it can't be:
/// half precision becomes f32, whole numbers and booleans become u32.
pub(super) fn tensor(dtype: Dtype, data: &[u8], shape: Shape) -> Result<Tensor, String> {
    match dtype {
        Dtype::F32 => new(elements(data, f32::from_le_bytes), shape),
        Dtype::F64 => new(elements(data, f64::from_le_bytes), shape),
        Dtype::F16 => new(elements(data, |x| f16::from_le_bytes(x).to_f32()), shape),
        Dtype::BF16 => new(elements(data, |x| bf16::from_le_bytes(x).to_f32()), shape),
        Dtype::BOOL => new(elements(data, |[x]| u32::from(x != 0)), shape),
        Dtype::U8 => counts(elements(data, u8::from_le_bytes), shape),
        Dtype::I8 => counts(elements(data, i8::from_le_bytes), shape),
        Dtype::U16 => counts(elements(data, u16::from_le_bytes), shape),
        Dtype::I16 => counts(elements(data, i16::from_le_bytes), shape),
        Dtype::U32 => counts(elements(data, u32::from_le_bytes), shape),
        Dtype::I32 => counts(elements(data, i32::from_le_bytes), shape),
        Dtype::U64 => counts(elements(data, u64::from_le_bytes), shape),
        Dtype::I64 => counts(elements(data, i64::from_le_bytes), shape),
        other => {
            let read = "F64, F32, F16, BF16, BOOL and whole numbers of up to 64 bits";
            Err(format!("its type is {other}, read are {read}"))
        }
    }
}

fn elements<const N: usize, T>(data: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|&bytes| decode(bytes)).collect()
}

/// Counts, labels and indices.
fn counts<T: TryInto<u32> + Copy + ToString>(values: Vec<T>, shape: Shape) -> Result<Tensor, String> {
    let narrow = |x: T| x.try_into().map_err(|_| format!("{} does not fit into a u32", x.to_string()));
    new(values.into_iter().map(narrow).collect::<Result<Vec<u32>, String>>()?, shape)
}

fn new<T: Element>(values: Vec<T>, shape: Shape) -> Result<Tensor, String> {
    Tensor::new(&values, shape, &Device::cpu()).map_err(|e| e.to_string())
}
