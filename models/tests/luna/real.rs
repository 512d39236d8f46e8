//! Two scans of LUNA16, where `VOXGRAD_DATA` names a directory that holds them.

use std::path::PathBuf;

use md5::{Digest, Md5};
use voxgrad_models::luna::ct::CROP;
use voxgrad_models::luna::metaimage::{ElementType, MetaImage};
use voxgrad_models::luna::scans::Scans;
use voxgrad_models::luna::tables;

const ROOT: &str = "1.3.6.1.4.1.14519.5.2.1.6279.6001.";
const FIRST: &str = "179049373636438705059720603192";
const SECOND: &str = "170706757615202213033480003264";

/// The folder, or none: then the test has nothing to look at, and says so.
fn luna() -> Option<PathBuf> {
    let folder = std::env::var_os("VOXGRAD_DATA").map(|data| PathBuf::from(data).join("luna"));
    let folder = folder.filter(|folder| folder.join("scans").join(format!("{ROOT}{FIRST}.mhd")).is_file());
    if folder.is_none() {
        crate::require::skip("data", "VOXGRAD_DATA names no directory with LUNA16's scans");
    }
    folder
}

#[test]
fn the_voxels_are_those_of_the_scanner() {
    let Some(folder) = luna() else { return };
    for (name, size, range, md5) in [
        (FIRST, [83, 260, 348], [-1024.0, 3071.0], "bd9bd60c8a6e8f64db4914512c939822"),
        (SECOND, [111, 235, 283], [-1549.0, 5273.0], "0054c74468de0c92ca4f92190f1b2827"),
    ] {
        let image = MetaImage::read(folder.join("scans").join(format!("{ROOT}{name}.mhd"))).unwrap();
        assert_eq!((image.size, image.element), (size, ElementType::Short));
        let found: String = Md5::digest(&image.data).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, md5, "{name}");
        let hu = image.to_f32();
        let ends = [hu.iter().copied().fold(f32::MAX, f32::min), hu.iter().copied().fold(f32::MIN, f32::max)];
        assert_eq!(ends, range, "{name}");
    }
}

/// All 77 findings lie inside, and a nodule is brighter than what surrounds it.
#[test]
fn every_finding_has_its_place() {
    let Some(folder) = luna() else { return };
    let scans = Scans::open(&folder).unwrap();
    assert_eq!((scans.series().count(), scans.broken().len()), (2, 0));
    assert_eq!(scans.annotations().unwrap().len(), 1186);
    assert_eq!(tables::read_annotations(folder.join("annotations_with_malignancy.csv")).unwrap().len(), 1182);

    // There is no candidates.csv: the nodules and the excluded findings are the candidates.
    let findings = scans.candidates().unwrap();
    assert_eq!(findings.len(), 1186 + 35192);
    let cts = [FIRST, SECOND].map(|name| scans.ct(&format!("{ROOT}{name}")).unwrap());
    let mut placed = 0;
    for ct in &cts {
        for finding in findings.iter().filter(|finding| finding.series_uid == ct.series_uid) {
            let irc = ct.geometry.xyz_to_irc(finding.center_xyz);
            // The scans were cropped such that no window has to be shifted.
            let (_, start) = ct.window(irc, CROP).unwrap();
            assert_eq!(start, [irc[0] - 16, irc[1] - 24, irc[2] - 24], "{finding:?}");
            let back = ct.geometry.irc_to_xyz(irc);
            let off = (0..3).map(|k| (back[k] - finding.center_xyz[k]).abs() / ct.geometry.spacing[k]);
            assert!(off.fold(0.0, f64::max) <= 0.5 + 1e-9, "{finding:?}");
            placed += 1;
        }
    }
    assert_eq!(placed, 77);

    // The table has some of them twice.
    let (joined, left_out) = scans.join().unwrap();
    assert_eq!((joined.len(), left_out.repeated.0, left_out.outside.0), (59, 18, 0));
    assert_eq!(left_out.no_scan.1, 1186 + 35192 - 77);
    let expected =
        [(23.4, [67, 235, 232]), (21.5, [53, 202, 254]), (12.8, [62, 71, 108]), (8.8, [61, 50, 195])];
    for (nodule, (diameter, centre)) in joined.iter().zip(expected) {
        assert!(nodule.is_nodule && (nodule.diameter_mm - diameter).abs() < 0.05, "{nodule:?}");
        let ct = cts.iter().find(|ct| ct.series_uid == nodule.series_uid).unwrap();
        let irc = ct.geometry.xyz_to_irc(nodule.center_xyz);
        assert_eq!(irc, centre);
        let mean = |size: [usize; 3]| {
            let (voxels, _) = ct.window(irc, size).unwrap();
            voxels.iter().sum::<f32>() / voxels.len() as f32
        };
        let (middle, all) = (mean([2, 4, 4]), mean(CROP));
        assert!(middle > -100.0 && middle > all + 300.0, "{nodule:?}: {middle} HU in {all} HU");
    }
    assert!(joined[4..].iter().all(|finding| !finding.is_nodule));
}
