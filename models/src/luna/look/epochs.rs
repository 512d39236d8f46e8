//! How a training went, class by class.

use std::path::Path;

use crate::Result;
use crate::plot::LineChart;
use crate::trainer::EpochMetrics;

/// A picture.
struct Chart {
    name: &'static str,
    title: &'static str,
    measure: &'static str,
    /// How high it can be, if there is a limit.
    top: Option<f64>,
    /// The curves, and the measurements that they show.
    curves: &'static [(&'static str, &'static str)],
}

const CHARTS: [Chart; 3] = [
    Chart {
        name: "correct.png",
        title: "Validation: told right",
        measure: "percent",
        top: Some(100.0),
        curves: &[
            ("all", "val_correct_all"),
            ("not a nodule", "val_correct_neg"),
            ("nodules", "val_correct_pos"),
        ],
    },
    Chart {
        name: "scores.png",
        title: "Validation: scores",
        measure: "score",
        top: Some(1.0),
        curves: &[
            ("precision", "val_precision"),
            ("recall", "val_recall"),
            ("F1", "val_f1"),
            ("area under the ROC curve", "val_auc"),
        ],
    },
    Chart {
        name: "losses.png",
        title: "Loss of each class",
        measure: "cross-entropy",
        top: None,
        curves: &[
            ("training, not a nodule", "train_loss_neg"),
            ("training, nodules", "train_loss_pos"),
            ("validation, not a nodule", "val_loss_neg"),
            ("validation, nodules", "val_loss_pos"),
        ],
    },
];

/// Draws into `directory` what the lesson is about: what part of each class is told right, `correct.png`,
/// precision, recall, F1 and the area under the ROC curve, `scores.png`, and the losses of each class,
/// `losses.png`, over the epochs. Returns the names of the pictures; one that nothing was measured for is
/// left out.
///
/// # Errors
/// When a picture can't be written.
pub fn draw_epochs(directory: &Path, history: &[EpochMetrics]) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for Chart { name, title, measure, top, curves } in CHARTS {
        let mut chart = LineChart::new(title).x_label("epoch").y_label(measure).from_zero();
        if let Some(top) = top {
            chart = chart.y_range(0.0..1.02 * top);
        }
        let mut measured = false;
        for (of, key) in curves {
            let points = history.iter().filter_map(|epoch| Some((epoch.epoch as f64, epoch.get(key)?)));
            let points: Vec<(f64, f64)> = points.collect();
            if !points.is_empty() {
                measured = true;
                chart = chart.series(*of, points);
            }
        }
        if measured {
            chart.save(directory.join(name))?;
            names.push(name);
        }
    }
    Ok(names)
}
