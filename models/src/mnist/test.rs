//! The one test, with images that neither training nor the choice of the weights has seen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, checkpoint};

use super::pictures::draw_predictions;
use crate::data::Images;
use crate::metrics::ConfusionMatrix;
use crate::trainer::{Console, EpochMetrics, RunDir, predict};
use crate::{Error, Result};

/// What `test.json` holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tested {
    /// The epoch whose weights were tested.
    pub epoch: usize,
    /// The part of the test images that is classified right.
    pub test_acc: f64,
    /// How many there are.
    pub images: usize,
}

/// Tests `model`, which has the weights of the epoch `best`, the one with the lowest validation loss: says
/// how many images of `set` it classifies right, and what it takes for what most often; writes
/// `test.json` and `predictions.png`.
pub(super) fn test(
    model: &dyn Module,
    set: &Arc<Images>,
    best: &EpochMetrics,
    run: &RunDir,
    device: &Device,
    console: &mut Console,
) -> Result<()> {
    let said = predict(model, set.clone(), device)?;
    let mut seen = ConfusionMatrix::new(10);
    let classes: Vec<u32> = said.iter().map(|said| said.class).collect();
    seen.add_all(set.labels(), &classes)?;
    let EpochMetrics { epoch, val_loss, val_acc, .. } = best;
    let tested = Tested { epoch: *epoch, test_acc: seen.accuracy(), images: set.len() };
    console.say(&format!("Lowest validation loss: {val_loss:.4}, after epoch {epoch}"));
    console.say(&format!("Accuracy val: {val_acc:.4}, with the weights of that epoch"));
    let wrong = set.labels().iter().zip(&classes).filter(|(truth, said)| truth != said).count();
    console.say(&format!("Accuracy test: {:.4}, {wrong} of {} wrong", tested.test_acc, set.len()));
    if let Some((truth, said, times)) = seen.most_confused() {
        console.say(&format!("The most frequent mistake: a {truth} taken for a {said}, {times} times"));
    }

    draw_predictions(&run.file("predictions.png"), set, &said)?;
    let path = run.file("test.json");
    let text = serde_json::to_string_pretty(&tested).map_err(|e| Error::file(&path, e.to_string()))?;
    Ok(checkpoint::write_atomically(&path, (text + "\n").as_bytes())?)
}
