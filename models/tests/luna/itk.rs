//! The same voxels and the same places as ITK has: files that SimpleITK has written, and what it reads in them.

use serde_json::Value;
use voxgrad_models::luna::ct::{Ct, HU};
use voxgrad_models::luna::metaimage::{MetaImage, Store};

use crate::file;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The numbers agree to a millionth of a millionth of the largest.
#[track_caller]
fn close(ours: &[f64], theirs: &[f64], what: &str) {
    let largest = theirs.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    let off = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(ours.len() == theirs.len() && off <= 1e-12 * largest, "{what}: {ours:?}, ITK has {theirs:?}");
}

#[test]
fn the_same_voxels_and_places_as_itk() {
    let expected: Value = serde_json::from_slice(&std::fs::read(file("expected.json")).unwrap()).unwrap();
    let expected = expected.as_array().unwrap();
    assert_eq!(expected.len(), 23);
    for theirs in expected {
        let name = theirs["file"].as_str().unwrap();
        let image = MetaImage::read(file(name)).unwrap();
        let geometry = image.geometry;
        assert_eq!(image.size.map(|n| n as f64)[..], numbers(&theirs["size"]), "{name}");
        let voxels: Vec<f32> = numbers(&theirs["voxels"]).iter().map(|&v| v as f32).collect();
        assert_eq!(image.to_f32(), voxels, "{name}");
        close(&geometry.origin, &numbers(&theirs["origin"]), name);
        close(&geometry.spacing, &numbers(&theirs["spacing"]), name);
        close(geometry.direction.as_flattened(), &numbers(&theirs["direction"]), name);

        for pair in theirs["xyz_of_cri"].as_array().unwrap() {
            let cri: Vec<i64> = numbers(&pair[0]).iter().map(|&i| i as i64).collect();
            let irc = [cri[2], cri[1], cri[0]];
            let xyz = geometry.irc_to_xyz(irc);
            close(&xyz, &numbers(&pair[1]), name);
            assert_eq!(geometry.xyz_to_irc(xyz), irc, "{name}");
        }
        for pair in theirs["cri_of_xyz"].as_array().unwrap() {
            let xyz = numbers(&pair[0]).try_into().unwrap();
            let cri = numbers(&pair[1]);
            close(&geometry.xyz_to_cri(xyz), &cri, name);
            let [col, row, index] = [0, 1, 2].map(|k| cri[k].round_ties_even() as i64);
            assert_eq!(geometry.xyz_to_irc(xyz), [index, row, col], "{name}");
        }
    }
}

/// check.py holds these files against the ones they were made of, by SimpleITK. After a wanted change of
/// what is written, write them anew: the test leaves the new ones where it says.
#[test]
fn what_voxgrad_writes_is_what_check_py_reads() {
    let folder = tempfile::tempdir().unwrap().keep();
    for (theirs, ours, store) in [
        ("turned.mhd", "voxgrad_turned.mhd", Store::Raw),
        ("cyclic.mhd", "voxgrad_cyclic.mhd", Store::Compressed),
        ("turned_float.mha", "voxgrad_turned_float.mha", Store::Raw),
        ("msb.mhd", "voxgrad_msb.mha", Store::Compressed),
    ] {
        let image = MetaImage::read(file(theirs)).unwrap();
        image.write(folder.join(ours), store).unwrap();
        assert_eq!(MetaImage::read(folder.join(ours)).unwrap(), image);
    }
    let mut written = 0;
    for new in folder.read_dir().unwrap() {
        let new = new.unwrap().path();
        let old = file(new.file_name().unwrap().to_str().unwrap());
        let same = std::fs::read(&new).unwrap() == std::fs::read(&old).unwrap_or_default();
        assert!(same, "{} is not {}", new.display(), old.display());
        written += 1;
    }
    assert_eq!(written, 6);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_scan_is_clipped_and_named_after_its_file() {
    let ct = Ct::read(file("turned.mhd")).unwrap();
    let image = MetaImage::read(file("turned.mhd")).unwrap();
    assert_eq!((ct.series_uid.as_str(), ct.size, ct.geometry), ("turned", image.size, image.geometry));
    let clipped: Vec<f32> = image.to_f32().iter().map(|v| v.clamp(HU.0, HU.1)).collect();
    assert!(clipped != image.to_f32());
    assert_eq!(ct.hu, clipped);
}

#[test]
fn only_what_has_its_name_is_written() {
    let mut image = MetaImage::read(file("identity.mhd")).unwrap();
    let message = image.write("scan.png", Store::Raw).unwrap_err().to_string();
    assert_eq!(message, "scan.png: a MetaImage's name ends with .mhd or .mha");
    image.data.pop();
    let message = image.write("scan.mhd", Store::Raw).unwrap_err().to_string();
    assert_eq!(message, "scan.mhd: [3, 4, 5] voxels of MET_SHORT are not 119 bytes");
    assert!(!std::path::Path::new("scan.raw").exists());
}
