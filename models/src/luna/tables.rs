//! LUNA16's tables of nodules and candidates, and how the book joins them.
//!
//! A table is text, plain or packed with gzip, with the names of its columns in the first line; columns
//! that are not asked for are passed over. Places are millimetres in the patient's frame.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::csv::Csv;
use crate::Result;

/// A nodule that readers of a scan have marked: a row of `annotations.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// The scan.
    pub series_uid: String,
    /// Its centre, x, y, z in mm.
    pub center_xyz: [f64; 3],
    /// Its diameter in mm; -1 where nobody has measured it, as in most of `annotations_excluded.csv`.
    pub diameter_mm: f64,
}

/// A place that may be a nodule: a row of `candidates.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The scan.
    pub series_uid: String,
    /// Its centre, x, y, z in mm.
    pub center_xyz: [f64; 3],
    /// Whether it is one.
    pub is_nodule: bool,
}

/// A candidate with the diameter of the annotation that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateInfo {
    /// Whether it is a nodule.
    pub is_nodule: bool,
    /// The diameter of the nodule in mm, 0 if there is no annotation near.
    pub diameter_mm: f64,
    /// The scan.
    pub series_uid: String,
    /// The centre, x, y, z in mm.
    pub center_xyz: [f64; 3],
}

/// Reads `annotations.csv`: `seriesuid,coordX,coordY,coordZ,diameter_mm`.
///
/// # Errors
/// A file that can't be read, a column that is missing, and a row that is no annotation, with its line.
pub fn read_annotations(path: impl AsRef<Path>) -> Result<Vec<Annotation>> {
    let columns = ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"];
    Csv::read(path.as_ref(), columns)?.rows(|row| {
        let diameter_mm = row.number(4)?;
        if diameter_mm <= 0.0 && diameter_mm != -1.0 {
            return Err(row.wrong(4, "a diameter in mm, or -1 where there is none"));
        }
        let center_xyz = [row.number(1)?, row.number(2)?, row.number(3)?];
        Ok(Annotation { series_uid: row.name(0)?, center_xyz, diameter_mm })
    })
}

/// Reads `candidates.csv`: `seriesuid,coordX,coordY,coordZ,class`, where class 1 is a nodule.
///
/// # Errors
/// As [`read_annotations`].
pub fn read_candidates(path: impl AsRef<Path>) -> Result<Vec<Candidate>> {
    let columns = ["seriesuid", "coordX", "coordY", "coordZ", "class"];
    Csv::read(path.as_ref(), columns)?.rows(|row| {
        let is_nodule = match row.number(4)? {
            0.0 => false,
            1.0 => true,
            _ => return Err(row.wrong(4, "0 or 1, a nodule")),
        };
        let center_xyz = [row.number(1)?, row.number(2)?, row.number(3)?];
        Ok(Candidate { series_uid: row.name(0)?, center_xyz, is_nodule })
    })
}

/// Candidates for who has no table of them: the annotated nodules, and the findings that LUNA16 leaves
/// out of the count (`annotations_excluded.csv`), which are none.
pub fn candidates_of_findings(nodules: &[Annotation], excluded: &[Annotation]) -> Vec<Candidate> {
    let nodules = nodules.iter().map(|finding| (finding, true));
    let all = nodules.chain(excluded.iter().map(|finding| (finding, false)));
    all.map(|(finding, is_nodule)| Candidate {
        series_uid: finding.series_uid.clone(),
        center_xyz: finding.center_xyz,
        is_nodule,
    })
    .collect()
}

/// Where a candidate lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a scan that is there.
    Inside,
    /// Outside of its scan.
    Outside,
    /// In a scan that is not there.
    NoScan,
}

/// What [`join`] has left out, and an example of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeftOut {
    /// Scans that the table names and that are not there, and their candidates.
    pub no_scan: (usize, usize),
    /// Candidates outside of their scan, and the first of them.
    pub outside: (usize, Option<Candidate>),
    /// Candidates at the place of an earlier one, and the first of them.
    pub repeated: (usize, Option<Candidate>),
}

impl LeftOut {
    /// A line for each kind that there is.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![];
        if let (scans @ 1.., candidates) = self.no_scan {
            lines.push(format!("{candidates} candidates left out: their {scans} scans are not there"));
        }
        for ((n, first), why) in [
            (&self.outside, "they lie outside of their scan"),
            (&self.repeated, "an earlier one has their place"),
        ] {
            if let Some(Candidate { series_uid, center_xyz: [x, y, z], .. }) = first {
                let first = format!("the first at ({x}, {y}, {z}) in {series_uid}");
                lines.push(format!("{n} candidates left out: {why}; {first}"));
            }
        }
        lines
    }
}

/// Gives each candidate the diameter of its annotation, and sorts them: nodules first, the largest ones
/// first, then by scan and place, all descending, as the book has it.
///
/// An annotation belongs to a candidate of the same scan if its centre is no farther away than a quarter
/// of its diameter, along each axis; of several it is the first of the table. A nodule without any has a
/// diameter of 0. Candidates that `place` does not find inside of a scan are left out and counted, and so
/// is whoever repeats the place of another. "Deep Learning with PyTorch", section 10.2.
pub fn join(
    annotations: &[Annotation],
    candidates: Vec<Candidate>,
    place: impl Fn(&Candidate) -> Place,
) -> (Vec<CandidateInfo>, LeftOut) {
    let mut of_series: HashMap<&str, Vec<&Annotation>> = HashMap::new();
    for annotation in annotations {
        of_series.entry(&annotation.series_uid).or_default().push(annotation);
    }
    let diameter = |candidate: &Candidate| {
        let near = |annotation: &&&Annotation| {
            let distances = (0..3).map(|k| (candidate.center_xyz[k] - annotation.center_xyz[k]).abs());
            distances.into_iter().all(|distance| distance <= annotation.diameter_mm / 4.0)
        };
        let annotations = of_series.get(candidate.series_uid.as_str());
        annotations.and_then(|all| all.iter().find(near)).map_or(0.0, |annotation| annotation.diameter_mm)
    };

    let mut left_out = LeftOut::default();
    let mut missing = HashSet::new();
    let mut taken = HashSet::new();
    let mut joined = vec![];
    for candidate in candidates {
        match place(&candidate) {
            Place::NoScan => {
                left_out.no_scan.1 += 1;
                missing.insert(candidate.series_uid);
                continue;
            }
            Place::Outside => {
                left_out.outside.0 += 1;
                left_out.outside.1.get_or_insert(candidate);
                continue;
            }
            Place::Inside => {}
        }
        // 0.0 and -0.0 are one place.
        let spot = candidate.center_xyz.map(|x| (x + 0.0).to_bits());
        if !taken.insert((candidate.series_uid.clone(), spot)) {
            left_out.repeated.0 += 1;
            left_out.repeated.1.get_or_insert(candidate);
            continue;
        }
        let diameter_mm = diameter(&candidate);
        let Candidate { series_uid, center_xyz, is_nodule } = candidate;
        joined.push(CandidateInfo { is_nodule, diameter_mm, series_uid, center_xyz });
    }
    left_out.no_scan.0 = missing.len();
    joined.sort_by(descending);
    (joined, left_out)
}

fn descending(a: &CandidateInfo, b: &CandidateInfo) -> Ordering {
    let places = || {
        let pairs = b.center_xyz.iter().zip(&a.center_xyz);
        pairs.map(|(b, a)| b.total_cmp(a)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    (b.is_nodule.cmp(&a.is_nodule))
        .then_with(|| b.diameter_mm.total_cmp(&a.diameter_mm))
        .then_with(|| b.series_uid.cmp(&a.series_uid))
        .then_with(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(series: &str, center_xyz: [f64; 3], is_nodule: bool) -> Candidate {
        Candidate { series_uid: series.into(), center_xyz, is_nodule }
    }

    fn annotation(series: &str, x: f64, diameter_mm: f64) -> Annotation {
        Annotation { series_uid: series.into(), center_xyz: [x, 0.0, 0.0], diameter_mm }
    }

    #[test]
    fn the_first_annotation_within_a_quarter_of_its_diameter_counts() {
        let annotations = [
            annotation("a", 10.0, 4.0),
            annotation("a", 9.0, 8.0),
            annotation("b", 0.0, 20.0),
            annotation("c", 0.0, -1.0),
        ];
        let diameter = |series, center: [f64; 3]| {
            let (joined, _) = join(&annotations, vec![candidate(series, center, true)], |_| Place::Inside);
            joined[0].diameter_mm
        };
        assert_eq!(diameter("a", [11.0, 0.0, 0.0]), 4.0); // exactly a quarter; the second would do too
        assert_eq!(diameter("a", [11.01, 0.0, 0.0]), 0.0);
        assert_eq!(diameter("a", [8.0, -1.5, 0.0]), 8.0);
        assert_eq!(diameter("a", [10.0, 0.0, 1.01]), 8.0);
        // Each axis for itself, not the distance.
        assert_eq!(diameter("b", [5.0, 5.0, -5.0]), 20.0);
        assert_eq!(diameter("b", [5.0, 5.1, 0.0]), 0.0);
        assert_eq!(diameter("a", [0.0; 3]), 0.0); // not of that scan
        assert_eq!(diameter("c", [0.0; 3]), 0.0); // never measured
    }

    #[test]
    fn nodules_come_first_and_the_largest_first() {
        let annotations = [annotation("a", 0.0, 5.0), annotation("b", 0.0, 6.0), annotation("a", 50.0, 6.0)];
        let candidates = vec![
            candidate("a", [1.0, 9.0, 0.0], false),
            candidate("a", [0.0; 3], true),
            candidate("a", [1.0, 10.0, -5.0], false),
            candidate("b", [0.0; 3], true),
            candidate("c", [9.0, 9.0, 9.0], true),
            candidate("a", [50.0, 0.0, 0.0], true),
            candidate("b", [-1.0, 0.0, 0.0], false),
        ];
        let (joined, left_out) = join(&annotations, candidates, |_| Place::Inside);
        let order: Vec<_> = joined
            .iter()
            .map(|c| (c.is_nodule, c.diameter_mm, c.series_uid.as_str(), c.center_xyz[1]))
            .collect();
        let expected = [
            (true, 6.0, "b", 0.0),
            (true, 6.0, "a", 0.0),
            (true, 5.0, "a", 0.0),
            (true, 0.0, "c", 9.0),
            (false, 6.0, "b", 0.0),
            (false, 0.0, "a", 10.0),
            (false, 0.0, "a", 9.0),
        ];
        assert_eq!(order, expected);
        assert_eq!(left_out, LeftOut::default());
        assert!(left_out.lines().is_empty());
    }

    #[test]
    fn what_is_left_out_is_counted_and_named() {
        let candidates = vec![
            candidate("a", [0.0; 3], true),
            candidate("gone", [1.0; 3], true),
            candidate("a", [0.0; 3], false),
            candidate("gone", [2.0; 3], false),
            candidate("a", [-0.0, 0.0, 0.0], false),
            candidate("a", [900.0, 1.5, 2.0], false),
        ];
        let place = |candidate: &Candidate| match candidate {
            Candidate { series_uid, .. } if series_uid == "gone" => Place::NoScan,
            Candidate { center_xyz: [x, ..], .. } if *x > 100.0 => Place::Outside,
            _ => Place::Inside,
        };
        let (joined, left_out) = join(&[], candidates, place);
        assert_eq!(joined.len(), 1);
        assert!(joined[0].is_nodule);
        assert_eq!(
            left_out.lines(),
            [
                "2 candidates left out: their 1 scans are not there",
                "1 candidates left out: they lie outside of their scan; the first at (900, 1.5, 2) in a",
                "2 candidates left out: an earlier one has their place; the first at (0, 0, 0) in a",
            ]
        );
    }
}
