//! What the probabilities of all candidates show together.

use std::path::Path;

use super::{NODULE, NOT_A_NODULE, Prediction};
use crate::Result;
use crate::curves::{self, Histogram, Point, unit_edges};
use crate::metrics::ConfusionMatrix;
use crate::plot::{HeatMap, HistogramChart, LineChart};

/// Draws `roc.png`, `pr.png` and `probabilities.png` into `directory`, and returns these names.
///
/// # Errors
/// When a picture can't be written.
pub fn draw_curves(directory: &Path, predictions: &[Prediction]) -> Result<Vec<&'static str>> {
    let scored: Vec<(f64, bool)> =
        predictions.iter().map(|p| (p.probability, p.candidate.is_nodule)).collect();
    let points = |curve: &[Point]| curve.iter().map(|p| (p.x, p.y)).collect::<Vec<_>>();

    let roc = curves::roc(&scored);
    LineChart::new("ROC curve")
        .x_range(0.0..1.0)
        .y_range(0.0..1.02)
        .x_label("false positive rate: of what is no nodule, the part that is called one")
        .y_label("true positive rate")
        .series(area(curves::auc(&scored)), points(&roc))
        .guide("chance", [(0.0, 0.0), (1.0, 1.0)])
        .marks("at 0.5", at_half(&roc))
        .save(directory.join("roc.png"))?;

    let pr = curves::precision_recall(&scored);
    let chance = pr.last().map_or(f64::NAN, |last| last.y);
    LineChart::new("Precision and recall")
        .x_range(0.0..1.0)
        .y_range(0.0..1.02)
        .x_label("recall: of the nodules, the part that is called one")
        .y_label("precision")
        .series(area(curves::average_precision(&scored)), points(&pr))
        .guide("chance", [(0.0, chance), (1.0, chance)])
        .marks("at 0.5", at_half(pr.get(1..).unwrap_or_default()))
        .save(directory.join("pr.png"))?;

    let mut chart = HistogramChart::new("Probabilities").x_label("probability of being a nodule");
    for (name, class) in [(NOT_A_NODULE, false), (NODULE, true)] {
        let of_class = scored.iter().filter(|(_, nodule)| *nodule == class).map(|(p, _)| *p);
        chart = chart.series(name, Histogram::new(&of_class.collect::<Vec<_>>(), &unit_edges(50))?);
    }
    chart.save(directory.join("probabilities.png"))?;
    Ok(vec!["roc.png", "pr.png", "probabilities.png"])
}

/// Draws the confusion matrix.
///
/// # Errors
/// When the picture can't be written.
pub fn draw_confusion(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut counts = ConfusionMatrix::new(2);
    for p in predictions {
        counts.add(u32::from(p.candidate.is_nodule), u32::from(p.called_nodule()))?;
    }
    HeatMap::confusion("Candidates", &counts, &[NOT_A_NODULE, NODULE]).save(path)
}

fn area(area: f64) -> String {
    if area.is_nan() { "nothing to measure".into() } else { format!("area {area:.4}") }
}

/// The classifier that calls what is above 0.5 a nodule.
fn at_half(curve: &[Point]) -> Option<(f64, f64)> {
    curve.iter().rfind(|point| point.threshold > 0.5).map(|point| (point.x, point.y))
}
