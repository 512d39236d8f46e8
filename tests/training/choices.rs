//! What a training can be told: its end, its best epoch, its learning rates, and who looks on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use voxgrad::data::{DataLoader, TensorDataset};
use voxgrad::models::Result;
use voxgrad::models::losses::Loss;
use voxgrad::models::metrics::Metric;
use voxgrad::models::trainer::{
    Best, Console, EpochMetrics, Every, Loaders, Measure, Observer, Outcome, RunDir, Split, Trainer,
    every_epoch,
};
use voxgrad::nn::{Linear, Module, Sequential, Sigmoid};
use voxgrad::optim::{SGD, StepLR};
use voxgrad::random::Rng;
use voxgrad::{Tensor, manual_seed};

use crate::lesson::Said;
use crate::metrics;

/// Points of the plane, those to the right are of class 1.
fn points(n: usize, seed: u64) -> DataLoader {
    let mut rng = Rng::new(seed, 0);
    let xs: Vec<f32> = (0..2 * n).map(|_| rng.normal()).collect();
    let classes = xs.chunks(2).map(|x| u32::from(x[0] > 0.0)).collect();
    DataLoader::new(Arc::new(TensorDataset::new(xs, [2], classes).unwrap()), 10).unwrap()
}

/// A training of one linear layer in `out`, at which `observers` look and which is told more by `choose`: how
/// it ended, what it said and measured.
fn train(
    out: &Path,
    (epochs, lr): (usize, f64),
    observers: Vec<&mut dyn Observer>,
    choose: impl FnOnce(&mut Trainer),
) -> (Result<Outcome>, Vec<String>, Vec<EpochMetrics>) {
    manual_seed(1);
    let model = Linear::new(2, 2).unwrap();
    train_model(&model, out, (epochs, lr), observers, choose)
}

fn train_model(
    model: &dyn Module,
    out: &Path,
    (epochs, lr): (usize, f64),
    observers: Vec<&mut dyn Observer>,
    choose: impl FnOnce(&mut Trainer),
) -> (Result<Outcome>, Vec<String>, Vec<EpochMetrics>) {
    let mut optimizer = SGD::new(model.parameters(), lr).unwrap();
    let mut run = RunDir::open(out, false).unwrap();
    run.start(&json!({"lesson": "points"})).unwrap();
    let loaders = Loaders { train: points(35, 1).shuffle(1), train_eval: None, val: points(20, 2) };
    let said = Said::default();
    let mut console = Console::to(said.clone());
    let mut trainer = Trainer::new(model, &mut optimizer, loaders, &run, &mut console).unwrap();
    observers.into_iter().for_each(|observer| trainer.observe(observer));
    choose(&mut trainer);
    let outcome = trainer.fit(epochs, &AtomicBool::new(false));
    let history = trainer.history().to_vec();
    (outcome, said.lines(), history)
}

#[test]
fn it_ends_when_the_validation_loss_no_longer_falls() {
    let base = tempfile::tempdir().unwrap();
    // Without learning the loss stays that of the first epoch.
    let (outcome, said, history) = train(base.path(), (10, 0.0), vec![], |trainer| trainer.stop_early(2));
    assert_eq!((outcome.unwrap(), history.len()), (Outcome::Finished, 3));
    let loss = history[0].val_loss;
    let line = format!(
        "Stopped early: the validation loss has not fallen below {loss:.4}, that of epoch 1, for 2 epochs"
    );
    assert_eq!(said.last(), Some(&line));
    let pictures = ["loss.png", "accuracy.png"].map(|name| base.path().join(name).metadata().unwrap());
    assert!(pictures.iter().all(|picture| picture.len() > 5000));

    let learning = tempfile::tempdir().unwrap();
    let (_, _, history) = train(learning.path(), (6, 0.5), vec![], |trainer| trainer.stop_early(1));
    assert_eq!(history.len(), 6, "it falls all the time: {history:?}");
}

#[test]
fn the_training_accuracy_is_that_of_the_training_pass() {
    let base = tempfile::tempdir().unwrap();
    let (_, _, history) = train(base.path(), (1, 0.0), vec![], |_| {});
    // The weights stay: every sample was called what they call it now.
    manual_seed(1);
    let model = Linear::new(2, 2).unwrap();
    let mut right = 0;
    for batch in points(35, 1).epoch(0) {
        let batch = batch.unwrap();
        let logits = model.forward(&batch.inputs).unwrap();
        right += voxgrad::models::metrics::count_correct(&logits, &batch.targets).unwrap();
    }
    assert_eq!(history[0].train_acc, right as f64 / 35.0);
}

#[test]
fn other_losses_metrics_and_learning_rates_stand_in_the_books() {
    let base = tempfile::tempdir().unwrap();
    let loss = Loss::BinaryCrossEntropy;
    let mut measure = Measure::new(&[Metric::Accuracy, Metric::Recall, Metric::Auc], loss);
    manual_seed(1);
    let model = Sequential::new().append(Linear::new(2, 1).unwrap()).append(Sigmoid);
    let (outcome, said, history) =
        train_model(&model, base.path(), (4, 9.0), vec![&mut measure], |trainer| {
            trainer.loss(loss);
            trainer.schedule(Every::Epoch, StepLR::new(1.0, 2, 0.5).unwrap());
            trainer.best_by(Best::Highest("val_auc".into()));
            trainer.report(every_epoch);
        });
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let rates: Vec<_> = history.iter().map(|metrics| metrics.get("lr").unwrap()).collect();
    assert_eq!(rates, [1.0, 1.0, 0.5, 0.5], "not the optimizer's 9");
    for metrics in &history {
        assert_eq!(metrics.get("val_accuracy"), Some(metrics.val_acc));
        assert_eq!(metrics.get("train_accuracy"), Some(metrics.train_acc));
        assert!(metrics.get("val_recall").unwrap() > 0.5 && metrics.get("val_auc").unwrap() > 0.9);
    }
    assert_eq!(metrics(base.path())[3]["val_auc"], json!(history[3].get("val_auc").unwrap()));
    assert_eq!(said.iter().filter(|line| line.contains("Epoch ") && line.contains(", val_acc ")).count(), 4);
    let best =
        history.iter().rev().max_by(|a, b| a.get("val_auc").unwrap().total_cmp(&b.get("val_auc").unwrap()));
    let (_, metadata) = voxgrad::checkpoint::load(base.path().join("best.safetensors")).unwrap();
    assert_eq!(metadata["epoch"], best.unwrap().epoch.to_string(), "{history:?}");
}

#[test]
fn a_best_epoch_by_an_unknown_name_is_an_error() {
    let base = tempfile::tempdir().unwrap();
    let by_f1 = |trainer: &mut Trainer| trainer.best_by(Best::Highest("f1".into()));
    let message = train(base.path(), (1, 0.1), vec![], by_f1).0.unwrap_err().to_string();
    let wanted =
        "the best epoch can't be told by f1: there are epoch, train_loss, val_loss, train_acc, val_acc";
    assert!(message.starts_with(wanted), "{message}");
}

/// Notes what it is given.
#[derive(Default)]
struct Notes {
    batches: Vec<(Split, usize)>,
    epochs: Vec<Vec<(Split, usize)>>,
    name: &'static str,
}

impl Observer for Notes {
    fn batch(&mut self, split: Split, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        assert_eq!((outputs.shape()[0], outputs.shape()[1]), (targets.numel(), 2));
        assert!(!outputs.is_tracked(), "the graph can go");
        self.batches.push((split, targets.numel()));
        Ok(())
    }

    fn epoch(&mut self, metrics: &EpochMetrics, console: &mut Console) -> Result<Vec<(String, f64)>> {
        console.say(&format!("epoch {} of {}", metrics.epoch, self.name));
        self.epochs.push(std::mem::take(&mut self.batches));
        Ok(vec![(self.name.to_string(), self.epochs.len() as f64)])
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(vec![])
    }

    fn load_state(&mut self, _: &[(String, Tensor)]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn observers_see_every_batch_in_its_order() {
    let base = tempfile::tempdir().unwrap();
    let [mut one, mut other] = ["one", "other"].map(|name| Notes { name, ..Notes::default() });
    let (_, said, history) = train(base.path(), (2, 0.1), vec![&mut one, &mut other], |_| {});
    let [ten, five, val] = [(Split::Train, 10), (Split::Train, 5), (Split::Val, 10)];
    let epoch = vec![ten, ten, ten, five, val, val];
    assert_eq!(one.epochs, [epoch.clone(), epoch]);
    assert_eq!((history[1].get("one"), history[1].get("other")), (Some(2.0), Some(2.0)));
    assert!(said.iter().any(|line| line == "epoch 2 of other"), "{said:?}");

    let [mut one, mut same] = ["one", "one"].map(|name| Notes { name, ..Notes::default() });
    let again = tempfile::tempdir().unwrap();
    let (outcome, ..) = train(again.path(), (1, 0.1), vec![&mut one, &mut same], |_| {});
    let message = outcome.unwrap_err().to_string();
    assert_eq!(message, "an observer's one is among the measurements already");
}
