//! What an epoch's table of samples says: losses and correct predictions of each class, precision, recall,
//! F1 and the area under the ROC curve ("Deep Learning with PyTorch", sections 11.6 and 12.3).

use crate::curves;

/// A sample is called a nodule when its probability is above this.
pub const THRESHOLD: f32 = 0.5;

/// One row of the table per sample: its label, the probability that it is a nodule, and its loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// 1 for nodules, 0 for others.
    pub labels: Vec<f32>,
    /// Of being a nodule.
    pub probabilities: Vec<f32>,
    /// The cross-entropy.
    pub losses: Vec<f32>,
}

/// How some of the samples came out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Class {
    /// How many there are.
    pub count: usize,
    /// How many of them were told right.
    pub correct: usize,
    /// The sum of their losses.
    pub loss_sum: f64,
}

impl Class {
    /// The mean loss; NaN when there are none.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.count as f64
    }

    /// How many of a hundred were told right; NaN when there are none.
    pub fn percent(&self) -> f64 {
        100.0 * self.correct as f64 / self.count as f64
    }
}

/// How all samples came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The samples that are no nodules.
    pub neg: Class,
    /// The nodules.
    pub pos: Class,
    /// The area under the ROC curve: how often a nodule has a higher probability than another sample.
    pub auc: f64,
}

impl Scores {
    /// Counts the table's samples.
    pub fn of(table: &Table) -> Scores {
        let (mut neg, mut pos) = (Class::default(), Class::default());
        for ((&label, &probability), &loss) in
            table.labels.iter().zip(&table.probabilities).zip(&table.losses)
        {
            let is_nodule = label > THRESHOLD;
            let class = if is_nodule { &mut pos } else { &mut neg };
            class.count += 1;
            class.correct += usize::from((probability > THRESHOLD) == is_nodule);
            class.loss_sum += f64::from(loss);
        }
        Scores { neg, pos, auc: curves::auc(&table.pairs()) }
    }

    /// All samples together.
    pub fn all(&self) -> Class {
        let Scores { neg, pos, .. } = self;
        Class {
            count: neg.count + pos.count,
            correct: neg.correct + pos.correct,
            loss_sum: neg.loss_sum + pos.loss_sum,
        }
    }

    /// Of what was called a nodule, the part that is; 0 when nothing was.
    pub fn precision(&self) -> f64 {
        part(self.pos.correct, self.pos.correct + self.neg.count - self.neg.correct)
    }

    /// Of the nodules, the part that was found; 0 when there are none.
    pub fn recall(&self) -> f64 {
        part(self.pos.correct, self.pos.count)
    }

    /// The harmonic mean of precision and recall; 0 when nothing was found.
    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
    }

    /// The book's lines after an epoch, `mode` being `trn` or `val`.
    pub fn lines(&self, epoch: usize, mode: &str) -> [String; 3] {
        let line = |name: &str, class: Class| {
            format!("E{epoch} {name:8} {:.4} loss, {:>5.1}% correct", class.loss(), class.percent())
        };
        let of_class = |name: &str, class: Class| {
            format!("{} ({} of {})", line(&format!("{mode}_{name}"), class), class.correct, class.count)
        };
        let all = format!(
            "{}, {:.4} precision, {:.4} recall, {:.4} f1 score, {:.4} auc",
            line(mode, self.all()),
            self.precision(),
            self.recall(),
            self.f1(),
            self.auc
        );
        [all, of_class("neg", self.neg), of_class("pos", self.pos)]
    }

    /// All numbers by the names they have in TensorBoard, those of the book.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let (all, Scores { neg, pos, auc }) = (self.all(), self);
        vec![
            ("loss/all", all.loss()),
            ("loss/neg", neg.loss()),
            ("loss/pos", pos.loss()),
            ("correct/all", all.percent()),
            ("correct/neg", neg.percent()),
            ("correct/pos", pos.percent()),
            ("pr/precision", self.precision()),
            ("pr/recall", self.recall()),
            ("pr/f1_score", self.f1()),
            ("auc", *auc),
        ]
    }
}

impl Table {
    /// Probabilities with whether they are those of nodules.
    pub fn pairs(&self) -> Vec<(f64, bool)> {
        let nodule = |label: f32| label > THRESHOLD;
        self.probabilities.iter().zip(&self.labels).map(|(&p, &label)| (p.into(), nodule(label))).collect()
    }
}

fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: &[(f32, f32, f32)]) -> Scores {
        let column = |value: fn(&(f32, f32, f32)) -> f32| rows.iter().map(value).collect();
        Scores::of(&Table {
            labels: column(|r| r.0),
            probabilities: column(|r| r.1),
            losses: column(|r| r.2),
        })
    }

    #[test]
    fn counts_and_the_books_lines() {
        let scores = scores(&[
            (0.0, 0.1, 0.125),
            (0.0, 0.2, 0.25),
            (0.0, 0.9, 2.0),
            (0.0, 0.5, 0.75),
            (1.0, 0.8, 0.25),
            (1.0, 0.4, 1.0),
            (1.0, 0.7, 0.5),
        ]);
        assert_eq!((scores.neg.correct, scores.pos.correct), (3, 2), "0.5 is not called a nodule");
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(scores.precision(), 2.0 / 3.0);
        near(scores.recall(), 2.0 / 3.0);
        near(scores.f1(), 2.0 / 3.0);
        near(scores.auc, 8.0 / 12.0);
        assert_eq!(
            scores.lines(3, "val"),
            [
                "E3 val      0.6964 loss,  71.4% correct, 0.6667 precision, 0.6667 recall, 0.6667 f1 score, \
                 0.6667 auc",
                "E3 val_neg  0.7812 loss,  75.0% correct (3 of 4)",
                "E3 val_pos  0.5833 loss,  66.7% correct (2 of 3)",
            ]
        );
    }

    /// The lesson of chapter 11.
    #[test]
    fn calling_nothing_a_nodule_is_accurate_and_useless() {
        let rows: Vec<_> = (0..1000).map(|i| (f32::from(i < 3), 0.01, 0.01)).collect();
        let scores = scores(&rows);
        assert!((scores.all().percent() - 99.7).abs() < 1e-9 && scores.pos.percent() == 0.0);
        assert_eq!((scores.precision(), scores.recall(), scores.f1(), scores.auc), (0.0, 0.0, 0.0, 0.5));
    }
}
