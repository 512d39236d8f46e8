//! The one test, with images that neither training nor the choice of the weights has seen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Tensor, checkpoint, no_grad};

use super::pictures::draw_predictions;
use crate::data::Images;
use crate::metrics::ConfusionMatrix;
use crate::trainer::{Console, EpochMetrics, RunDir};
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

/// What the network says of one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub class: u32,
    /// The softmax of its output.
    pub probability: f32,
}

/// Tests `model`, which has the weights of the epoch with the lowest validation loss of `history`: says
/// how many images of `set` it classifies right, and what it takes for what most often; writes
/// `test.json` and `predictions.png`.
pub(super) fn test(
    model: &dyn Module,
    set: &Arc<Images>,
    history: &[EpochMetrics],
    run: &RunDir,
    device: &Device,
    console: &mut Console,
) -> Result<()> {
    let said = predict(model, set, device)?;
    let mut seen = ConfusionMatrix::new(10);
    let classes: Vec<u32> = said.iter().map(|said| said.class).collect();
    seen.add_all(set.labels(), &classes)?;
    let best = history.iter().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss));
    let tested =
        Tested { epoch: best.map_or(0, |best| best.epoch), test_acc: seen.accuracy(), images: set.len() };
    if let Some(best) = best {
        let (epoch, loss, accuracy) = (best.epoch, best.val_loss, best.val_acc);
        console.say(&format!("Lowest validation loss: {loss:.4}, after epoch {epoch}"));
        console.say(&format!("Accuracy val: {accuracy:.4}, with the weights of that epoch"));
    }
    let wrong = set.labels().iter().zip(&classes).filter(|(truth, said)| truth != said).count();
    console.say(&format!("Accuracy test: {:.4}, {wrong} of {} wrong", tested.test_acc, set.len()));
    if let Some((truth, said, times)) = most_confused(&seen) {
        console.say(&format!("The most frequent mistake: a {truth} taken for a {said}, {times} times"));
    }

    draw_predictions(&run.file("predictions.png"), set, &said)?;
    let path = run.file("test.json");
    let text = serde_json::to_string_pretty(&tested).map_err(|e| Error::file(&path, e.to_string()))?;
    Ok(checkpoint::write_atomically(&path, (text + "\n").as_bytes())?)
}

/// What `model` says of every image, in evaluation mode.
fn predict(model: &dyn Module, set: &Arc<Images>, device: &Device) -> Result<Vec<Said>> {
    const AT_ONCE: usize = 500;
    model.eval();
    let (mut classes, mut probabilities) = (vec![], vec![]);
    no_grad(|| {
        for batch in DataLoader::new(set.clone(), AT_ONCE)?.device(device).epoch(0) {
            let (probability, class) = model.forward(&batch?.inputs)?.softmax(1)?.max(&[1], false)?;
            probabilities.push(probability);
            classes.push(class);
        }
        Ok::<(), Error>(())
    })?;
    let (classes, probabilities) =
        (Tensor::read_all::<u32>(&classes)?, Tensor::read_all::<f32>(&probabilities)?);
    let both = classes.into_iter().zip(probabilities);
    Ok(both.map(|(class, probability)| Said { class, probability }).collect())
}

/// A digit, what it was taken for most often, and how often; nothing when all are right.
fn most_confused(seen: &ConfusionMatrix) -> Option<(usize, usize, u64)> {
    let pairs = (0..10).flat_map(|truth| (0..10).map(move |said| (truth, said)));
    let mistakes = pairs.filter(|(truth, said)| truth != said);
    let counted = mistakes.map(|(truth, said)| (truth, said, seen.count(truth, said)));
    let most = counted.fold(None, |most: Option<(usize, usize, u64)>, one| match most {
        Some(most) if most.2 >= one.2 => Some(most),
        _ => Some(one),
    });
    most.filter(|(.., times)| *times > 0)
}
