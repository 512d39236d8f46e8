//! Our event files, byte for byte those that TensorBoard's own code has written
//! (`tests/tensorboard/make.py`). Both were made with the same fixed times.

use super::*;
use crate::curves::unit_edges;

/// A name and what is in it, for all files of a folder in the order of their names.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let file = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| file(entry.unwrap())).collect();
    files.sort();
    files
}

#[test]
fn files_are_those_of_tensorboards_own_writer() {
    let dir = tempfile::tempdir().unwrap();
    let sample = |i: usize| ((i * 37 % 101) as f64 / 100.0, i.is_multiple_of(3));
    let scored: Vec<(f64, bool)> = (0..60).map(sample).collect();
    let positives: Vec<f64> = scored.iter().filter(|(_, positive)| *positive).map(|(p, _)| *p).collect();
    let edges = unit_edges(50);

    let mut first = SummaryWriter::open(dir.path(), 0, || 1_700_000_000.25).unwrap();
    first.scalar("loss/all", 0.0, 0).unwrap();
    first.scalar("loss/all", 0.3, 100).unwrap();
    first.histogram("probability/pos", &positives, &edges, 100).unwrap();
    first.histogram("nothing", &[], &edges, 100).unwrap();
    first.pr_curve("pr", &scored, 100).unwrap();
    first.scalar("loss/all", f64::NAN, 200).unwrap();
    first.scalar("loss/all", 7.0, 300).unwrap();
    first.flush().unwrap();
    assert_eq!(first.length, fs::metadata(first.path()).unwrap().len());
    let mut second = SummaryWriter::open(dir.path(), 200, || 1_700_000_060.25).unwrap();
    second.scalar("loss/all", 0.2, 200).unwrap();
    second.scalar("loss/all", -0.1, 3_000_000_000).unwrap();

    let (ours, theirs) = (files(dir.path()), files(Path::new("tests/tensorboard/run")));
    for ((name, ours), (wanted, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(name, wanted);
        let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
        assert!(ours == theirs, "{name}: {} and {} bytes, other ones from {same}", ours.len(), theirs.len());
    }
    assert_eq!((ours.len(), theirs.len()), (2, 2));
}

#[test]
fn a_curve_counts_what_reaches_each_threshold() {
    let read = |scored: &[(f64, bool)]| event::pr_curve(scored);
    // One of the two negatives is not below 0.5.
    let curve = read(&[(0.9, true), (0.5, false), (0.1, false), (f64::NAN, true), (7.0, true)]);
    let at = |t: usize| curve.map(|row| row[t]);
    assert_eq!(at(0), [3., 2., 0., 0., 0.6, 1.]);
    assert_eq!(at(63), [2., 1., 1., 1., 2. / 3., 2. / 3.]);
    assert_eq!(at(64), [2., 0., 2., 1., 1., 2. / 3.]);
    assert_eq!(at(126), [1., 0., 2., 2., 1., 1. / 3.]);
    assert_eq!(read(&[]), [[0.0; 127]; 6], "no NaN where nothing can be divided");
}

#[test]
fn a_new_file_comes_after_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SummaryWriter::open(dir.path(), 0, || 1_700_000_000.25).unwrap();
    let name = |writer: &SummaryWriter| writer.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name(&open()), "events.out.tfevents.1700000000.voxgrad");
    // In the same second, and one that PyTorch has written with another clock.
    assert_eq!(name(&open()), "events.out.tfevents.1700000001.voxgrad");
    fs::write(dir.path().join("events.out.tfevents.1800000000.host.1.0"), "").unwrap();
    fs::write(dir.path().join("events.out.tfevents.notes"), "").unwrap();
    assert_eq!(name(&open()), "events.out.tfevents.1800000001.voxgrad");
    let start = fs::read("tests/tensorboard/run/events.out.tfevents.1700000000.voxgrad").unwrap();
    assert!(start.starts_with(&files(dir.path())[0].1), "older files stay as they are");
}

#[test]
fn what_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let message = SummaryWriter::create(file.join("run")).unwrap_err().to_string();
    assert!(message.contains("file/run"), "{message}");
    let mut writer = SummaryWriter::create(dir.path()).unwrap();
    let before = fs::read(writer.path()).unwrap();
    let message = writer.histogram("h", &[0.5], &[1.0, 0.0], 0).unwrap_err().to_string();
    assert!(message.contains("[1.0, 0.0]"), "{message}");
    assert_eq!(fs::read(writer.path()).unwrap(), before);
}

/// Linux has a device that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let path = PathBuf::from("/dev/full");
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    let mut writer = SummaryWriter { path, file, length: 0, clock: now };
    let message = writer.scalar("loss", 1.0, 1).unwrap_err().to_string();
    assert!(message.starts_with("/dev/full: "), "{message}");
    assert_eq!(writer.length, 0);
}
