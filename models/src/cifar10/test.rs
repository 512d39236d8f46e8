//! The test, with images that neither training nor the choice of the weights has seen.

use voxgrad_engine::Device;
use voxgrad_engine::nn::Module;

use super::pictures::{draw_predictions, name};
use crate::Result;
use crate::data::cifar10::Cifar10;
use crate::metrics::ConfusionMatrix;
use crate::plot::HeatMap;
use crate::trainer::{Console, EpochMetrics, RunDir, predict};

/// How many single predictions are printed.
const SINGLE: usize = 5;

/// Tests `model`, which has the weights of the epoch `best`: says how many test images it classifies right,
/// what it says of a few, and which mistake it makes most; draws `predictions.png` and `confusion.png`.
pub(super) fn test(
    model: &dyn Module,
    data: &Cifar10,
    best: &EpochMetrics,
    run: &RunDir,
    device: &Device,
    console: &mut Console,
) -> Result<()> {
    let (set, names) = (&data.test, &data.class_names);
    let said = predict(model, set.clone(), device)?;
    let mut seen = ConfusionMatrix::new(names.len());
    let classes: Vec<u32> = said.iter().map(|said| said.class).collect();
    seen.add_all(set.labels(), &classes)?;

    let EpochMetrics { epoch, val_loss, val_acc, .. } = best;
    console.say(&format!("Lowest validation loss: {val_loss:.4}, after epoch {epoch}; with its weights:"));
    console.say(&format!("Accuracy val: {val_acc:.4}"));
    console.say(&format!("Accuracy test: {:.4}", seen.accuracy()));
    for (i, said) in said.iter().enumerate().take(SINGLE) {
        let (truth, class) = (name(names, set.labels()[i]), name(names, said.class));
        let sure = 100.0 * said.probability;
        console.say(&format!("Test image {i}, label: {truth}, predicted: {class}, {sure:.0}% sure"));
    }
    if let Some((truth, said, times)) = seen.most_confused() {
        let (truth, said) = (names[truth], names[said]);
        console.say(&format!("The most frequent mistake: {truth} taken for {said}, {times} times"));
    }
    draw_predictions(&run.file("predictions.png"), set, &said, names)?;
    HeatMap::confusion("Test images", &seen, names).save(run.file("confusion.png"))
}
