//! Reading a checkpoint that may be damaged or made to do damage.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::METADATA;
use crate::{Device, Error, Result, Shape, Tensor};

/// The tensors of a safetensors file, on the CPU and in the file's order, and its metadata.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::File`] with what is wrong when it is not a
/// checkpoint: nothing in it can cause a panic or an allocation much larger than the file.
#[expect(clippy::type_complexity, reason = "a list of names with tensors, and the metadata")]
pub fn load(path: impl AsRef<Path>) -> Result<(Vec<(String, Tensor)>, BTreeMap<String, String>)> {
    let path = path.as_ref();
    let broken = |message: String| Error::File { path: path.into(), message };
    if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
        return Err(broken("not a file".into()));
    }
    let bytes = fs::read(path).map_err(Error::io(path))?;
    let not_safetensors = |e: &dyn fmt::Display| broken(format!("not a safetensors file: {e}"));
    if let Some((header, data)) = split(&bytes) {
        let check = HeaderCheck { data: data.len() };
        serde_json::Deserializer::from_slice(header)
            .deserialize_map(check)
            .map_err(|e| not_safetensors(&e))?;
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| not_safetensors(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| not_safetensors(&e))?;
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|e| not_safetensors(&e))?;
        let tensor = read(&view).map_err(|e| broken(format!("tensor {name}: {e}")))?;
        tensors.push((name, tensor));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok((tensors, metadata.into_iter().collect()))
}

/// The tensor of a view, or why it is none of ours.
fn read(view: &TensorView<'_>) -> std::result::Result<Tensor, String> {
    let (shape, cpu) = (Shape::from(view.shape()), Device::cpu());
    let tensor = match view.dtype() {
        Dtype::F32 => Tensor::new(&elements(view, f32::from_le_bytes), shape, &cpu),
        Dtype::F64 => Tensor::new(&elements(view, f64::from_le_bytes), shape, &cpu),
        Dtype::F16 => Tensor::new(&elements(view, |x| f16::from_le_bytes(x).to_f32()), shape, &cpu),
        Dtype::BF16 => Tensor::new(&elements(view, |x| bf16::from_le_bytes(x).to_f32()), shape, &cpu),
        Dtype::U32 => Tensor::new(&elements(view, u32::from_le_bytes), shape, &cpu),
        Dtype::I64 => {
            let narrow = |x: i64| u32::try_from(x).map_err(|_| format!("{x} does not fit into a u32"));
            let all: std::result::Result<Vec<u32>, String> =
                elements(view, i64::from_le_bytes).into_iter().map(narrow).collect();
            Tensor::new(&all?, shape, &cpu)
        }
        other => return Err(format!("its type is {other}, read are F32, F64, F16, BF16, I64 and U32")),
    };
    tensor.map_err(|e| e.to_string())
}

/// The elements of a view, whose length the format's own checks have compared with its shape.
fn elements<const N: usize, T>(view: &TensorView<'_>, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = view.data().as_chunks::<N>();
    chunks.iter().map(|&bytes| decode(bytes)).collect()
}

/// The header's JSON and the data after it, if the file is long enough to hold the header.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Looks through the header for what the format's own reader lets pass: a name that comes twice,
/// of which it would hide one, and offsets so far behind the end that its sums could overflow.
struct HeaderCheck {
    data: usize,
}

impl<'de> Visitor<'de> for HeaderCheck {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a key per tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
            } else {
                let end = map.next_value::<TensorInfo>()?.data_offsets.1;
                if end > self.data {
                    let data = self.data;
                    let message = format!("tensor {name} ends at byte {end} of {data} bytes of data");
                    return Err(A::Error::custom(message));
                }
            }
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format!("the name {name} comes twice")));
            }
        }
        Ok(())
    }
}
