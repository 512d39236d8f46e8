//! Reading what `torch.save(model.state_dict(), "net.pt")` has written (PyTorch 1.6 or newer).
//!
//! ```text
//! net/data.pkl      a pickle, the program that builds the dict      archive.rs, program.rs, unpickle.rs
//!                   what its values may be, what it may ask for     objects.rs, globals.rs
//! net/data/0, ..    the elements of each storage                    tensors.rs
//! net/byteorder     "little"
//! ```
//! A tensor is a view of a storage: an offset, sizes and strides. Several may share one storage.
//! Dicts in the dict are read too, `{"model": {"fc.weight": ..}, "epoch": 3}` as `model.fc.weight` with
//! the metadata `epoch`: entries.rs.

mod archive;
mod entries;
mod globals;
mod objects;
mod opcodes;
mod program;
mod tensors;
mod unpickle;

use archive::Archive;
use tensors::Tensors;

use super::{Checkpoint, Entry, elements};

/// Whether `bytes` begin like a file of `torch.save`.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || is_old(bytes)
}

/// Before PyTorch 1.6 a file was several pickles, the first of them this number.
fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
}

/// The tensors of a state dict in its order, or what is wrong with the file.
pub(super) fn read(bytes: &[u8]) -> Result<Checkpoint, String> {
    if is_old(bytes) {
        return Err("it has the form that PyTorch had before version 1.6; \
                    load it there and save it again with a newer one"
            .into());
    }
    let mut budget = Budget::new(bytes.len());
    let mut archive = Archive::open(bytes)?;
    let pickle = archive.pickle()?;
    let (objects, root) = unpickle::unpickle(&pickle)?;
    let (named, metadata) = entries::list(&objects, root, &mut budget)?;
    let mut tensors = Tensors::new(&mut archive, &mut budget);
    let mut entries = Vec::new();
    for (name, view) in named {
        let tensor = tensors.read(view).map_err(|e| format!("tensor {name:?}: {e}"))?;
        entries.push(Entry { name, stored_as: view.storage.dtype.to_string(), tensor });
    }
    Ok(Checkpoint { format: "PyTorch", entries, metadata })
}

/// How many bytes may still be made of the file. A few bytes of a pickle can ask for a billion elements,
/// by strides of 0 or by naming the same list again and again.
struct Budget {
    file: usize,
    left: usize,
}

impl Budget {
    const TIMES: usize = 64;

    fn new(file: usize) -> Budget {
        Budget { file, left: file.saturating_mul(Budget::TIMES) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            format!("it would take more than {} times the {} bytes of the file", Budget::TIMES, self.file)
        })?;
        Ok(())
    }
}
