//! Where data sets are looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The environment variable that names a directory of data sets.
pub const VARIABLE: &str = "VOXGRAD_DATA";

/// The directories that may hold data sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The one a command line names. When there is one, nothing else counts.
    pub data: Option<PathBuf>,
    /// The one that `$VOXGRAD_DATA` names.
    pub variable: Option<PathBuf>,
    /// The user's cache directory, where downloads go.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places of this user: `data` if given, then `$VOXGRAD_DATA`, then `voxgrad` in the user's
    /// cache directory.
    pub fn new(data: Option<&Path>) -> Places {
        let cache = directories::BaseDirs::new().map(|dirs| dirs.cache_dir().join("voxgrad"));
        Places::from_parts(data, std::env::var_os(VARIABLE), cache)
    }

    fn from_parts(data: Option<&Path>, variable: Option<OsString>, cache: Option<PathBuf>) -> Places {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        Places { data: data.map(Path::to_path_buf), variable, cache }
    }

    /// The directories to look in, in order.
    pub fn directories(&self) -> Vec<&Path> {
        let all = match &self.data {
            Some(data) => vec![Some(data)],
            None => vec![self.variable.as_ref(), self.cache.as_ref()],
        };
        all.into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// The first folder that holds one of `files`: in each directory in turn, each of `folders` and
    /// then the directory itself. `what` names the data set.
    ///
    /// # Errors
    /// [`Error::NotFound`] with every folder that was looked for.
    pub fn find(&self, what: &'static str, folders: &[&str], files: &[&str]) -> Result<PathBuf> {
        let mut looked_for = vec![];
        for directory in self.directories() {
            let inside = folders.iter().map(|folder| directory.join(folder));
            for folder in inside.chain([directory.to_path_buf()]) {
                if files.iter().any(|file| folder.join(file).is_file()) {
                    return Ok(folder);
                }
                looked_for.push(folder);
            }
        }
        Err(Error::NotFound { what, looked_for })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_directory_is_the_only_one() {
        let places = Places::from_parts(Some(Path::new("a")), Some("b".into()), Some("c".into()));
        assert_eq!(places.directories(), [Path::new("a")]);
        let places = Places::from_parts(None, Some("b".into()), Some("c".into()));
        assert_eq!(places.directories(), [Path::new("b"), Path::new("c")]);
        // Set to nothing is not set.
        let places = Places::from_parts(None, Some("".into()), Some("c".into()));
        assert_eq!(places.directories(), [Path::new("c")]);
    }

    #[test]
    fn folders_in_order_then_the_directory_itself() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let places =
            Places { data: None, variable: Some(first.path().into()), cache: Some(second.path().into()) };
        let find = || places.find("Letters", &["a", "b"], &["x", "y"]);

        std::fs::create_dir(first.path().join("a")).unwrap(); // empty: not it
        let message = find().unwrap_err().to_string();
        assert!(message.starts_with("Letters not found; looked for "), "{message}");
        for directory in [first.path(), second.path()] {
            for path in [directory.join("a"), directory.join("b"), directory.to_path_buf()] {
                assert!(message.contains(&path.display().to_string()), "{message}");
            }
        }
        std::fs::write(second.path().join("y"), "").unwrap();
        assert_eq!(find().unwrap(), second.path());
        std::fs::create_dir(second.path().join("b")).unwrap();
        std::fs::write(second.path().join("b/y"), "").unwrap();
        assert_eq!(find().unwrap(), second.path().join("b"));
        std::fs::write(first.path().join("a/x"), "").unwrap();
        assert_eq!(find().unwrap(), first.path().join("a"));
    }
}
