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

use std::io::{Read, Seek, SeekFrom};

use archive::Archive;
use tensors::Tensors;

use super::{Checkpoint, Entry, elements};

/// How many of a file's first bytes tell what it is.
pub(super) const FIRST_BYTES: usize = 16;

/// Whether `bytes` begin like a file of `torch.save`.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || is_old(bytes)
}

/// Before PyTorch 1.6 a file was several pickles, the first of them this number.
fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
}

/// The tensors of a state dict in its order, or what is wrong with the file. It is read tensor by tensor:
/// it may be larger than what is wanted in memory twice.
pub(super) fn read(mut file: impl Read + Seek, first_bytes: &[u8]) -> Result<Checkpoint, String> {
    if is_old(first_bytes) {
        return Err("it has the form that PyTorch had before version 1.6; \
                    load it there and save it again with a newer one"
            .into());
    }
    let length = file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
    let mut budget = Budget::new(usize::try_from(length).unwrap_or(usize::MAX));
    let mut archive = Archive::open(file)?;
    let pickle = archive.pickle()?;
    let (objects, root) = unpickle::unpickle(&pickle)?;
    let (named, metadata) = entries::list(&objects, root, &mut budget)?;
    let views: Vec<_> = named.iter().map(|(_, view)| *view).collect();
    let mut tensors = Tensors::new(&mut archive, &mut budget, &views);
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
