//! Metrics by name, as `compile` of a Keras lesson takes them.

use std::fmt;
use std::str::FromStr;

use super::Predictions;
use crate::{Error, Result, curves};

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
    /// The area under the ROC curve of class 1, [`curves::auc`]. NaN unless there are two classes and
    /// samples of both.
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
            let positive = predictions.truth.iter().map(|truth| *truth == 1);
            return Ok(curves::auc(&predictions.scores.iter().copied().zip(positive).collect::<Vec<_>>()));
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
