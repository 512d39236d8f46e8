//! The data set, the crop cache and the training together, on tiny scans.

mod training;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use voxgrad_engine::data::{DataLoader, Dataset, Epoch};
use voxgrad_engine::random::Rng;

use super::augment::Augmentation;
use super::crop_cache::CropCache;
use super::crops::Crops;
use super::ct::CROP;
use super::dataset::{LunaDataset, Split};
use super::geometry::{Geometry, IDENTITY};
use super::metaimage::{MetaImage, Store};
use super::scans::Scans;
use super::tables::CandidateInfo;

const SIZE: [usize; 3] = [36, 52, 56];

/// Writes `n` scans of noise with a bright ball in each, and tables of 8 candidates a scan, the ball one of
/// them.
pub(super) fn write_scans(folder: &Path, n: usize) {
    let geometry = Geometry::new([-20.0, 10.0, 5.0], [0.5, 0.5, 2.0], IDENTITY).unwrap();
    let (mut annotations, mut candidates) = (
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n".to_string(),
        "seriesuid,coordX,coordY,coordZ,class\n".to_string(),
    );
    for scan in 0..n {
        let mut rng = Rng::new(scan as u64, 7);
        let centre = [18, 26, 28];
        let hu: Vec<i16> = (0..SIZE.iter().product())
            .map(|i: usize| {
                let irc = [i / (SIZE[1] * SIZE[2]), i / SIZE[2] % SIZE[1], i % SIZE[2]];
                let distance: f32 = (0..3).map(|k| (irc[k] as f32 - centre[k] as f32).powi(2)).sum();
                (if distance < 36.0 { 100 } else { -800 }) + rng.below(100) as i16
            })
            .collect();
        let image = MetaImage::from_i16(SIZE, geometry, &hu);
        image.write(folder.join(format!("1.{scan}.mhd")), Store::Raw).unwrap();
        for candidate in 0..8 {
            let irc = match candidate {
                0 => centre,
                i => [4 * i, 6 * i, 50 - 5 * i],
            };
            let [x, y, z] = geometry.irc_to_xyz(irc.map(|at| at as i64));
            candidates += &format!("1.{scan},{x},{y},{z},{}\n", u8::from(candidate == 0));
            if candidate == 0 {
                annotations += &format!("1.{scan},{x},{y},{z},6.0\n");
            }
        }
    }
    fs::write(folder.join("annotations.csv"), annotations).unwrap();
    fs::write(folder.join("candidates.csv"), candidates).unwrap();
}

/// The crops of `n` scans in `folder`, with a cache beside them.
pub(super) fn crops(folder: &Path, n: usize) -> Crops {
    write_scans(folder, n);
    open(folder, 1 << 30)
}

fn open(folder: &Path, limit: u64) -> Crops {
    let cache = CropCache::open(folder.join("cache"), limit).unwrap();
    Crops::new(Scans::open(folder).unwrap(), Some(cache), 2)
}

fn candidates(crops: &Crops) -> Vec<CandidateInfo> {
    crops.scans().join().unwrap().0
}

#[test]
fn a_crop_from_the_cache_is_the_crop_from_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let crops = crops(folder.path(), 2);
    let all = candidates(&crops);
    assert_eq!(all.len(), 16);
    let cut: Vec<_> = all.iter().map(|candidate| crops.at(candidate).unwrap()).collect();
    assert_eq!((cut[0].hu.len(), cut[0].size), (CROP.iter().product(), CROP));
    assert_eq!(cut[0].start, [2, 2, 4], "the first is a ball, whose crop has room");
    let ct = crops.scans().ct(&all[5].series_uid).unwrap();
    let irc = ct.geometry.xyz_to_irc(all[5].center_xyz);
    assert_eq!(cut[5].hu, ct.window(irc, CROP).unwrap().0);

    // From the cache alone: the scans' voxels are gone.
    let kept: Vec<_> = all.iter().map(|candidate| crops.at(candidate).unwrap()).collect();
    assert_eq!(cut, kept);
    let fresh = open(folder.path(), 1 << 30);
    assert!(all.iter().zip(&cut).all(|(candidate, cut)| fresh.at(candidate).unwrap() == *cut));
}

#[test]
fn prepared_once_and_a_changed_scan_again() {
    let folder = tempfile::tempdir().unwrap();
    let crops = crops(folder.path(), 3);
    let all = candidates(&crops);
    let counts = |crops: &Crops| {
        let prepared = crops.prepare(&all, 3, &|_| ());
        assert!(prepared.failed.is_empty(), "{:?}", prepared.failed);
        (prepared.there, prepared.cut)
    };
    assert_eq!(counts(&crops), (0, 24));
    assert_eq!(counts(&open(folder.path(), 1 << 30)), (24, 0));
    let file = fs::File::options().append(true).open(folder.path().join("1.1.raw")).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(counts(&open(folder.path(), 1 << 30)), (16, 8));
}

#[test]
fn a_scan_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let crops = crops(folder.path(), 3);
    let all = candidates(&crops);
    fs::remove_file(folder.path().join("1.1.raw")).unwrap();
    let prepared = crops.prepare(&all, 2, &|_| ());
    assert_eq!((prepared.cut, prepared.failed.len()), (16, 1));
    let (series, error) = &prepared.failed[0];
    assert!(series == "1.1" && error.to_string().contains("1.1.raw"), "{series}: {error}");
    let broken = all.iter().find(|candidate| candidate.series_uid == "1.1").unwrap();
    assert!(crops.at(broken).is_err());
}

#[test]
fn without_room_in_the_cache_every_crop_is_still_there() {
    let folder = tempfile::tempdir().unwrap();
    write_scans(folder.path(), 2);
    let crops = open(folder.path(), 400_000);
    let all = candidates(&crops);
    let prepared = crops.prepare(&all, 2, &|_| ());
    assert!(prepared.cut >= 2 && !crops.cache().unwrap().is_open());
    assert!(all.iter().all(|candidate| crops.at(candidate).is_ok()));
    assert_eq!(crops.cache().unwrap().notes().len(), 1);
}

#[test]
fn split_by_stride_and_by_series() {
    let folder = tempfile::tempdir().unwrap();
    let all = candidates(&crops(folder.path(), 6));
    let (train, val) = Split::Stride.divide(all.clone(), 10).unwrap();
    assert_eq!((train.len(), val.len()), (43, 5));
    assert_eq!(val[0], all[0]);
    assert_eq!(val[1], all[10]);
    let (train, val) = Split::Series.divide(all.clone(), 4).unwrap();
    let series = |part: &[CandidateInfo]| {
        let mut names: Vec<_> = part.iter().map(|c| c.series_uid.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(series(&val), ["1.0", "1.4"]);
    assert_eq!(series(&train), ["1.1", "1.2", "1.3", "1.5"]);
    let message = Split::Series.divide(all[..3].to_vec(), 10).unwrap_err().to_string();
    assert!(message.contains("are nodules") && message.contains("--val-stride"), "{message}");
}

fn contents(epoch: Epoch) -> Vec<(Vec<u32>, Vec<u32>)> {
    let bits = |batch: voxgrad_engine::data::Batch| {
        let inputs = batch.inputs.to_vec::<f32>().unwrap();
        (inputs.into_iter().map(f32::to_bits).collect(), batch.targets.to_vec::<u32>().unwrap())
    };
    epoch.map(|batch| bits(batch.unwrap())).collect()
}

#[test]
fn balanced_and_augmented_samples_do_not_depend_on_the_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let crops = Arc::new(crops(folder.path(), 2));
    let all = candidates(&crops);
    let dataset = LunaDataset::new(crops.clone(), all.clone(), Augmentation::BOOK);
    assert_eq!(dataset.by_class(), [vec![0, 1], (2..16).collect()]);
    let sampler = dataset.balanced(12).unwrap();
    let loader = DataLoader::new(Arc::new(dataset), 4).unwrap().sampler(sampler, 3);
    let plain = contents(loader.epoch(0));
    assert_eq!(plain.len(), 3);
    assert!(plain.iter().all(|(_, targets)| targets == &[1, 0, 1, 0]));
    for workers in [1, 2, 5] {
        assert!(contents(loader.clone().workers(workers).epoch(0)) == plain, "{workers} workers");
    }
    assert!(contents(loader.epoch(1)) != plain);
    assert!(contents(loader.epoch_from(0, 2)) == plain[2..]);

    let sample = LunaDataset::new(crops, all, Augmentation::NONE).get(0, &mut Rng::new(0, 0)).unwrap();
    assert_eq!((&sample.shape[..], sample.target), (&[1, 32, 48, 48][..], 1));
}
