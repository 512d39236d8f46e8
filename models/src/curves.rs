//! A classifier that gives probabilities, seen at every threshold: ROC and precision-recall curves, the
//! areas under them, and histograms.
//!
//! What is at least the threshold is called positive. Each threshold makes a classifier with
//!
//! ```text
//! true positive rate, recall = true positives  / positives
//! false positive rate        = false positives / negatives
//! precision                  = true positives  / all that is called positive
//! ```
//!
//! Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006; Davis and Goadrich,
//! "The relationship between precision-recall and ROC curves", ICML 2006.
//!
//! All functions take pairs of the probability that something is positive and whether it is. Where one
//! of the probabilities is NaN, or a class is missing that the curve is about, nothing can be measured: a
//! curve then has no points, an area is NaN.

use voxgrad_engine::Error::Value;

use crate::Result;

/// One classifier of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// What is at least this is called positive; infinity where nothing is.
    pub threshold: f64,
    /// False positive rate of a ROC curve, recall of a precision-recall curve.
    pub x: f64,
    /// True positive rate of a ROC curve, precision of a precision-recall curve.
    pub y: f64,
}

/// The ROC curve: the true positive rate over the false positive rate, from (0, 0) to (1, 1), with a point
/// for each probability there is. Chance is the diagonal.
pub fn roc(scored: &[(f64, bool)]) -> Vec<Point> {
    let Some(steps) = Steps::of(scored).filter(|steps| steps.positives > 0 && steps.negatives > 0) else {
        return Vec::new();
    };
    let point = |step: &Step| Point {
        threshold: step.threshold,
        x: step.false_positives as f64 / steps.negatives as f64,
        y: step.true_positives as f64 / steps.positives as f64,
    };
    let start = Point { threshold: f64::INFINITY, x: 0.0, y: 0.0 };
    [start].into_iter().chain(steps.steps.iter().map(point)).collect()
}

/// The precision-recall curve: precision over recall, with a point for each probability there is. It begins
/// at recall 0 with the precision of the highest probability, and ends at recall 1 with the part of all
/// that is positive, which is also chance.
pub fn precision_recall(scored: &[(f64, bool)]) -> Vec<Point> {
    let Some(steps) = Steps::of(scored).filter(|steps| steps.positives > 0) else { return Vec::new() };
    let point = |step: &Step| Point {
        threshold: step.threshold,
        x: step.true_positives as f64 / steps.positives as f64,
        y: step.true_positives as f64 / (step.true_positives + step.false_positives) as f64,
    };
    let points: Vec<Point> = steps.steps.iter().map(point).collect();
    let start = points.first().map(|first| Point { threshold: f64::INFINITY, x: 0.0, ..*first });
    start.into_iter().chain(points).collect()
}

/// The area under the ROC curve: the probability that of a random positive and a random negative the
/// positive has the higher probability, where a tie counts half. That is the statistic U of Mann and
/// Whitney over the number of pairs (Hanley and McNeil, Radiology 143, 1982).
pub fn auc(scored: &[(f64, bool)]) -> f64 {
    let Some(steps) = Steps::of(scored) else { return f64::NAN };
    let (mut u, mut above) = (0.0, 0);
    for step in &steps.steps {
        // Each negative here loses to the positives above, and ties with those beside it.
        let (beside, here) = (step.true_positives - above, step.negatives_here as f64);
        u += here * (above as f64 + 0.5 * beside as f64);
        above = step.true_positives;
    }
    u / (steps.positives as f64 * steps.negatives as f64)
}

/// The average precision: the area under the precision-recall curve drawn as steps, the sum over its points
/// of the precision times what recall gains there.
pub fn average_precision(scored: &[(f64, bool)]) -> f64 {
    let points = precision_recall(scored);
    if points.is_empty() { f64::NAN } else { points.windows(2).map(|p| (p[1].x - p[0].x) * p[1].y).sum() }
}

/// What is called positive at a threshold.
struct Step {
    threshold: f64,
    true_positives: u64,
    false_positives: u64,
    /// Those of probability `threshold`.
    negatives_here: u64,
}

/// All thresholds that make a difference, the highest first.
struct Steps {
    steps: Vec<Step>,
    positives: u64,
    negatives: u64,
}

impl Steps {
    /// `None` where a probability is NaN.
    fn of(scored: &[(f64, bool)]) -> Option<Steps> {
        if scored.iter().any(|(probability, _)| probability.is_nan()) {
            return None;
        }
        let mut sorted = scored.to_vec();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut all = Steps { steps: Vec::new(), positives: 0, negatives: 0 };
        // Zero and minus zero are one threshold.
        for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
            let positives = ties.iter().filter(|(_, positive)| *positive).count() as u64;
            let negatives_here = ties.len() as u64 - positives;
            all.positives += positives;
            all.negatives += negatives_here;
            all.steps.push(Step {
                threshold: ties[0].0,
                true_positives: all.positives,
                false_positives: all.negatives,
                negatives_here,
            });
        }
        Some(all)
    }
}

/// How many values lie in each of the bins between neighbouring edges: from an edge on, below the next
/// one; the last edge belongs to the last bin. Values outside, and NaN, are not counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    edges: Vec<f64>,
    counts: Vec<u64>,
}

impl Histogram {
    /// Counts `values`.
    ///
    /// # Errors
    /// When there are fewer than two `edges`, or they do not rise.
    pub fn new(values: &[f64], edges: &[f64]) -> Result<Histogram> {
        if edges.len() < 2 || !edges.windows(2).all(|pair| pair[0] < pair[1]) {
            let message = format!("two or more edges, each above the one before, are needed, not {edges:?}");
            return Err(Value { what: "histogram", message }.into());
        }
        let mut histogram = Histogram { edges: edges.to_vec(), counts: vec![0; edges.len() - 1] };
        for value in values {
            if let Some(bin) = histogram.bin(*value) {
                histogram.counts[bin] += 1;
            }
        }
        Ok(histogram)
    }

    /// One more edge than there are bins.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The number of values in each bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The bin that `value` lies in.
    pub fn bin(&self, value: f64) -> Option<usize> {
        let bins = self.counts.len();
        match self.edges.partition_point(|edge| *edge <= value) {
            0 => None, // NaN too
            edge if edge <= bins => Some(edge - 1),
            _ => (value == self.edges[bins]).then_some(bins - 1),
        }
    }
}

/// The edges of `bins` bins of one width from 0 to 1, for probabilities.
pub fn unit_edges(bins: usize) -> Vec<f64> {
    (0..=bins).map(|i| i as f64 / bins as f64).collect()
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::random::Rng;

    use super::*;

    fn xy(points: &[Point]) -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.x, point.y)).collect()
    }

    #[test]
    fn curves_of_four_samples() {
        let scored = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        let points = roc(&scored);
        assert_eq!(xy(&points), [(0., 0.), (0., 0.5), (0.5, 0.5), (0.5, 1.), (1., 1.)]);
        assert_eq!(points[3].threshold, 0.35);
        assert_eq!(auc(&scored), 0.75);
        let two_thirds = 2. / 3.;
        assert_eq!(
            xy(&precision_recall(&scored)),
            [(0., 1.), (0.5, 1.), (0.5, 0.5), (1., two_thirds), (1., 0.5)]
        );
        assert!((average_precision(&scored) - (0.5 + 0.5 * two_thirds)).abs() < 1e-15);
    }

    /// By the definition: over all pairs of a positive and a negative.
    #[test]
    fn auc_is_the_part_of_pairs_in_the_right_order() {
        for steps in [3.0, 1000.0] {
            let mut rng = Rng::new(1, steps as u64);
            // Few steps make many ties.
            let mut one = || {
                let positive = rng.uniform() < 0.3;
                let value = rng.uniform() + if positive { 0.3 } else { 0.0 };
                (f64::from((value * steps).floor() / steps), positive)
            };
            let scored: Vec<(f64, bool)> = (0..200).map(|_| one()).collect();
            let of = |class| scored.iter().filter(move |(_, positive)| *positive == class);
            let pairs = of(true).flat_map(|p| of(false).map(move |n| (p.0, n.0)));
            let score = |(p, n)| if p > n { 1.0 } else { 0.5 * f64::from(u8::from(p == n)) };
            let wanted = pairs.clone().map(score).sum::<f64>() / pairs.count() as f64;
            assert!((0.55..0.99).contains(&wanted) && (auc(&scored) - wanted).abs() < 1e-12, "{wanted}");
            // And it is the area under the curve, by trapezia.
            let area = |p: &[Point]| (p[1].x - p[0].x) * (p[0].y + p[1].y) / 2.0;
            let area: f64 = roc(&scored).windows(2).map(area).sum();
            assert!((area - wanted).abs() < 1e-12);
        }
    }

    #[test]
    fn useless_classifiers_are_worth_a_half() {
        let constant: Vec<(f64, bool)> = (0..10).map(|i| (0.0, i < 3)).collect();
        assert_eq!(auc(&constant), 0.5);
        assert_eq!(xy(&roc(&constant)), [(0., 0.), (1., 1.)]);
        assert!((average_precision(&constant) - 0.3).abs() < 1e-15);
        assert_eq!((auc(&[(0.9, true), (0.1, false)]), auc(&[(0.1, true), (0.9, false)])), (1.0, 0.0));
        assert_eq!(auc(&[(0.0, true), (-0.0, false)]), 0.5);
    }

    #[test]
    fn what_cannot_be_measured_is_nan() {
        for scored in [&[][..], &[(0.5, true)], &[(0.5, false)], &[(f64::NAN, true), (0.5, false)]] {
            assert!(auc(scored).is_nan() && roc(scored).is_empty(), "{scored:?}");
        }
        assert!(average_precision(&[(0.5, false)]).is_nan() && precision_recall(&[(0.5, false)]).is_empty());
        assert_eq!(average_precision(&[(0.5, true)]), 1.0);
    }

    #[test]
    fn bins_hold_their_lower_edge_and_the_last_one_both() {
        let values = [0.0, 0.1, 0.5, 1.0, 1.1, -0.1, f64::NAN, f64::INFINITY];
        let counted = Histogram::new(&values, &unit_edges(2)).unwrap();
        assert_eq!((counted.edges(), counted.counts()), (&[0.0, 0.5, 1.0][..], &[2, 2][..]));
        for edges in [&[][..], &[0.0], &[0.0, 0.0], &[1.0, 0.0], &[0.0, f64::NAN]] {
            let message = Histogram::new(&values, edges).unwrap_err().to_string();
            assert!(message.contains("each above the one before"), "{message}");
        }
    }
}
