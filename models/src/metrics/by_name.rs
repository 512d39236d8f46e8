//! Metrics by name, as `compile` of a Keras lesson takes them.

use std::fmt;
use std::str::FromStr;

use super::Predictions;
use crate::{Error, Result};

/// A number that says how good predictions are, 1 at best. What the words mean stands in the
/// documentation of [`metrics`](crate::metrics).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The part that is called what it is.
    Accuracy,
    /// Of two classes that of class 1; of more the mean over the classes from 0 to the highest that
    /// occurs ("macro" average).
    Precision,
    /// The same for recall.
    Recall,
    /// The same for F1.
    F1,
    /// The area under the ROC curve: the probability that a sample of class 1, drawn at random, has a
    /// higher score than one of class 0, ties counting one half (Fawcett 2006, "An introduction to ROC
    /// analysis"). NaN unless there are two classes and samples of both.
    Auc,
}

const NAMES: [(Metric, &[&str]); 5] = [
    (Metric::Accuracy, &["accuracy", "acc"]),
    (Metric::Precision, &["precision"]),
    (Metric::Recall, &["recall"]),
    (Metric::F1, &["f1", "f1_score"]),
    (Metric::Auc, &["auc"]),
];

impl Metric {
    /// The metric of all `predictions` together. NaN when there are none.
    ///
    /// # Errors
    /// As [`Predictions::confusion`].
    pub fn of(self, predictions: &Predictions) -> Result<f64> {
        if predictions.is_empty() {
            return Ok(f64::NAN);
        }
        if self == Metric::Auc {
            return Ok(auc(predictions));
        }
        let seen = predictions.confusion()?;
        let of_class = |class| match self {
            Metric::Precision => seen.precision(class),
            Metric::Recall => seen.recall(class),
            _ => seen.f1(class),
        };
        Ok(match (self, seen.classes()) {
            (Metric::Accuracy, _) => seen.accuracy(),
            (_, 2) => of_class(1),
            (_, classes) => (0..classes).map(of_class).sum::<f64>() / classes as f64,
        })
    }
}

/// By ranks (Mann and Whitney 1947): the mean rank of the positives, less what it is at least.
fn auc(predictions: &Predictions) -> f64 {
    let mut ranked: Vec<(f64, bool)> =
        predictions.scores.iter().copied().zip(predictions.truth.iter().map(|t| *t == 1)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count();
    let negatives = ranked.len() - positives;
    // Of each run of equal scores: its positives are above the negatives before it, and tie with its own.
    let (mut won, mut before) = (0.0, 0);
    for equal in ranked.chunk_by(|a, b| a.0 == b.0) {
        let positive = equal.iter().filter(|(_, positive)| *positive).count();
        let negative = equal.len() - positive;
        won += positive as f64 * (before as f64 + negative as f64 / 2.0);
        before += negative;
    }
    if positives == 0 || negatives == 0 { f64::NAN } else { won / (positives as f64 * negatives as f64) }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(NAMES.iter().find(|(metric, _)| metric == self).map_or("metric", |(_, names)| names[0]))
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// The names of Keras and scikit-learn, whatever their case.
    fn from_str(name: &str) -> Result<Metric> {
        let found = NAMES.iter().find(|(_, names)| names.iter().any(|n| n.eq_ignore_ascii_case(name)));
        found.map(|(metric, _)| *metric).ok_or_else(|| {
            let names = NAMES.map(|(_, names)| names[0]).join(", ");
            Error::Usage(format!("there is no metric {name:?}; there are {names}"))
        })
    }
}
