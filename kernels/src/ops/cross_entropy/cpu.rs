//! Cross-entropy on the processor, a row at a time; threads share the rows.

use super::{CrossEntropy, Target};
use crate::{Error, Float, Result, Storage, split};

/// All rows of a call.
pub struct Rows<'a, T> {
    p: CrossEntropy,
    x: &'a [T],        // [outer, classes, inner]
    labels: &'a [u32], // [outer, inner]
    weight: Option<&'a [T]>,
    /// The share of the target that stays with the label, and the share that each class gets.
    on_label: T,
    on_each: T,
}

impl<'a, T: Float> Rows<'a, T> {
    pub fn new(p: &CrossEntropy, x: &'a Storage, target: &Target<'a>) -> Result<Rows<'a, T>> {
        let weight = match target.weight {
            Some(weight) => Some(weight.as_slice()?),
            None => None,
        };
        Ok(Rows {
            p: *p,
            x: x.as_slice()?,
            labels: target.labels.as_slice()?,
            weight,
            on_label: T::of(1.0 - target.label_smoothing),
            on_each: T::of(target.label_smoothing / f64::from(p.classes)),
        })
    }

    /// Whether every label is a class or ignored.
    pub fn check_labels(&self) -> Result<()> {
        let CrossEntropy { classes, inner, .. } = self.p;
        let wrong = |&label: &u32| label >= classes && label != self.p.ignore_index;
        let Some(row) = self.labels.iter().position(wrong) else { return Ok(()) };
        let label = self.labels[row];
        let place = match inner {
            1 => format!("row {row}"),
            _ => format!("row {}, position {}", row / inner as usize, row % inner as usize),
        };
        let message = format!("label {label} in {place} is not below the number of classes, {classes}");
        Err(Error::Value { op: self.p.op(), message })
    }

    fn weight(&self, class: usize) -> T {
        self.weight.map_or(T::one(), |weight| weight[class])
    }

    /// The class of a row, unless it is ignored.
    fn label(&self, row: usize) -> Option<usize> {
        Some(self.labels[row]).filter(|&label| label != self.p.ignore_index).map(|label| label as usize)
    }

    /// The sum of the weights of all labels.
    pub fn total_weight(&self) -> f64 {
        (0..self.labels.len()).filter_map(|row| self.label(row)).map(|label| self.weight(label).f64()).sum()
    }

    /// The log-probability of every class of a row, as a function of the class.
    fn log_probabilities(&self, row: usize) -> impl Fn(usize) -> T + use<'a, T> {
        let (classes, inner) = (self.p.classes as usize, self.p.inner as usize);
        let first = row / inner * classes * inner + row % inner;
        let x = self.x;
        let score = move |class: usize| x[first + class * inner];
        let (max, log_sum) = match self.p.log_probabilities {
            0 => {
                let max = (0..classes).map(score).fold(T::neg_infinity(), T::max);
                (max, (0..classes).map(|class| (score(class) - max).exp()).sum::<T>().ln())
            }
            _ => (T::zero(), T::zero()),
        };
        move |class| score(class) - max - log_sum
    }

    // losses: [outer, inner]
    pub fn losses(&self, losses: &mut [T]) {
        const ROWS: usize = 64;
        let classes = self.p.classes as usize;
        split::pieces(losses, ROWS, ROWS * classes * COST, |piece, losses| {
            for (row, loss) in (piece * ROWS..).zip(losses) {
                let Some(label) = self.label(row) else {
                    *loss = T::zero();
                    continue;
                };
                let logp = self.log_probabilities(row);
                *loss = -self.on_label * self.weight(label) * logp(label);
                if self.on_each != T::zero() {
                    *loss += -self.on_each * (0..classes).map(|c| self.weight(c) * logp(c)).sum::<T>();
                }
            }
        });
    }

    // dloss: [outer, inner] or [1]   dx: [outer, classes, inner]
    pub fn gradients(&self, dloss: &[T], total_weight: Option<T>, dx: &mut [T]) {
        let (classes, inner) = (self.p.classes as usize, self.p.inner as usize);
        let spread = self.on_each * (0..classes).map(|c| self.weight(c)).sum::<T>();
        split::pieces(dx, classes * inner, classes * inner * COST, |outer, dx| {
            for i in 0..inner {
                let row = outer * inner + i;
                let Some(label) = self.label(row) else {
                    (0..classes).for_each(|c| dx[c * inner + i] = T::zero());
                    continue;
                };
                let g = dloss[if dloss.len() == 1 { 0 } else { row }] / total_weight.unwrap_or(T::one());
                let logp = self.log_probabilities(row);
                let at_label = self.on_label * self.weight(label);
                for c in 0..classes {
                    let target =
                        self.on_each * self.weight(c) + if c == label { at_label } else { T::zero() };
                    dx[c * inner + i] = match self.p.log_probabilities {
                        0 => g * (logp(c).exp() * (at_label + spread) - target),
                        _ => -g * target,
                    };
                }
            }
        });
    }
}

/// Roughly what an exponential costs, in additions.
const COST: usize = 10;
