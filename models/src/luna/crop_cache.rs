//! Crops kept on disk, a file each: reading one takes a fraction of a millisecond, cutting it from its CT
//! means reading all of that first.
//!
//! A file is `<folder>/<scan>/<index>_<row>_<column>.crop`, where `scan` is a checksum of what the scan is
//! (so a scan that was changed has other files), and the numbers are the voxel at the crop's centre:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `vgcrop`, the format's version, the type of a voxel: 0 i16, 1 f32 |
//! | 12 | depth, height and width, u32 |
//! | 12 | the first voxel's index, row and column in the scan, i32 |
//! | 4 | the CRC-32 of all other bytes |
//! | .. | the voxels, in HU |
//!
//! All numbers are little-endian. A file gets its name when it is complete. Nothing waits until it is on the
//! disk, so a power cut may leave one cut short; its checksum tells, and it is made anew. Several processes
//! may share a folder: they write the same bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flate2::Crc;

use crate::{Error, Result};

/// Six letters, and the version of the format.
const MAGIC: [u8; 7] = *b"vgcrop\x01";
/// Bytes in front of the voxels.
const HEADER: usize = 36;
/// Names that files have while they are written.
const UNFINISHED: &str = ".unfinished-";
/// A file still unfinished after this time has been left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A box of voxels cut from a CT.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// The voxels in HU, `[depth, height, width]`.
    pub hu: Vec<f32>,
    /// Its depth, height and width.
    pub size: [usize; 3],
    /// Index, row and column of its first voxel in the scan.
    pub start: [i64; 3],
}

/// Which crop: the scan's checksum, and index, row and column of the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Of all that says what the scan is.
    pub scan: u128,
    /// The voxel at the centre.
    pub centre: [i64; 3],
}

/// The crops in a folder.
#[derive(Debug)]
pub struct CropCache {
    folder: PathBuf,
    /// The most bytes it may hold.
    limit: u64,
    /// The bytes it holds, as far as this process knows.
    used: AtomicU64,
    /// Turned off when the folder is full, or can't be written.
    writes: AtomicBool,
    /// Files that were broken.
    broken: AtomicU64,
    notes: Mutex<Vec<String>>,
}

impl CropCache {
    /// The cache in `folder`, which is made if need be and grows to at most `limit` bytes. Files that a
    /// killed process left unfinished an hour ago are removed.
    ///
    /// # Errors
    /// When the folder can't be made or read.
    pub fn open(folder: impl Into<PathBuf>, limit: u64) -> Result<CropCache> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let mut used = 0;
        for scan in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let scan = scan.map_err(Error::io(&folder))?.path();
            if scan.is_dir() {
                used += tidy(&scan).map_err(Error::io(&scan))?;
            }
        }
        let (used, writes) = (AtomicU64::new(used), AtomicBool::new(true));
        Ok(CropCache { folder, limit, used, writes, broken: AtomicU64::new(0), notes: Mutex::default() })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The most bytes it may hold.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes it holds, as far as this process knows.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it takes new crops: not once it is full or couldn't be written.
    pub fn is_open(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// What has happened since this was last asked that somebody should know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.lock().map(|mut notes| std::mem::take(&mut *notes)).unwrap_or_default();
        let broken = self.broken.swap(0, Ordering::Relaxed);
        if broken > 0 {
            let (files, folder) = (if broken == 1 { "file" } else { "files" }, self.folder.display());
            notes.push(format!(
                "Crop cache {folder}: {broken} {files} of another version, cut short or damaged; made anew"
            ));
        }
        notes
    }

    /// The crop, if a good file of it is there.
    pub fn get(&self, key: &Key) -> Option<Crop> {
        let bytes = fs::read(self.path(key)).ok()?;
        let crop = decode(&bytes);
        if crop.is_none() {
            self.broken.fetch_add(1, Ordering::Relaxed);
        }
        crop
    }

    /// Whether there is a file for the crop, of this version, of `size` voxels and as long as it says.
    /// Damage within shows only in [`CropCache::get`].
    pub fn has(&self, key: &Key, size: [usize; 3]) -> bool {
        let mut header = [0; HEADER];
        let there = File::open(self.path(key)).and_then(|mut file| {
            file.read_exact(&mut header)?;
            Ok(file.metadata()?.len())
        });
        let voxels = size.iter().product::<usize>() * if header[MAGIC.len()] == 0 { 2 } else { 4 };
        let as_asked = header.starts_with(&MAGIC) && header[8..20] == size_bytes(size);
        as_asked && there.is_ok_and(|length| length == (HEADER + voxels) as u64)
    }

    /// Keeps the crop if there is room. A disk that is full or refuses is no error: nothing more is kept
    /// then, and a note says so.
    pub fn put(&self, key: &Key, crop: &Crop) {
        if !self.is_open() {
            return;
        }
        let (path, bytes) = (self.path(key), encode(crop));
        let size = bytes.len() as u64;
        if self.used.fetch_add(size, Ordering::Relaxed).saturating_add(size) > self.limit {
            self.used.fetch_sub(size, Ordering::Relaxed);
            self.stop(format!("it has reached its limit of {} bytes (--cache-limit)", self.limit));
            return;
        }
        if let Err(e) = write(&path, &bytes) {
            self.used.fetch_sub(size, Ordering::Relaxed);
            self.stop(e.to_string());
        }
    }

    fn stop(&self, why: String) {
        if self.writes.swap(false, Ordering::Relaxed)
            && let Ok(mut notes) = self.notes.lock()
        {
            notes.push(format!(
                "Crop cache {}: {why}. Nothing more is kept there; further crops are cut from their CTs, \
                 which takes longer",
                self.folder.display()
            ));
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        let [index, row, column] = key.centre;
        self.folder.join(format!("{:032x}", key.scan)).join(format!("{index}_{row}_{column}.crop"))
    }
}

/// The bytes of a scan's crops, after removing what killed processes have left.
fn tidy(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        // Another process may remove a file meanwhile.
        let Ok(metadata) = file.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let unfinished = file.file_name().to_string_lossy().starts_with(UNFINISHED);
        match unfinished && age.is_some_and(|age| age > ABANDONED) {
            true => drop(fs::remove_file(file.path())),
            false => bytes += metadata.len(),
        }
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let new = || tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder);
    let mut file = match new() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            new()?
        }
        made => made?,
    };
    file.write_all(bytes)?;
    file.persist(path).map(|_: File| ()).map_err(|e| e.error)
}

fn encode(crop: &Crop) -> Vec<u8> {
    // HU are whole numbers, unless a scan was stored as floating-point numbers.
    let whole = crop.hu.iter().all(|&hu| f32::from(hu as i16) == hu);
    let mut bytes = Vec::with_capacity(HEADER + crop.hu.len() * if whole { 2 } else { 4 });
    bytes.extend(MAGIC);
    bytes.push(!whole as u8);
    bytes.extend(size_bytes(crop.size));
    bytes.extend(crop.start.iter().flat_map(|&start| (start as i32).to_le_bytes()));
    bytes.extend([0; 4]);
    match whole {
        true => bytes.extend(crop.hu.iter().flat_map(|&hu| (hu as i16).to_le_bytes())),
        false => bytes.extend(crop.hu.iter().flat_map(|&hu| hu.to_le_bytes())),
    }
    let crc = checksum(&bytes);
    bytes[HEADER - 4..HEADER].copy_from_slice(&crc);
    bytes
}

fn size_bytes(size: [usize; 3]) -> Vec<u8> {
    size.iter().flat_map(|&size| (size as u32).to_le_bytes()).collect()
}

/// The CRC-32 of all but itself.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(&bytes[..HEADER - 4]);
    crc.update(&bytes[HEADER..]);
    crc.sum().to_le_bytes()
}

/// The crop in a file. `None` for one of another version, cut short or damaged.
fn decode(bytes: &[u8]) -> Option<Crop> {
    let (header, voxels) = bytes.split_at_checked(HEADER)?;
    if !header.starts_with(&MAGIC) || header[HEADER - 4..] != checksum(bytes) {
        return None;
    }
    let word = |at: usize| header[at..at + 4].try_into().ok();
    let size = |i: usize| Some(u32::from_le_bytes(word(8 + 4 * i)?) as usize);
    let start = |i: usize| Some(i64::from(i32::from_le_bytes(word(20 + 4 * i)?)));
    let size = [size(0)?, size(1)?, size(2)?];
    let start = [start(0)?, start(1)?, start(2)?];
    let hu: Vec<f32> = match header[MAGIC.len()] {
        0 => voxels.chunks_exact(2).map(|hu| i16::from_le_bytes([hu[0], hu[1]]).into()).collect(),
        1 => voxels.chunks_exact(4).map(|hu| f32::from_le_bytes([hu[0], hu[1], hu[2], hu[3]])).collect(),
        _ => return None,
    };
    let numel = size.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    (numel == hu.len()).then_some(Crop { hu, size, start })
}

#[cfg(test)]
mod tests;
