//! How good a classifier is: accuracy, and what the accuracy hides.
//!
//! A confusion matrix counts, for each true class, what was predicted. From it, for one class c:
//!
//! ```text
//! precision = true positives / (true positives + false positives)    of what was called c, how much is c
//! recall    = true positives / (true positives + false negatives)    of what is c, how much was found
//! F1        = 2 precision recall / (precision + recall)              high only when both are
//! ```
//!
//! With 99.7% negatives, calling everything negative is 99.7% accurate and useless: its recall is 0.

mod by_name;
mod predictions;

use std::fmt;

use voxgrad_engine::Tensor;

pub use by_name::Metric;
pub use predictions::{Gathered, Predictions};

use crate::Result;

/// The part of `logits`' rows whose largest value stands at the row's target.
/// `logits`: `[N, classes]`, `targets`: u32 `[N]`. NaN for no rows.
pub fn accuracy(logits: &Tensor, targets: &Tensor) -> Result<f64> {
    Ok(count_correct(logits, targets)? as f64 / targets.numel() as f64)
}

/// How many of `logits`' rows have their largest value at the row's target.
pub fn count_correct(logits: &Tensor, targets: &Tensor) -> Result<usize> {
    let predicted = logits.argmax(&[1], false)?.to_vec::<u32>()?;
    let targets = targets.to_vec::<u32>()?;
    if predicted.len() != targets.len() {
        let message = format!("{} rows of logits for {} targets", predicted.len(), targets.len());
        return Err(voxgrad_engine::Error::Shape { op: "accuracy", message }.into());
    }
    Ok(predicted.iter().zip(&targets).filter(|(p, t)| p == t).count())
}

/// Counts of predictions by true class (rows) and predicted class (columns).
///
/// ```
/// use voxgrad_models::metrics::ConfusionMatrix;
///
/// let mut seen = ConfusionMatrix::new(2);
/// seen.add_all(&[0, 0, 0, 1], &[0, 0, 1, 1])?;
/// assert_eq!(seen.accuracy(), 0.75);
/// assert_eq!((seen.precision(1), seen.recall(1)), (0.5, 1.0));
/// # Ok::<(), voxgrad_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// [true class, predicted class]
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// No predictions yet, of `classes` classes.
    pub fn new(classes: usize) -> ConfusionMatrix {
        ConfusionMatrix { classes, counts: vec![0; classes * classes] }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts one prediction.
    ///
    /// # Errors
    /// When there is no such class.
    pub fn add(&mut self, truth: u32, predicted: u32) -> Result<()> {
        let (row, column) = (truth as usize, predicted as usize);
        if row.max(column) >= self.classes {
            let message = format!("class {} is not below {}", row.max(column), self.classes);
            return Err(voxgrad_engine::Error::Value { what: "confusion matrix", message }.into());
        }
        self.counts[row * self.classes + column] += 1;
        Ok(())
    }

    /// Counts a prediction for each true class of `truth`.
    ///
    /// # Errors
    /// When there is no such class, or the lengths differ.
    pub fn add_all(&mut self, truth: &[u32], predicted: &[u32]) -> Result<()> {
        if truth.len() != predicted.len() {
            let message = format!("{} true classes for {} predictions", truth.len(), predicted.len());
            return Err(voxgrad_engine::Error::Value { what: "confusion matrix", message }.into());
        }
        truth.iter().zip(predicted).try_for_each(|(&t, &p)| self.add(t, p))
    }

    /// How often `truth` was called `predicted`; 0 for classes that do not exist.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let inside = truth < self.classes && predicted < self.classes;
        if inside { self.counts[truth * self.classes + predicted] } else { 0 }
    }

    /// The number of predictions.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The part of all predictions that is right. NaN when there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|c| self.count(c, c)).sum();
        right as f64 / self.total() as f64
    }

    /// Of what was called `class`, the part that is; 0 when nothing was called that.
    pub fn precision(&self, class: usize) -> f64 {
        part(self.count(class, class), (0..self.classes).map(|truth| self.count(truth, class)).sum())
    }

    /// Of what is `class`, the part that was called that; 0 when there is none.
    pub fn recall(&self, class: usize) -> f64 {
        part(self.count(class, class), (0..self.classes).map(|said| self.count(class, said)).sum())
    }

    /// The most frequent mistake: a true class, what it was called, and how often. None when all is right.
    pub fn most_confused(&self) -> Option<(usize, usize, u64)> {
        let pairs = (0..self.classes).flat_map(|truth| (0..self.classes).map(move |said| (truth, said)));
        let mistakes = pairs.filter(|(truth, said)| truth != said);
        let counted = mistakes.map(|(truth, said)| (truth, said, self.count(truth, said)));
        // Of equally frequent ones the first.
        counted.filter(|one| one.2 > 0).reduce(|most, one| if one.2 > most.2 { one } else { most })
    }

    /// The harmonic mean of precision and recall; 0 when both are.
    pub fn f1(&self, class: usize) -> f64 {
        let (precision, recall) = (self.precision(class), self.recall(class));
        if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
    }
}

fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

/// A row per true class, a column per predicted class.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12}", "true \\ said")?;
        (0..self.classes).try_for_each(|c| write!(f, " {c:>8}"))?;
        for truth in 0..self.classes {
            write!(f, "\n{truth:>12}")?;
            (0..self.classes).try_for_each(|said| write!(f, " {:>8}", self.count(truth, said)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
