//! Pictures of scans, and of what a network says of their candidates.
//!
//! [`planes()`] shows a place of a scan in three planes. [`results`] draws all that the predictions for
//! a validation set have to show: the curves, the confusion matrix, and the candidates themselves.
//! [`draw_epochs`] shows how the training went.

mod curves;
mod epochs;
mod findings;
mod planes;
mod view;

use std::path::Path;

use super::ct::Ct;
use super::tables::CandidateInfo;
use crate::Result;

pub use curves::{draw_confusion, draw_curves};
pub use epochs::draw_epochs;
pub use findings::draw_findings;
pub use planes::planes;

/// The classes, in words.
const NOT_A_NODULE: &str = "not a nodule";
const NODULE: &str = "nodule";

/// What a network says of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// What was asked about.
    pub candidate: CandidateInfo,
    /// Of being a nodule.
    pub probability: f64,
}

impl Prediction {
    /// Whether it is called a nodule, as in the book.
    pub fn called_nodule(&self) -> bool {
        self.probability > 0.5
    }
}

/// Draws into the folder `directory`, which is there, what `predictions` have to show, and returns the
/// names of the pictures: the ROC curve, `roc.png`, the precision-recall curve, `pr.png`, how the
/// probabilities are spread, `probabilities.png`, `confusion.png`, the most certain hits, misses and false
/// alarms, `findings.png`, and of those the most certain hit and miss in three planes, `hit.png` and
/// `miss.png`, if there are any. `ct` reads a scan by its series; each that is needed is asked for once.
///
/// # Errors
/// When a picture can't be written or a scan can't be read.
pub fn results(
    directory: &Path,
    predictions: &[Prediction],
    mut ct: impl FnMut(&str) -> Result<Ct>,
) -> Result<Vec<&'static str>> {
    let mut names = draw_curves(directory, predictions)?;
    draw_confusion(&directory.join("confusion.png"), predictions)?;
    names.push("confusion.png");
    names.extend(draw_findings(directory, predictions, &mut ct)?);
    Ok(names)
}

/// The end of a series' name, which tells it from others.
fn short(series_uid: &str) -> &str {
    let start = series_uid.char_indices().rev().nth(5).map_or(0, |(at, _)| at);
    &series_uid[start..]
}

/// Such as `nodule of 12.8 mm`.
fn describe(candidate: &CandidateInfo) -> String {
    match (candidate.is_nodule, candidate.diameter_mm) {
        (false, _) => NOT_A_NODULE.into(),
        (true, mm) if mm > 0.0 => format!("nodule of {mm:.1} mm"),
        (true, _) => NODULE.into(),
    }
}

#[cfg(test)]
mod tests;
