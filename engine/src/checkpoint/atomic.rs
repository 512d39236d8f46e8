//! Files that are either the old ones or the new ones, never half of one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// Writes `bytes` to `path`: to a temporary file beside it first, which takes its name only when
/// everything is on disk. A full disk or a power cut leaves the file that was there before.
///
/// # Errors
/// [`Error::Io`] names the path.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    replace(path, |out| out.write_all(bytes).map_err(Error::io(path)))
}

/// As [`write_atomically`], with the bytes that `write` writes.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>,
) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = new_file().tempfile_in(folder).map_err(Error::io(path))?;
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out)?;
    out.flush().map_err(Error::io(path))?;
    drop(out);
    file.as_file().sync_all().map_err(Error::io(path))?;
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    // The new name is on disk once its folder is. Not every system can open a folder, and network
    // file systems may refuse to sync one: the file is written all the same.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// A temporary file that others may read once it has its name, as any file a program creates.
fn new_file() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unfinished-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}
