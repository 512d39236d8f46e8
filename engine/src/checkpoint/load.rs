//! Reading a checkpoint, whichever of the two formats it has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use super::{from_safetensors, torch, visible};
use crate::{Error, Result, Tensor};

/// As many characters of what is wrong with a file are shown.
const MESSAGE: usize = 600;

/// What a checkpoint file holds.
#[derive(Debug)]
pub struct Checkpoint {
    /// `safetensors` or `PyTorch`.
    pub format: &'static str,
    /// The tensors, in the file's order.
    pub entries: Vec<Entry>,
    /// What the file says about them: the metadata of a safetensors file, the numbers and texts
    /// beside the tensors of a PyTorch file.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor of a checkpoint file.
#[derive(Debug)]
pub struct Entry {
    /// Its dotted name.
    pub name: String,
    /// The type of its elements in the file, in safetensors' words: `F16`.
    pub stored_as: String,
    /// The tensor, on the CPU, of a type that holds all those elements.
    pub tensor: Tensor,
}

/// Reads a safetensors file or a state dict that PyTorch has written, told apart by their first bytes.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::File`] with what is wrong when it is not a
/// checkpoint: nothing in it can run code, cause a panic, or take more memory than a fixed multiple of the
/// size of the file.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    // A file chooses some of the words.
    let broken = |message: String| Error::File { path: path.into(), message: visible(&message, MESSAGE) };
    if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
        return Err(broken("not a file".into()));
    }
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut first_bytes = Vec::new();
    (&mut file).take(torch::FIRST_BYTES as u64).read_to_end(&mut first_bytes).map_err(Error::io(path))?;
    let read = match torch::is_torch(&first_bytes) {
        true => torch::read(BufReader::new(file), &first_bytes),
        false => from_safetensors::read(&fs::read(path).map_err(Error::io(path))?),
    };
    read.map_err(broken)
}

/// The tensors of a checkpoint, on the CPU and in the file's order, and its metadata: [`read`]
/// without what else a file says.
///
/// # Errors
/// As [`read`].
#[expect(clippy::type_complexity, reason = "a list of names with tensors, and the metadata")]
pub fn load(path: impl AsRef<Path>) -> Result<(Vec<(String, Tensor)>, BTreeMap<String, String>)> {
    let Checkpoint { entries, metadata, .. } = read(path)?;
    Ok((entries.into_iter().map(|entry| (entry.name, entry.tensor)).collect(), metadata))
}
