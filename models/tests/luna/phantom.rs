//! The drawn scans: like LUNA16's on disk, and with nodules that only their shape tells.

use std::fs;

use voxgrad_models::luna::ct::{CROP, Ct};
use voxgrad_models::luna::metaimage::MetaImage;
use voxgrad_models::luna::phantom::Phantom;
use voxgrad_models::luna::scans::Scans;

/// A few candidates in a small scan: quick to draw.
fn small() -> Phantom {
    Phantom { seed: 3, size: [48, 96, 96], candidates: 30, nodules: [1, 3] }
}

#[test]
fn scans_and_tables_lie_as_those_of_luna16() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("new/scans");
    let mut told = vec![];
    small().write_scans(&folder, 4, |done| told.push(done)).unwrap();
    assert_eq!(told, [1, 2, 3, 4]);
    let first_line =
        |table: &str| fs::read_to_string(folder.join(table)).unwrap().lines().next().unwrap().to_string();
    assert_eq!(first_line("annotations.csv"), "seriesuid,coordX,coordY,coordZ,diameter_mm");
    assert_eq!(first_line("candidates.csv"), "seriesuid,coordX,coordY,coordZ,class");

    let scans = Scans::open(&folder).unwrap();
    assert_eq!((scans.series().count(), scans.broken().len()), (4, 0));
    let (joined, left_out) = scans.join().unwrap();
    assert!(left_out.lines().is_empty(), "{:?}", left_out.lines());
    assert!(joined.len() > 60 && joined.len() <= 4 * 33, "{} candidates", joined.len());
    let annotations = scans.annotations().unwrap();
    let nodules = joined.iter().filter(|candidate| candidate.is_nodule).count();
    assert!((4..=12).contains(&annotations.len()) && nodules >= annotations.len());
    for candidate in &joined {
        // Every nodule finds its annotation, and nothing else does.
        assert_eq!(candidate.is_nodule, candidate.diameter_mm > 0.0, "{candidate:?}");
        assert!(candidate.diameter_mm < 30.0 && (!candidate.is_nodule || candidate.diameter_mm >= 3.0));
        let geometry = scans.header(&candidate.series_uid).unwrap().geometry;
        let [x, y, z] = geometry.spacing;
        assert!(x == y && (0.6..0.85).contains(&x) && (1.0..2.5).contains(&z), "{geometry:?}");
        let ct = scans.ct(&candidate.series_uid).unwrap();
        ct.window(geometry.xyz_to_irc(candidate.center_xyz), CROP).unwrap();
    }

    // Nothing that is there is drawn over.
    let message = small().write_scans(&folder, 1, |_| {}).unwrap_err().to_string();
    assert!(message.contains("holds candidates.csv already"), "{message}");
}

/// The same scans again, whatever the number of them, and others for another seed.
#[test]
fn a_seed_is_a_set_of_scans() {
    let scan = small().draw(2).unwrap();
    assert_eq!(small().draw(2).unwrap(), scan);
    let other = Phantom { seed: 4, ..small() }.draw(2).unwrap();
    assert!(other.series_uid != scan.series_uid && other.image.data != scan.image.data);
    assert!(small().draw(1).unwrap().series_uid != scan.series_uid);
    assert!(scan.series_uid.len() <= 64, "a DICOM identifier has no more characters");

    let folder = tempfile::tempdir().unwrap();
    small().write_scans(folder.path(), 3, |_| {}).unwrap();
    let written = MetaImage::read(folder.path().join(format!("{}.mhd", scan.series_uid))).unwrap();
    assert_eq!(written, scan.image);
}

/// Some scans lie with x and y the other way round; their nodules are where their tables say.
#[test]
fn a_nodule_is_brighter_than_its_lung_in_every_direction() {
    let (mut turned, mut as_usual, mut nodules) = (0, 0, 0);
    for number in 0..24 {
        let scan = small().draw(number).unwrap();
        let geometry = scan.image.geometry;
        if geometry.direction[0][0] < 0.0 {
            turned += 1
        } else {
            as_usual += 1
        };
        let hu = scan.image.to_f32();
        let [_, rows, columns] = scan.image.size;
        for nodule in scan.annotations {
            let [index, row, col] = geometry.xyz_to_irc(nodule.center_xyz).map(|at| at as usize);
            let middle = hu[(index * rows + row) * columns + col];
            assert!(middle > -750.0, "scan {number}: {middle} HU in the middle of {nodule:?}");
            nodules += 1;
        }
    }
    assert!(turned > 0 && as_usual > turned && nodules > 30, "{turned}, {as_usual}, {nodules}");
}

#[test]
fn what_can_not_be_drawn_is_refused() {
    let refused = |phantom: Phantom| phantom.draw(0).unwrap_err().to_string();
    assert_eq!(
        refused(Phantom { size: [96, 40, 192], ..small() }),
        "the size of a phantom is [96, 40, 192] (slices, rows, columns), should be [32, 48, 48] to 2048 each"
    );
    assert!(refused(Phantom { size: [96, 192, 4000], ..small() }).ends_with("to 2048 each"));
    assert_eq!(
        refused(Phantom { nodules: [3, 40], ..small() }),
        "3 to 40 nodules among 30 candidates: should be no more than there are candidates"
    );
    assert!(refused(Phantom { nodules: [3, 2], ..small() }).starts_with("3 to 2 nodules"));
}

/// What a threshold looks at: one number for a candidate.
struct Feature {
    name: &'static str,
    of: fn(&Ct, [i64; 3]) -> f32,
}

/// The voxels within `mm` of a place along each axis.
fn around(ct: &Ct, at: [i64; 3], mm: f64) -> Vec<f32> {
    let mut voxels = vec![];
    let range = |axis: usize| {
        let far = (mm / ct.geometry.spacing[2 - axis]).round() as i64;
        (at[axis] - far).max(0) as usize..(at[axis] + far + 1).min(ct.size[axis] as i64) as usize
    };
    for index in range(0) {
        for row in range(1) {
            let line = (index * ct.size[1] + row) * ct.size[2];
            voxels.extend(range(2).map(|col| ct.hu[line + col]));
        }
    }
    voxels
}

fn mean(voxels: &[f32]) -> f32 {
    voxels.iter().sum::<f32>() / voxels.len() as f32
}

/// The part that is tissue.
fn tissue(voxels: &[f32]) -> f32 {
    voxels.iter().filter(|&&hu| hu > -500.0).count() as f32 / voxels.len() as f32
}

const FEATURES: [Feature; 7] = [
    Feature { name: "brightness within 1.5 mm", of: |ct, at| mean(&around(ct, at, 1.5)) },
    Feature { name: "brightness within 4 mm", of: |ct, at| mean(&around(ct, at, 4.0)) },
    Feature { name: "brightness within 12 mm", of: |ct, at| mean(&around(ct, at, 12.0)) },
    Feature {
        name: "brightest voxel within 3 mm",
        of: |ct, at| around(ct, at, 3.0).into_iter().fold(f32::MIN, f32::max),
    },
    Feature { name: "size within 3 mm", of: |ct, at| tissue(&around(ct, at, 3.0)) },
    Feature { name: "size within 6 mm", of: |ct, at| tissue(&around(ct, at, 6.0)) },
    Feature { name: "size within 12 mm", of: |ct, at| tissue(&around(ct, at, 12.0)) },
];

/// The area under the ROC curve, and the best F1 of any threshold, of values above it or below it.
fn best_threshold(mut scored: Vec<(f32, bool)>) -> (f64, f64) {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = scored.iter().filter(|(_, nodule)| *nodule).count() as f64;
    let (mut before, mut area, mut best) = (0.0, 0.0, 0.0f64);
    for (n, (_, nodule)) in (1..).zip(&scored) {
        if *nodule {
            before += 1.0;
        } else {
            area += before;
        }
        let rest = scored.len() as f64 - f64::from(n);
        best = best.max(2.0 * before / (f64::from(n) + all)).max(2.0 * (all - before) / (rest + all));
    }
    let area = area / (all * (scored.len() as f64 - all));
    (area.max(1.0 - area), best)
}

#[test]
fn no_threshold_finds_the_nodules() {
    let folder = tempfile::tempdir().unwrap();
    let phantom = Phantom { seed: 1, candidates: 200, nodules: [6, 8], ..Phantom::default() };
    phantom.write_scans(folder.path(), 6, |_| {}).unwrap();
    let scans = Scans::open(folder.path()).unwrap();
    let (joined, _) = scans.join().unwrap();
    let mut scored = FEATURES.map(|_| vec![]);
    for series in scans.series() {
        let ct = scans.ct(series).unwrap();
        for candidate in joined.iter().filter(|candidate| candidate.series_uid == series) {
            let at = ct.geometry.xyz_to_irc(candidate.center_xyz);
            for (scored, feature) in scored.iter_mut().zip(&FEATURES) {
                scored.push(((feature.of)(&ct, at), candidate.is_nodule));
            }
        }
    }
    assert!(scored[0].len() > 1000, "{} candidates", scored[0].len());
    for (scored, feature) in scored.into_iter().zip(&FEATURES) {
        let (area, f1) = best_threshold(scored);
        println!("{}: area {area:.3}, F1 {f1:.3}", feature.name);
        assert!(area < 0.8 && f1 < 0.5, "{}: area {area:.3}, F1 {f1:.3}", feature.name);
    }
    // What it would be if one did.
    assert_eq!(best_threshold(vec![(1.0, false), (3.0, true), (2.0, false), (4.0, true)]), (1.0, 1.0));
}
