use std::path::PathBuf;

use super::view::{Plane, View};
use super::*;
use crate::luna::geometry::{Geometry, IDENTITY};
use crate::trainer::EpochMetrics;

/// Where the pictures go: a temporary directory, or `$VOXGRAD_PICTURES` to look at them.
fn directory() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("VOXGRAD_PICTURES") {
        Some(path) => (path.into(), None),
        None => {
            let temporary = tempfile::tempdir().unwrap();
            (temporary.path().into(), Some(temporary))
        }
    }
}

const BALL: [f64; 3] = [10.0, -20.0, 30.0];

/// Air with a ball of water of `radius` mm at [`BALL`], and a cube of bone in the patient's front left.
fn ball(radius: f64, geometry: Geometry, size: [usize; 3]) -> Ct {
    let [slices, rows, columns] = size.map(|n| n as i64);
    let voxels = (0..slices).flat_map(|i| (0..rows).flat_map(move |r| (0..columns).map(move |c| [i, r, c])));
    let hu = voxels.map(|irc| {
        let xyz = geometry.irc_to_xyz(irc);
        let away = xyz.iter().zip(BALL).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        let bone = (0..3).all(|axis| (xyz[axis] - [25.0, -40.0, 45.0][axis]).abs() < 5.0);
        if bone {
            1000.0
        } else if away <= radius {
            0.0
        } else {
            -1000.0
        }
    });
    Ct { series_uid: "1.2.345678".into(), hu: hu.collect(), size, geometry }
}

/// Thick slices, as scanners make them.
fn scan() -> Ct {
    ball(10.0, Geometry::new([-30.0, -60.0, -10.0], [1.0, 0.8, 2.5], IDENTITY).unwrap(), [32, 100, 80])
}

/// How many pixels are about as bright as water, and their middle.
fn water(picture: &crate::plot::Picture, width: usize) -> (f64, (f64, f64)) {
    let pixels =
        picture.rgb().chunks(3).enumerate().filter(|(_, p)| (98..226).contains(&p[0]) && p[0] == p[2]);
    let places: Vec<(f64, f64)> =
        pixels.map(|(i, _)| ((i % width) as f64 + 0.5, (i / width) as f64 + 0.5)).collect();
    let n = places.len() as f64;
    (n, (places.iter().map(|p| p.0).sum::<f64>() / n, places.iter().map(|p| p.1).sum::<f64>() / n))
}

#[test]
fn a_ball_is_round_in_every_plane_and_in_its_place() {
    // One as it is, and the same patient in a scan that counts its columns to the back, its rows to the
    // right and its slices to the feet.
    let turned = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]];
    let turned = Geometry::new([50.0, -60.0, 70.0], [0.8, 1.0, 2.0], turned).unwrap();
    for ct in [scan(), ball(10.0, turned, [40, 80, 100])] {
        for plane in Plane::ALL {
            let mut middle = BALL;
            middle[plane.axes().0] += 5.0;
            middle[plane.axes().1] += 2.0;
            let view = View { plane, middle, size: (50.0, 40.0), mm_per_pixel: 0.25 };
            let (area, (x, y)) = water(&view.draw(&ct), 200);
            let wanted = std::f64::consts::PI * 100.0 / (0.25 * 0.25);
            assert!((area / wanted - 1.0).abs() < 0.08, "{plane:?}: {area} of {wanted}");
            let (px, py) = view.place(BALL);
            assert!((x - px).hypot(y - py) < 3.0, "{plane:?}: at {x}, {y}, marked at {px}, {py}");
        }
    }
}

/// The bone is to the left, in front and above of the ball.
#[test]
fn pictures_lie_as_radiologists_have_them() {
    let ct = scan();
    for (plane, right, down) in
        [(Plane::Axial, true, false), (Plane::Coronal, true, false), (Plane::Sagittal, false, false)]
    {
        let mut middle = BALL;
        middle[plane.axes().3] = [25.0, -40.0, 45.0][plane.axes().3];
        let picture = View { plane, middle, size: (80.0, 80.0), mm_per_pixel: 1.0 }.draw(&ct);
        let white = picture.rgb().chunks(3).enumerate().filter(|(_, p)| p[0] == 255);
        let white: Vec<(usize, usize)> = white.map(|(i, _)| (i % 80, i / 80)).collect();
        assert!((30..150).contains(&white.len()), "{plane:?}: {}", white.len());
        assert!(white.iter().all(|(x, y)| (*x > 40) == right && (*y > 40) == down), "{plane:?}");
    }
}

#[test]
fn marks_are_in_millimetres() {
    let view = View { plane: Plane::Coronal, middle: BALL, size: (50.0, 50.0), mm_per_pixel: 0.25 };
    let mut picture = view.draw(&scan());
    view.ring(&mut picture, BALL, 20.0);
    let row = &picture.rgb()[3 * 200 * 100..][..3 * 200];
    let marked = row.chunks(3).enumerate().filter(|(_, p)| p[0].abs_diff(p[2]) > 60).map(|(x, _)| x);
    let marked: Vec<usize> = marked.collect();
    assert_eq!(marked, [59, 60, 139, 140], "10 mm to both sides of the middle");
}

#[test]
fn three_planes_of_a_scan() {
    let (dir, _keep) = directory();
    planes(&dir.join("planes.png"), &scan(), BALL, 20.0, "A ball of water").unwrap();
    planes(&dir.join("planes_none.png"), &scan(), BALL, -1.0, "No diameter").unwrap();
    let outside = planes(&dir.join("x.png"), &scan(), [500.0, 0.0, 0.0], 20.0, "").unwrap_err().to_string();
    assert!(outside.contains("1.2.345678") && outside.contains("lies outside"), "{outside}");
    assert!(!dir.join("x.png").exists());
}

fn prediction(is_nodule: bool, probability: f64, series: &str) -> Prediction {
    let diameter_mm = if is_nodule { 20.0 } else { 0.0 };
    let series_uid = format!("1.2.{series}");
    Prediction {
        candidate: CandidateInfo { is_nodule, diameter_mm, series_uid, center_xyz: BALL },
        probability,
    }
}

#[test]
fn results_of_a_validation_set() {
    let (dir, _keep) = directory();
    let predictions: Vec<Prediction> = (0..200)
        .map(|i| {
            let (nodule, even) = (i % 9 == 0, f64::from(i * 73 % 200) / 200.0);
            let probability = if nodule { even.powf(0.3) } else { even.powi(6) };
            prediction(nodule, probability, &format!("{}", 100_000 + i % 5))
        })
        .collect();
    let mut asked = Vec::new();
    let names = results(&dir, &predictions, |series| {
        asked.push(series.to_string());
        Ok(scan())
    });
    let pictures = ["roc.png", "pr.png", "probabilities.png", "confusion.png", "findings.png"];
    let mut names = names.unwrap();
    assert_eq!(names[..5], pictures);
    names[5..].sort();
    assert_eq!(names[5..], ["hit.png", "miss.png"]);
    assert!(names.iter().all(|name| dir.join(name).is_file()));
    let times = asked.len();
    asked.dedup();
    assert_eq!(asked.len(), times, "each scan once: {asked:?}");

    // "99.7% correct and useless": nothing is called a nodule, so there are misses alone.
    let (dir, _keep) = (dir.join("useless"), ());
    std::fs::create_dir_all(&dir).unwrap();
    let useless: Vec<Prediction> = (0..100).map(|i| prediction(i < 3, 0.01, "7")).collect();
    let names = results(&dir, &useless, |_| Ok(scan())).unwrap();
    assert_eq!(names[5..], ["miss.png"]);
    let nan: Vec<Prediction> = (0..10).map(|i| prediction(i < 3, f64::NAN, "7")).collect();
    results(&dir, &nan, |_| Ok(scan())).unwrap();
    results(&dir, &[], |_| Ok(scan())).unwrap();
}

/// Of an unbalanced training: more and more is told right, and no nodule.
#[test]
fn epochs_show_what_accuracy_hides() {
    let (dir, _keep) = directory();
    let epoch = |epoch: usize| {
        let rest = (-(epoch as f64)).exp();
        let more = [
            ("val_correct_all", 99.7 - rest),
            ("val_correct_neg", 100.0 - rest),
            ("val_correct_pos", 30.0 * rest),
            ("val_precision", f64::NAN),
            ("val_recall", 0.3 * rest),
            ("val_f1", 0.1 * rest),
        ];
        let more = more.map(|(name, value)| (name.to_string(), value)).into_iter().collect();
        EpochMetrics {
            epoch,
            train_loss: 0.1,
            val_loss: 0.1,
            train_acc: 1.0,
            val_acc: 1.0,
            seconds: 1.0,
            more,
        }
    };
    let history: Vec<EpochMetrics> = (1..=10).map(epoch).collect();
    assert_eq!(draw_epochs(&dir, &history).unwrap(), ["correct.png", "scores.png"]);
    assert!(dir.join("correct.png").is_file() && !dir.join("losses.png").exists());
    assert!(draw_epochs(&dir, &[]).unwrap().is_empty());
}

#[test]
fn a_scan_that_cannot_be_read_is_an_error() {
    let (dir, _keep) = directory();
    let gone = |series: &str| Err(crate::Error::Run(format!("{series} is gone")));
    let message = results(&dir, &[prediction(true, 0.9, "8")], gone).unwrap_err().to_string();
    assert_eq!(message, "1.2.8 is gone");
}
