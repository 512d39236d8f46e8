//! Machine code of kernels on disk, so that they are compiled once and not in every run.
//!
//! A file is named by a hash of all that the code depends on, and begins with a checksum of its name and
//! the code. It is written beside its place and then renamed: two processes that fill the cache at once
//! give each other whole files. A damaged file counts as none. Nothing that goes wrong here is an error:
//! kernels are compiled without a cache as well.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::device::log;

/// Bytes of a checksum.
const CHECKSUM: usize = 32;

/// A folder of machine code, or none.
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The folder that `VOXGRAD_CUDA_CACHE` names, where `0` or nothing means none; without the
    /// variable `voxgrad/cubin` in the user's cache directory.
    pub fn of_user() -> Cache {
        let folder = match std::env::var_os("VOXGRAD_CUDA_CACHE") {
            Some(folder) if folder.is_empty() || folder == "0" => None,
            Some(folder) => Some(folder.into()),
            None => directories::BaseDirs::new().map(|dirs| dirs.cache_dir().join("voxgrad").join("cubin")),
        };
        Cache { folder }
    }

    /// The name of what depends on all of these texts.
    pub fn key(&self, texts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for text in texts {
            // With its length, or two texts could be cut at another place.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize().iter().fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}"); // a String takes everything
            name
        })
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{key}.cubin")))
    }

    /// What is kept under a name, if it is whole.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let file = fs::read(self.path(key)?).ok()?;
        let (checksum, code) = file.split_at_checked(CHECKSUM)?;
        (self.checksum(key, code)[..] == *checksum).then(|| code.to_vec())
    }

    /// Keeps `code` under a name, if the folder can be written.
    pub fn write(&self, key: &str, code: &[u8]) {
        let Some(path) = self.path(key) else { return };
        if let Err(error) = self.try_write(&path, key, code)
            && log::level() >= 1
        {
            eprintln!("machine code is not kept in {}: {error}", path.display());
        }
    }

    fn checksum(&self, key: &str, code: &[u8]) -> [u8; CHECKSUM] {
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(code);
        hash.finalize().into()
    }

    fn try_write(&self, path: &std::path::Path, key: &str, code: &[u8]) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&self.checksum(key, code))?;
        file.write_all(code)?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: Some(folder.path().join("deep").join("er")) };
        let key = cache.key(&["text", "sm_90"]);
        assert_eq!(cache.read(&key), None);
        cache.write(&key, b"machine code");
        assert_eq!(cache.read(&key).unwrap(), b"machine code");

        let path = cache.path(&key).unwrap();
        for damaged in [&b""[..], b"short", &[0; 40]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.read(&key), None);
        }
        cache.write(&key, b"other code");
        assert_eq!(cache.read(&key).unwrap(), b"other code");
        let other = cache.key(&["another text", "sm_90"]);
        fs::copy(&path, cache.path(&other).unwrap()).unwrap();
        assert_eq!(cache.read(&other), None, "what was kept under another name");
        fs::remove_file(cache.path(&other).unwrap()).unwrap();
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "no temporary file is left behind");
    }

    #[test]
    fn a_name_depends_on_every_text_and_on_where_one_ends() {
        let cache = Cache { folder: None };
        let names = [["a", "bc"], ["ab", "c"], ["a", "bd"]].map(|texts| cache.key(&texts));
        assert!(names[0] != names[1] && names[0] != names[2]);
        assert_eq!(names[0].len(), 64);
    }

    #[test]
    fn no_folder_and_one_that_cannot_be_made_are_no_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for folder in [None, Some(file.path().join("below a file"))] {
            let cache = Cache { folder };
            cache.write("key", b"code");
            assert_eq!(cache.read("key"), None);
        }
    }
}
