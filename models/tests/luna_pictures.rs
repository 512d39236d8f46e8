//! Pictures of the real LUNA16 scans, where `VOXGRAD_DATA` names a directory that holds them. They stay in
//! the directory `VOXGRAD_PICTURES`, if it is given, to be looked at.

#[path = "../../tests/common/require.rs"]
mod require;

use std::path::PathBuf;

use voxgrad_models::luna::look;
use voxgrad_models::luna::scans::Scans;

/// The annotated nodules, each in three planes: solid where the mark is, lung not far from it.
#[test]
fn real_nodules_are_where_their_marks_are() {
    let folder = std::env::var_os("VOXGRAD_DATA").map(|data| PathBuf::from(data).join("luna"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        require::skip("data", "VOXGRAD_DATA names no directory with LUNA16");
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let pictures = std::env::var_os("VOXGRAD_PICTURES").map_or(temporary.path().into(), PathBuf::from);
    let scans = Scans::open(&folder).unwrap();
    let mut seen = 0;
    for nodule in scans.annotations().unwrap() {
        if scans.header(&nodule.series_uid).is_none() {
            continue;
        }
        let ct = scans.ct(&nodule.series_uid).unwrap();
        let (xyz, mm) = (nodule.center_xyz, nodule.diameter_mm);
        seen += 1;
        let title = format!("Nodule {seen}, {mm:.1} mm");
        look::planes(&pictures.join(format!("nodule{seen}.png")), &ct, xyz, mm, &title).unwrap();

        let mean_around = |mm: f64| {
            let [x, y, z] = ct.geometry.spacing;
            let size = [z, y, x].map(|spacing| (mm / spacing).ceil() as usize);
            let (hu, _) = ct.window(ct.geometry.xyz_to_irc(xyz), size).unwrap();
            hu.iter().sum::<f32>() / hu.len() as f32
        };
        let (inside, around) = (mean_around(0.4 * mm), mean_around(3.0 * mm));
        assert!(inside > -300.0 && inside < 300.0, "{nodule:?}: {inside} HU is not solid");
        assert!(inside > around + 100.0, "{nodule:?}: no lung around it, {inside} and {around} HU");
    }
    assert!(seen > 0, "no annotated scan in {}", folder.display());
}
