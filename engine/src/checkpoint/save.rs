//! Writing a checkpoint.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use voxgrad_kernels::DType;

use super::METADATA;
use super::atomic::replace;
use crate::{Error, Result, Tensor};

/// Writes `tensors` and `metadata` to `path` as safetensors.
///
/// They go to a temporary file beside it, which takes its name only when everything is on disk: a
/// full disk or a power cut leaves the file that was there before. The same tensors and metadata
/// give the same bytes.
///
/// # Errors
/// [`Error::Io`] names the path; [`Error::File`] when a name comes twice.
pub fn save(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    let mut names = HashSet::new();
    if let Some((name, _)) = tensors.iter().find(|(name, _)| name == METADATA || !names.insert(name)) {
        let message = format!("not written: the name {name} is taken");
        return Err(Error::File { path: path.into(), message });
    }
    // Wider elements first, so that everything stays aligned.
    let mut sorted: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    sorted.sort_by_key(|&(name, tensor)| (std::cmp::Reverse(dtype(tensor)), name));

    replace(path, |out| {
        out.write_all(&header(&sorted, metadata)).map_err(Error::io(path))?;
        sorted.iter().try_for_each(|(_, tensor)| write(out, tensor)?.map_err(Error::io(path)))
    })
}

/// How the elements of `tensor` are stored.
fn dtype(tensor: &Tensor) -> Dtype {
    match tensor.dtype() {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::U32 => Dtype::I64,
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Tensor(TensorInfo),
    Metadata(&'a BTreeMap<String, String>),
}

/// The length of the header, then the header, which spaces fill up to a multiple of eight bytes.
fn header(tensors: &[(&str, &Tensor)], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut entries = BTreeMap::new();
    if !metadata.is_empty() {
        entries.insert(METADATA, Entry::Metadata(metadata));
    }
    let mut start = 0;
    for &(name, tensor) in tensors {
        let dtype = dtype(tensor);
        let data_offsets = (start, start + tensor.numel() * dtype.bitsize() / 8);
        start = data_offsets.1;
        let info = TensorInfo { dtype, shape: tensor.shape().to_vec(), data_offsets };
        entries.insert(name, Entry::Tensor(info));
    }
    let mut json = serde_json::to_vec(&entries).expect("strings and numbers are JSON");
    json.resize(json.len().next_multiple_of(8), b' ');
    [&(json.len() as u64).to_le_bytes(), json.as_slice()].concat()
}

/// Writes the elements of `tensor`. The outer result is the device's, the inner one the file's.
fn write(out: &mut impl Write, tensor: &Tensor) -> Result<io::Result<()>> {
    Ok(match tensor.dtype() {
        DType::F32 => tensor.to_vec::<f32>()?.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        DType::F64 => tensor.to_vec::<f64>()?.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        DType::U32 => {
            tensor.to_vec::<u32>()?.iter().try_for_each(|&x| out.write_all(&i64::from(x).to_le_bytes()))
        }
    })
}
