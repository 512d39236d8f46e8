//! The candidates that a network is surest of, rightly and wrongly.

use std::path::Path;

use super::view::{NO_DIAMETER, Plane, View, ring_mm};
use super::{Prediction, describe, planes, short};
use crate::Result;
use crate::luna::ct::Ct;
use crate::plot::{ImageGrid, Picture};

/// Candidates of a kind.
const COLUMNS: usize = 6;
/// What a picture shows, in mm, and its side in pixels.
const SIDE_MM: f64 = 50.0;
const SIDE: f64 = 170.0;

/// Draws into `directory` the most certain hits, misses and false alarms, `findings.png`, each the axial
/// slice through its candidate with a ring of its diameter, and the first hit and the first miss in three
/// planes, `hit.png` and `miss.png`. Returns the names of the pictures.
///
/// # Errors
/// When a picture can't be written or a scan can't be read.
pub fn draw_findings(
    directory: &Path,
    predictions: &[Prediction],
    ct: &mut impl FnMut(&str) -> Result<Ct>,
) -> Result<Vec<&'static str>> {
    let kinds = [
        Kind::of("hit", predictions, |p| p.candidate.is_nodule && p.called_nodule()),
        Kind::of("miss", predictions, |p| p.candidate.is_nodule && !p.called_nodule()),
        Kind::of("false alarm", predictions, |p| !p.candidate.is_nodule && p.called_nodule()),
    ];
    // By scans: one at a time is in memory.
    let mut chosen: Vec<(usize, usize, &Prediction)> = Vec::new();
    for (k, kind) in kinds.iter().enumerate() {
        chosen.extend(kind.surest.iter().enumerate().map(|(place, prediction)| (k, place, *prediction)));
    }
    chosen.sort_by(|a, b| a.2.candidate.series_uid.cmp(&b.2.candidate.series_uid));
    let mut names = vec!["findings.png"];
    let mut pictures: Vec<(usize, usize, Picture)> = Vec::new();
    for same in chosen.chunk_by(|a, b| a.2.candidate.series_uid == b.2.candidate.series_uid) {
        let scan = ct(&same[0].2.candidate.series_uid)?;
        for &(k, place, prediction) in same {
            pictures.push((k, place, picture(&scan, prediction)));
            if let (0, Some(name)) = (place, ["hit.png", "miss.png"].get(k)) {
                let candidate = &prediction.candidate;
                let title = format!("{}: {}", kinds[k].title(), said(prediction));
                planes(&directory.join(name), &scan, candidate.center_xyz, candidate.diameter_mm, &title)?;
                names.push(name);
            }
        }
    }
    pictures.sort_by_key(|(k, place, _)| (*k, *place));

    let nodules = predictions.iter().filter(|p| p.candidate.is_nodule).count();
    let (found, alarms) = (kinds[0].count, kinds[2].count);
    let mut grid =
        ImageGrid::new("The most certain hits, misses and false alarms", COLUMNS, 1).subtitle(format!(
            "{found} of {nodules} nodules found, {alarms} false alarms among {} others; {SIDE_MM} mm a side, \
             ring: the diameter, or {NO_DIAMETER} mm",
            predictions.len() - nodules
        ));
    for (k, kind) in kinds.iter().enumerate() {
        let of_kind = pictures.iter().filter(|(of, ..)| *of == k);
        for (prediction, (.., picture)) in kind.surest.iter().zip(of_kind) {
            let candidate = &prediction.candidate;
            let caption = [
                format!("{}, {:.1}%", kind.name, 100.0 * prediction.probability),
                describe(candidate),
                format!("series ..{}", short(&candidate.series_uid)),
                format!("z = {:.1} mm", candidate.center_xyz[2]),
            ];
            grid.push(picture.clone(), caption, k > 0);
        }
        grid.end_row();
    }
    grid.save(directory.join("findings.png"))?;
    Ok(names)
}

/// Predictions that came out in one way.
struct Kind<'a> {
    name: &'static str,
    count: usize,
    /// The most certain ones.
    surest: Vec<&'a Prediction>,
}

impl<'a> Kind<'a> {
    fn of(name: &'static str, all: &'a [Prediction], is_one: impl Fn(&Prediction) -> bool) -> Kind<'a> {
        let mut surest: Vec<&Prediction> = all.iter().filter(|p| is_one(p)).collect();
        let count = surest.len();
        // Of a miss, one is sure that it is none. A stable order: that of the table, where they tie.
        let certainty = |p: &Prediction| if p.called_nodule() { p.probability } else { 1.0 - p.probability };
        surest.sort_by(|a, b| certainty(b).total_cmp(&certainty(a)));
        surest.truncate(COLUMNS);
        Kind { name, count, surest }
    }

    fn title(&self) -> String {
        format!("The most certain {}", self.name)
    }
}

/// Such as `99.8% for a nodule of 12.8 mm in ..003264`.
fn said(prediction: &Prediction) -> String {
    let candidate = &prediction.candidate;
    let (what, series) = (describe(candidate), short(&candidate.series_uid));
    format!("{:.1}% for a {what} in ..{series}", 100.0 * prediction.probability)
}

/// The axial slice through a candidate.
fn picture(ct: &Ct, prediction: &Prediction) -> Picture {
    let candidate = &prediction.candidate;
    let xyz = candidate.center_xyz;
    let view =
        View { plane: Plane::Axial, middle: xyz, size: (SIDE_MM, SIDE_MM), mm_per_pixel: SIDE_MM / SIDE };
    let mut picture = view.draw(ct);
    view.ring(&mut picture, xyz, ring_mm(candidate.diameter_mm));
    picture
}
