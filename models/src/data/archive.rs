//! Bringing a published archive onto this machine: fetched, checked, unpacked beside its place and
//! put there in one step, so that a folder is either whole or not there.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::download::{Downloader, RemoteFile};
use crate::{Error, Result};

/// A data set published as one `.tar.gz` file with a folder in it.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// The data set's name, for messages and for the name of the file in the making.
    pub name: &'a str,
    /// The file to fetch.
    pub file: RemoteFile<'a>,
    /// The folder inside.
    pub folder: &'a str,
    /// The files that this folder must hold.
    pub files: &'a [&'a str],
}

impl Archive<'_> {
    /// Puts the archive's folder into `directory`, which is made if it isn't there, and says where
    /// it is now. A second process that wants the same waits and finds it there.
    ///
    /// # Errors
    /// When it cannot be fetched, unpacked or written; `directory` then holds what it held before,
    /// and at most the beginning of the download, for a later call to go on with.
    pub fn install(&self, directory: &Path, downloader: &Downloader) -> Result<PathBuf> {
        std::fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let _lock = lock(&directory.join(format!(".{}.lock", self.name)))?;
        let target = directory.join(self.folder);
        if self.files.iter().all(|file| target.join(file).is_file()) {
            return Ok(target);
        }
        if target.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || target.is_file() {
            let message = "is in the way: a download would go there, and it holds something else";
            return Err(Error::file(&target, message.into()));
        }
        let part = directory.join(format!("{}.part", self.name));
        downloader.fetch(&self.file, &part)?;

        let workshop = directory.join(format!(".{}.unpacking", self.name));
        remove_dir(&workshop)?; // of a process that was killed
        let placed = self.unpack_and_place(&part, &workshop, &target);
        let removed = remove_dir(&workshop);
        placed.and(removed)?;
        std::fs::remove_file(&part).map_err(Error::io(&part))?;
        Ok(target)
    }

    fn unpack_and_place(&self, part: &Path, workshop: &Path, target: &Path) -> Result<()> {
        std::fs::create_dir(workshop).map_err(Error::io(workshop))?;
        unpack(part, workshop)?;
        let folder = workshop.join(self.folder);
        if let Some(missing) = self.files.iter().find(|file| !folder.join(file).is_file()) {
            return Err(Error::file(part, format!("the archive holds no {}/{missing}", self.folder)));
        }
        std::fs::rename(&folder, target).map_err(Error::io(target))
    }
}

/// Waits until no other process is at work on the same data set. Where locks are not supported
/// there is no waiting.
pub(super) fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(Error::io(path))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        eprintln!("waiting for another download to finish ({})", path.display());
        file.lock().map_err(Error::io(path))?;
    }
    Ok(file)
}

fn remove_dir(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

/// Unpacks the files and folders of a `.tar.gz` into `directory`, and refuses anything that would
/// land elsewhere: absolute paths, `..`, and links of any kind.
fn unpack(archive: &Path, directory: &Path) -> Result<()> {
    let unreadable = |error: io::Error| Error::file(archive, format!("cannot be unpacked: {error}"));
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut tar = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    for entry in tar.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let refuse =
            |why: String| Error::file(archive, format!("refused: its entry {} {why}", path.display()));
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse("leads out of its folder".into()));
        }
        let place = directory.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => std::fs::create_dir_all(&place).map_err(Error::io(&place))?,
            EntryType::Regular => {
                let parent = place.parent().unwrap_or(directory);
                std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
                let mut out = File::create_new(&place).map_err(Error::io(&place))?;
                let size = entry.size();
                match copy(&mut entry, &mut out) {
                    Ok(copied) if copied == size => out.sync_all().map_err(Error::io(&place))?,
                    Ok(copied) => return Err(refuse(format!("ends after {copied} of {size} bytes"))),
                    Err(Side::Reading(error)) => return Err(unreadable(error)),
                    Err(Side::Writing(error)) => return Err(Error::io(&place)(error)),
                }
            }
            other => return Err(refuse(format!("is neither file nor folder but a {other:?}"))),
        }
    }
    Ok(())
}

/// Which side of a copy failed.
#[derive(Debug)]
enum Side {
    Reading(io::Error),
    Writing(io::Error),
}

/// [`io::copy`] that tells a broken source from a full disk.
fn copy(from: &mut impl Read, to: &mut impl Write) -> std::result::Result<u64, Side> {
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                to.write_all(&buffer[..n]).map_err(Side::Writing)?;
                copied += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Side::Reading(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `.tar.gz` of one entry, written by hand where the crate refuses to write it.
    fn archive_of(name: &str, kind: EntryType, link: Option<&str>) -> tempfile::NamedTempFile {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(if kind == EntryType::Regular { 3 } else { 0 });
        header.set_mode(0o644);
        if let Some(link) = link {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let gz = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
        let mut builder = tar::Builder::new(gz);
        builder.append(&header, &b"abc"[..header.size().unwrap() as usize]).unwrap();
        builder.into_inner().unwrap().finish().unwrap();
        file
    }

    #[test]
    fn nothing_lands_outside() {
        let outer = tempfile::tempdir().unwrap();
        let inside = outer.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let absolute = outer.path().join("absolute").display().to_string();
        for (name, kind, link, expected) in [
            ("../escaped", EntryType::Regular, None, "leads out of its folder"),
            ("a/../../escaped", EntryType::Regular, None, "leads out of its folder"),
            (&absolute, EntryType::Regular, None, "leads out of its folder"),
            ("link", EntryType::Symlink, Some("/etc"), "is neither file nor folder but a Symlink"),
            ("link", EntryType::Link, Some("x"), "is neither file nor folder but a Link"),
            ("pipe", EntryType::Fifo, None, "is neither file nor folder but a Fifo"),
        ] {
            let file = archive_of(name, kind, link);
            let message = unpack(file.path(), &inside).unwrap_err().to_string();
            assert!(message.contains(name) && message.ends_with(expected), "{message}");
            assert_eq!(outer.path().read_dir().unwrap().count(), 1, "{name}");
            assert_eq!(inside.read_dir().unwrap().count(), 0, "{name}");
        }
        let file = archive_of("a/b", EntryType::Regular, None);
        unpack(file.path(), &inside).unwrap();
        assert_eq!(std::fs::read(inside.join("a/b")).unwrap(), b"abc");
        // A second entry of the same name doesn't overwrite the first.
        assert!(unpack(file.path(), &inside).is_err());
    }

    #[test]
    fn a_copy_tells_the_disk_from_the_source() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        assert!(matches!(copy(&mut Broken, &mut vec![]), Err(Side::Reading(_))));
        // A slice of 10 bytes is a disk with room for 10 bytes.
        assert!(matches!(copy(&mut &[1; 11][..], &mut &mut [0; 10][..]), Err(Side::Writing(_))));
        assert_eq!(copy(&mut &[1; 10][..], &mut &mut [0; 10][..]).unwrap(), 10);
    }
}
