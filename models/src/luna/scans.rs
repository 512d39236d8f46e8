//! A folder of scans with its tables, as LUNA16 lies on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ct::Ct;
use super::metaimage::Header;
use super::tables::{self, Annotation, Candidate, CandidateInfo, LeftOut, Place};
use crate::{Error, Result};

/// Where scans lie in a folder of LUNA16: in the ten parts of the challenge, or together.
const FOLDERS: [&str; 12] = [
    "", "scans", "subset0", "subset1", "subset2", "subset3", "subset4", "subset5", "subset6", "subset7",
    "subset8", "subset9",
];

/// The scans of a folder. Their headers have been read, their voxels not yet.
#[derive(Debug)]
pub struct Scans {
    folder: PathBuf,
    headers: BTreeMap<String, Header>,
    broken: Vec<(String, Error)>,
}

impl Scans {
    /// Finds the `.mhd` files in `folder`, in its `scans` and in its `subset0` to `subset9`, and reads their
    /// headers. A scan whose header can't be read, or whose file of voxels is missing or has the wrong
    /// length, is kept among [`Scans::broken`]; it doesn't keep the others from use.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no scan at all; a folder that can't be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Scans> {
        let folder = folder.as_ref();
        let (mut headers, mut broken) = (BTreeMap::new(), vec![]);
        for part in FOLDERS.map(|name| folder.join(name)).iter().filter(|part| part.is_dir()) {
            let mut files = vec![];
            for entry in std::fs::read_dir(part).map_err(Error::io(part))? {
                files.push(entry.map_err(Error::io(part))?.path());
            }
            files.retain(|file| file.extension().is_some_and(|ending| ending == "mhd"));
            files.sort();
            for file in files {
                let Some(series) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
                match Header::read(&file).and_then(|header| header.check_data().map(|()| header)) {
                    Ok(header) => {
                        headers.entry(series.to_string()).or_insert(header);
                    }
                    Err(error) => broken.push((series.to_string(), error)),
                }
            }
        }
        if headers.is_empty() && broken.is_empty() {
            let looked_for = FOLDERS.map(|name| folder.join(name).join("*.mhd")).to_vec();
            return Err(Error::NotFound { what: "CT scans (.mhd)", looked_for });
        }
        Ok(Scans { folder: folder.into(), headers, broken })
    }

    /// The names of the scans, in order.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(String::as_str)
    }

    /// The header of a scan, if it is there.
    pub fn header(&self, series_uid: &str) -> Option<&Header> {
        self.headers.get(series_uid)
    }

    /// The scans that can't be used, and why.
    pub fn broken(&self) -> &[(String, Error)] {
        &self.broken
    }

    /// Reads a scan.
    ///
    /// # Errors
    /// A scan that is not there, and those of [`Ct::read`].
    pub fn ct(&self, series_uid: &str) -> Result<Ct> {
        let header = self.headers.get(series_uid).ok_or_else(|| {
            let folder = self.folder.display();
            Error::Run(format!(
                "the scan {series_uid} is not in {folder}, nor in its scans and subset folders"
            ))
        })?;
        Ct::read(&header.path)
    }

    /// Reads `annotations.csv`, or `annotations.csv.gz`.
    ///
    /// # Errors
    /// Those of [`tables::read_annotations`]; a table that is not there.
    pub fn annotations(&self) -> Result<Vec<Annotation>> {
        tables::read_annotations(self.table("annotations")?)
    }

    /// Reads `candidates.csv`, or `candidates.csv.gz`. Where there is neither, the nodules of
    /// `annotations.csv` and the findings of `annotations_excluded.csv`, which are none, are the candidates.
    ///
    /// # Errors
    /// Those of [`tables::read_candidates`]; tables that are not there.
    pub fn candidates(&self) -> Result<Vec<Candidate>> {
        let missing = match self.table("candidates") {
            Ok(path) => return tables::read_candidates(path),
            Err(error) => error,
        };
        let excluded = self.table("annotations_excluded").map_err(|_| missing)?;
        Ok(tables::candidates_of_findings(&self.annotations()?, &tables::read_annotations(excluded)?))
    }

    /// The candidates with the diameters of their annotations, as the book sorts them: [`tables::join`].
    ///
    /// # Errors
    /// A table that is not there or can't be read.
    pub fn join(&self) -> Result<(Vec<CandidateInfo>, LeftOut)> {
        Ok(tables::join(&self.annotations()?, self.candidates()?, |candidate| {
            let Some(header) = self.headers.get(&candidate.series_uid) else { return Place::NoScan };
            let irc = header.geometry.xyz_to_irc(candidate.center_xyz);
            let inside = irc.iter().zip(header.size).all(|(&at, size)| (0..size as i64).contains(&at));
            if inside { Place::Inside } else { Place::Outside }
        }))
    }

    fn table(&self, name: &str) -> Result<PathBuf> {
        let paths = ["csv", "csv.gz"].map(|ending| self.folder.join(format!("{name}.{ending}")));
        let found = paths.iter().find(|path| path.is_file()).cloned();
        found.ok_or_else(|| Error::NotFound { what: "a table of LUNA16", looked_for: paths.to_vec() })
    }
}
