//! The crops of candidates: from the cache on disk, or cut from their CTs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use md5::{Digest, Md5};

use super::crop_cache::{Crop, CropCache, Key};
use super::ct::{CROP, Ct};
use super::metaimage::Header;
use super::scans::Scans;
use super::tables::CandidateInfo;
use crate::{Error, Result};

/// Cuts crops from scans, and keeps them in a cache.
pub struct Crops {
    scans: Scans,
    cache: Option<CropCache>,
    /// Of each scan that has been asked for, what its files in the cache go by.
    marks: Mutex<HashMap<String, u128>>,
    /// The scans read last, the latest in front.
    recent: Mutex<VecDeque<Arc<Ct>>>,
    most_recent: usize,
}

/// What became of filling the cache.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Crops that were there already.
    pub there: usize,
    /// Crops that were cut now.
    pub cut: usize,
    /// Scans whose voxels can't be read, and why. Their crops are missing.
    pub failed: Vec<(String, Error)>,
}

impl Crops {
    /// Crops of `scans`. `threads` that ask for crops each have the CT in memory that they used last.
    pub fn new(scans: Scans, cache: Option<CropCache>, threads: usize) -> Crops {
        let (marks, recent) = (Mutex::default(), Mutex::default());
        Crops { scans, cache, marks, recent, most_recent: threads.max(1) }
    }

    /// The scans.
    pub fn scans(&self) -> &Scans {
        &self.scans
    }

    /// The cache, if there is one.
    pub fn cache(&self) -> Option<&CropCache> {
        self.cache.as_ref()
    }

    /// The [`CROP`] around a candidate, in HU.
    ///
    /// # Errors
    /// When its scan is not there, can't be read or is smaller than a crop, or the candidate lies outside.
    pub fn at(&self, candidate: &CandidateInfo) -> Result<Crop> {
        let key = self.key(candidate)?;
        if let Some(crop) = self.cached(&key) {
            return Ok(crop);
        }
        let crop = cut(&*self.ct(&candidate.series_uid)?, &key)?;
        if let Some(cache) = &self.cache {
            cache.put(&key, &crop);
        }
        Ok(crop)
    }

    /// Fills the cache with the crops of `candidates`, scan by scan, on `threads` threads: each CT is read
    /// once. `progress` is told how many are done, in no order. A scan that can't be read doesn't keep the
    /// others from it. When the cache is full, the rest is left.
    pub fn prepare(
        &self,
        candidates: &[CandidateInfo],
        threads: usize,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Prepared {
        let mut by_scan: BTreeMap<&str, Vec<&CandidateInfo>> = BTreeMap::new();
        for candidate in candidates {
            by_scan.entry(&candidate.series_uid).or_default().push(candidate);
        }
        let by_scan: Vec<_> = by_scan.into_iter().collect();
        let (next, done, prepared) =
            (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Prepared::default()));
        let work = || {
            while let Some((series, candidates)) = by_scan.get(next.fetch_add(1, Ordering::Relaxed)) {
                if !self.cache.as_ref().is_some_and(CropCache::is_open) {
                    return;
                }
                let one = self.prepare_scan(series, candidates);
                let n = candidates.len();
                progress(done.fetch_add(n, Ordering::Relaxed) + n);
                let mut all = prepared.lock().unwrap_or_else(PoisonError::into_inner);
                match one {
                    Ok((there, cut)) => (all.there, all.cut) = (all.there + there, all.cut + cut),
                    Err(error) => all.failed.push((series.to_string(), error)),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, by_scan.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        let mut prepared = prepared.into_inner().unwrap_or_else(PoisonError::into_inner);
        prepared.failed.sort_by(|a, b| a.0.cmp(&b.0));
        prepared
    }

    /// How many crops of one scan were there, and how many were cut.
    fn prepare_scan(&self, series: &str, candidates: &[&CandidateInfo]) -> Result<(usize, usize)> {
        let Some(cache) = &self.cache else { return Ok((0, 0)) };
        let keys: Vec<Key> = candidates.iter().map(|candidate| self.key(candidate)).collect::<Result<_>>()?;
        let missing: Vec<&Key> = keys.iter().filter(|key| !cache.has(key, CROP)).collect();
        let there = keys.len() - missing.len();
        if missing.is_empty() {
            return Ok((there, 0));
        }
        let ct = self.scans.ct(series)?;
        for key in &missing {
            cache.put(key, &cut(&ct, key)?);
        }
        Ok((there, missing.len()))
    }

    fn cached(&self, key: &Key) -> Option<Crop> {
        self.cache.as_ref()?.get(key).filter(|crop| crop.size == CROP)
    }

    /// A CT, from memory if it is one of those used last. Two threads may read the same one at once.
    fn ct(&self, series: &str) -> Result<Arc<Ct>> {
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ct) = recent().iter().find(|ct| ct.series_uid == series) {
            return Ok(ct.clone());
        }
        let ct = Arc::new(self.scans.ct(series)?);
        let mut recent = recent();
        recent.push_front(ct.clone());
        recent.truncate(self.most_recent);
        Ok(ct)
    }

    fn key(&self, candidate: &CandidateInfo) -> Result<Key> {
        let series = &candidate.series_uid;
        let header = self.scans.header(series);
        let header = header.ok_or_else(|| Error::Run(format!("the scan {series} is not there")))?;
        let centre = header.geometry.xyz_to_irc(candidate.center_xyz);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&scan) = marks.get(series) {
            return Ok(Key { scan, centre });
        }
        let scan = mark(header)?;
        marks.insert(series.clone(), scan);
        Ok(Key { scan, centre })
    }
}

fn cut(ct: &Ct, key: &Key) -> Result<Crop> {
    let (hu, start) = ct.window(key.centre, CROP)?;
    Ok(Crop { hu, size: CROP, start })
}

/// A checksum of a scan's header, and of the length and the last change of its voxels' file: reading all
/// voxels would take as long as cutting crops from them.
fn mark(header: &Header) -> Result<u128> {
    let mut md5 = Md5::new();
    md5.update(fs::read(&header.path).map_err(Error::io(&header.path))?);
    let data = fs::metadata(&header.data_file).map_err(Error::io(&header.data_file))?;
    md5.update(data.len().to_le_bytes());
    let changed = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    md5.update(changed.as_nanos().to_le_bytes());
    Ok(u128::from_be_bytes(md5.finalize().into()))
}
