//! Bringing a data set of single files onto this machine, from the first of several servers that has
//! them.

use std::path::{Path, PathBuf};

use super::archive::lock;
use super::download::{Downloader, RemoteFile};
use crate::{Error, Result};

/// A file of a data set: its name, its size in bytes and its MD5 sum in hexadecimal.
pub type MirroredFile<'a> = (&'a str, u64, &'a str);

/// A data set published as single files, the same ones on several servers.
#[derive(Debug, Clone, Copy)]
pub struct Mirrors<'a> {
    /// The folder that the files go to.
    pub folder: &'a str,
    /// What stands before a file's name in its address; asked in this order.
    pub servers: &'a [&'a str],
    /// The files.
    pub files: &'a [MirroredFile<'a>],
}

impl Mirrors<'_> {
    /// Puts the files into their folder in `directory`, which is made if it isn't there, and says
    /// where that is. The folder appears once all of them are whole. A second process that wants the
    /// same waits and finds it there.
    ///
    /// # Errors
    /// When no server has a file, or it cannot be written; what has come stays, for a later call to go
    /// on with.
    pub fn install(&self, directory: &Path, downloader: &Downloader) -> Result<PathBuf> {
        std::fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let _lock = lock(&directory.join(format!(".{}.lock", self.folder)))?;
        let target = directory.join(self.folder);
        if self.files.iter().all(|(file, ..)| target.join(file).is_file()) {
            return Ok(target);
        }
        if target.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || target.is_file() {
            let message = "is in the way: a download would go there, and it holds something else";
            return Err(Error::file(&target, message.into()));
        }
        let workshop = directory.join(format!(".{}.fetching", self.folder));
        std::fs::create_dir_all(&workshop).map_err(Error::io(&workshop))?;
        let fetched = self.files.iter().try_for_each(|file| self.fetch(file, &workshop, downloader));
        if let Err(error) = fetched {
            // Only succeeds when nothing came.
            let _ = std::fs::remove_dir(&workshop);
            return Err(error);
        }
        std::fs::rename(&workshop, &target).map_err(Error::io(&target))?;
        Ok(target)
    }

    /// Fetches a file that isn't in `workshop` yet. It gets its name when it has been checked.
    fn fetch(
        &self,
        &(name, bytes, md5): &MirroredFile,
        workshop: &Path,
        downloader: &Downloader,
    ) -> Result<()> {
        let (place, part) = (workshop.join(name), workshop.join(format!("{name}.part")));
        if place.is_file() {
            return Ok(());
        }
        let mut refusals = vec![];
        for server in self.servers {
            let url = format!("{server}{name}");
            match downloader.fetch(&RemoteFile { url: &url, bytes, md5 }, &part) {
                Ok(()) => return std::fs::rename(&part, &place).map_err(Error::io(&place)),
                Err(Error::Download { url, message }) => refusals.push((url, message)),
                Err(error) => return Err(error),
            }
        }
        let (urls, messages): (Vec<_>, Vec<_>) = refusals.into_iter().unzip();
        Err(Error::Download { url: urls.join(" and "), message: messages.join("; ") })
    }
}
