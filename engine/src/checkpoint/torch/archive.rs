//! The zip archive around a pickle and its storages.

use std::io::{Read, Seek};

use zip::{CompressionMethod, ZipArchive};

/// A pickle holds some hundred bytes for each tensor: one larger than this is no state dict's.
const LARGEST_PICKLE: usize = 16 << 20;

/// A zip archive all of whose files lie, uncompressed, in one folder.
pub(super) struct Archive<R> {
    zip: ZipArchive<R>,
    folder: String,
}

impl<R: Read + Seek> Archive<R> {
    /// Refuses what no archive of PyTorch's has: names that lead elsewhere or come twice, and files
    /// that share bytes, by which a small archive could hold very much.
    pub fn open(file: R) -> Result<Archive<R>, String> {
        let zip = |e| format!("not a whole zip archive: {e}");
        let mut archive = ZipArchive::new(file).map_err(zip)?;
        if archive.has_duplicate_names() {
            return Err("a name comes twice in the zip archive".into());
        }
        if archive.has_overlapping_entries().map_err(zip)? {
            return Err("files in the zip archive overlap".into());
        }
        let names: Vec<_> = archive.file_names().collect::<Result<_, _>>().map_err(zip)?;
        let folder = names.iter().find_map(|name| name.strip_suffix("/data.pkl")).ok_or(NOT_TORCH)?;
        for name in &names {
            let inside = name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            let plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(['\\', '\0']);
            if !inside || !name.split('/').all(plain) {
                return Err(format!("the zip archive holds {name:?}, which is no file below {folder:?}"));
            }
        }
        let holds = |file: &str| names.iter().any(|name| *name == format!("{folder}/{file}"));
        if holds("constants.pkl") {
            return Err("it is a TorchScript program, not a state dict; \
                        in Python, torch.save(torch.jit.load(FILE).state_dict(), NEW) writes one"
                .into());
        }
        // Before PyTorch 2.1 it was not written.
        let says_its_order = holds("byteorder");
        let folder = folder.to_string();
        drop(names);
        let mut archive = Archive { zip: archive, folder };
        if says_its_order {
            let order = archive.file("byteorder")?;
            if order.trim_ascii() != b"little" {
                let order = String::from_utf8_lossy(&order);
                return Err(format!("its byte order is {order:?}, read is \"little\" alone"));
            }
        }
        Ok(archive)
    }

    pub fn pickle(&mut self) -> Result<Vec<u8>, String> {
        let pickle = self.file("data.pkl")?;
        match pickle.len() {
            n if n > LARGEST_PICKLE => {
                Err(format!("data.pkl has {n} bytes, at most {LARGEST_PICKLE} are read"))
            }
            _ => Ok(pickle),
        }
    }

    /// The elements of the storage `key`.
    pub fn storage(&mut self, key: &str) -> Result<Vec<u8>, String> {
        self.file(&format!("data/{key}"))
    }

    /// A file of the archive, once its checksum is right.
    fn file(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let broken = |e: &dyn std::fmt::Display| format!("{name:?} in the zip archive: {e}");
        let path = format!("{}/{name}", self.folder);
        let mut file = self.zip.by_name(&path).map_err(|e| broken(&e))?;
        if file.compression() != CompressionMethod::Stored {
            return Err(broken(&"it is compressed, which PyTorch never does"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        match bytes.len() as u64 == file.size() {
            true => Ok(bytes),
            false => Err(broken(&format!("{} of its {} bytes are there", bytes.len(), file.size()))),
        }
    }
}

const NOT_TORCH: &str = "a zip archive without a data.pkl: no file of torch.save";
