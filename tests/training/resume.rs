//! A run that was stopped and resumed is the same run, bit for bit.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use voxgrad::data::{DataLoader, Dataset, Sample, TensorDataset};
use voxgrad::models::losses::Loss;
use voxgrad::models::metrics::Metric;
use voxgrad::models::trainer::{
    Best, Console, EpochMetrics, Every, Loaders, Measure, Outcome, RunDir, Trainer,
};
use voxgrad::nn::{BatchNorm2d, Conv2d, Dropout, Linear, Module};
use voxgrad::optim::{OneCycleLR, SGD};
use voxgrad::random::Rng;
use voxgrad::{Result, manual_seed, module};

use crate::metrics;

module! {
    /// Something of everything that has a state: running statistics, random masks, weights.
    pub struct Small {
        conv: Conv2d = Conv2d::new(1, 4, 3)?.padding(1),
        norm: BatchNorm2d = BatchNorm2d::new(4)?,
        drop: Dropout = Dropout::new(0.3)?,
        fc: Linear = Linear::new(4 * 4 * 4, 2)?,
    }
    forward(self, x) {
        let out = self.norm.forward(&self.conv.forward(x)?)?.relu()?.max_pool2d(2)?;
        self.fc.forward(&self.drop.forward(&out.flatten(1)?)?)
    }
}

const SAMPLES: usize = 70;
const BATCH: usize = 16;
/// Batches of an epoch.
const BATCHES: usize = SAMPLES.div_ceil(BATCH);

/// Images with a bright upper or lower half in noise.
fn images(samples: usize, seed: u64) -> TensorDataset {
    let mut rng = Rng::new(seed, 0);
    let mut inputs = Vec::new();
    let targets: Vec<u32> = (0..samples).map(|_| rng.below(2) as u32).collect();
    for &target in &targets {
        inputs.extend((0..64).map(|i| rng.normal() + if (i < 32) == (target == 0) { 0.4 } else { 0.0 }));
    }
    TensorDataset::new(inputs, [1, 8, 8], targets).unwrap()
}

/// Sets a flag when its `at`-th sample is loaded: while batch `at / BATCH` of the run is under way.
struct StopAt {
    images: TensorDataset,
    loaded: AtomicUsize,
    at: usize,
    stop: Arc<AtomicBool>,
}

impl Dataset for StopAt {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn get(&self, index: usize, rng: &mut Rng) -> Result<Sample> {
        if self.loaded.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.images.get(index, rng)
    }
}

/// Which of a run's samples sets the stop flag.
#[derive(Clone, Copy)]
enum Stop {
    Never,
    /// The first sample of this batch, counted from the start of this session.
    WhileTraining(usize),
    /// This many samples into the first validation.
    WhileValidating(usize),
}

fn train(out: &Path, epochs: usize, resume: bool, stop_at: Stop) -> (Outcome, Vec<EpochMetrics>) {
    train_as(Plain, out, epochs, resume, stop_at)
}

/// What a training is told beside its network, optimizer and data.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// As much as possible: a schedule of steps, metrics, another best epoch, and the training accuracy of
    /// the training pass.
    Rich,
}
use Kind::{Plain, Rich};

fn train_as(
    kind: Kind,
    out: &Path,
    epochs: usize,
    resume: bool,
    stop_at: Stop,
) -> (Outcome, Vec<EpochMetrics>) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = |images, at| StopAt { images, loaded: AtomicUsize::new(0), at, stop: stop.clone() };
    let (in_training, in_validation) = match stop_at {
        Stop::Never => (0, 0),
        Stop::WhileTraining(batch) => (batch / BATCHES * SAMPLES + batch % BATCHES * BATCH + 1, 0),
        Stop::WhileValidating(sample) => (0, sample),
    };
    let train = DataLoader::new(Arc::new(stopping(images(SAMPLES, 1), in_training)), BATCH).unwrap();
    let train_eval = DataLoader::new(Arc::new(images(SAMPLES, 1)), BATCH).unwrap();
    let val = DataLoader::new(Arc::new(stopping(images(40, 2), in_validation)), BATCH).unwrap();
    let train_eval = (kind == Plain).then_some(train_eval);
    let loaders = Loaders { train: train.shuffle(7), train_eval, val };

    // What a new process would find: another position of the random generator.
    manual_seed(if resume { 99 } else { 5 });
    let model = Small::new().unwrap();
    let mut optimizer = SGD::new(model.parameters(), 0.05).unwrap().momentum(0.9).unwrap();
    let mut run = RunDir::open(out, resume).unwrap();
    let config = json!({"lr": 0.05});
    if resume {
        run.check_resume(&config).unwrap();
    } else {
        run.start(&config).unwrap();
    }
    let mut console = Console::to(std::io::sink());
    let mut measure = Measure::new(&[Metric::F1, Metric::Auc], Loss::CrossEntropy);
    let mut trainer = Trainer::new(&model, &mut optimizer, loaders, &run, &mut console).unwrap();
    if kind == Rich {
        trainer.observe(&mut measure);
        trainer.schedule(Every::Batch, OneCycleLR::new(0.1, 3 * BATCHES).unwrap());
        trainer.best_by(Best::Highest("val_f1".into()));
        trainer.stop_early(100);
    }
    if resume {
        trainer.resume(epochs).unwrap();
    }
    let outcome = trainer.fit(epochs, &stop).unwrap();
    (outcome, trainer.history().to_vec())
}

/// Both runs left the same weights, in every file, and the same measurements.
fn assert_same(one: &Path, other: &Path) {
    for name in ["last.safetensors", "best.safetensors"] {
        assert!(fs::read(one.join(name)).unwrap() == fs::read(other.join(name)).unwrap(), "{name} differs");
    }
    let state = |out: &Path| {
        let (tensors, _) = voxgrad::checkpoint::load(out.join("resume.safetensors")).unwrap();
        tensors.into_iter().map(|(name, t)| (name, t.to_f64_vec().unwrap())).collect::<Vec<_>>()
    };
    assert!(state(one) == state(other), "the states of model or optimizer differ");
    assert_eq!(metrics(one), metrics(other));
}

#[test]
fn stopping_anywhere_changes_nothing() {
    stop_anywhere(Plain);
}

#[test]
fn stopping_anywhere_changes_nothing_of_what_is_observed_and_scheduled() {
    stop_anywhere(Rich);
}

fn stop_anywhere(kind: Kind) {
    let base = tempfile::tempdir().unwrap();
    let straight = base.path().join("straight");
    let (outcome, history) = train_as(kind, &straight, 3, false, Stop::Never);
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(history.len(), 3);
    assert!(history[2].train_loss < history[0].train_loss, "it learns: {history:?}");

    // First batch, mid-epoch, last batch of an epoch, first of the next, last of all.
    for batch in [0, 2, BATCHES - 1, BATCHES, 2 * BATCHES + 1, 3 * BATCHES - 1] {
        let out = base.path().join(format!("training{batch}"));
        let (outcome, _) = train_as(kind, &out, 3, false, Stop::WhileTraining(batch));
        let (epochs, batches) = (batch / BATCHES, batch % BATCHES + 1);
        assert_eq!(outcome, Outcome::Stopped { epochs, batches });
        assert_eq!(train_as(kind, &out, 3, true, Stop::Never).0, Outcome::Finished);
        assert_same(&out, &straight);
    }
}

#[test]
fn stopping_while_measuring_trains_no_batch_twice() {
    for kind in [Plain, Rich] {
        let base = tempfile::tempdir().unwrap();
        let (straight, out) = (base.path().join("straight"), base.path().join("stopped"));
        train_as(kind, &straight, 2, false, Stop::Never);
        // The validation data has three batches: the stop is seen before its second one.
        let (outcome, history) = train_as(kind, &out, 2, false, Stop::WhileValidating(10));
        assert_eq!(outcome, Outcome::Stopped { epochs: 0, batches: BATCHES });
        assert!(history.is_empty());
        train_as(kind, &out, 2, true, Stop::Never);
        assert_same(&out, &straight);
    }
}

#[test]
fn stopping_after_every_batch_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (straight, out) = (base.path().join("straight"), base.path().join("stopped"));
    train(&straight, 2, false, Stop::Never);
    let mut sessions = 1;
    let mut ended = train(&out, 2, false, Stop::WhileTraining(0)).0;
    while ended != Outcome::Finished {
        ended = train(&out, 2, true, Stop::WhileTraining(0)).0;
        sessions += 1;
    }
    // The session that only measures the last batch's epoch trains nothing, or the next one's first.
    assert!(sessions > 2 * BATCHES - 2, "{sessions} sessions");
    assert_same(&out, &straight);
}

#[test]
fn an_epoch_that_was_measured_but_not_saved_does_not_stand_twice() {
    let base = tempfile::tempdir().unwrap();
    let (straight, out) = (base.path().join("straight"), base.path().join("killed"));
    train(&straight, 2, false, Stop::Never);
    train(&out, 1, false, Stop::Never);
    let saved = fs::read(out.join("resume.safetensors")).unwrap();
    train(&out, 2, true, Stop::Never);
    // As if the power had gone between the two files of epoch 2, and while epoch 3 wrote its line.
    fs::write(out.join("resume.safetensors"), saved).unwrap();
    let lines = fs::read_to_string(out.join("metrics.jsonl")).unwrap() + "{\"epoch\":3,\"train_";
    fs::write(out.join("metrics.jsonl"), lines).unwrap();
    train(&out, 2, true, Stop::Never);
    assert_same(&out, &straight);
}

#[test]
fn more_epochs_go_on_and_fewer_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let (straight, out) = (base.path().join("straight"), base.path().join("more"));
    train(&straight, 3, false, Stop::Never);
    train(&out, 1, false, Stop::Never);
    assert_eq!(train(&out, 3, true, Stop::Never).0, Outcome::Finished);
    assert_same(&out, &straight);
    // All done: nothing is trained, the history is that of the files.
    let (outcome, history) = train(&out, 3, true, Stop::Never);
    assert_eq!((outcome, history.len()), (Outcome::Finished, 3));
    assert_same(&out, &straight);
    let refused = std::panic::catch_unwind(|| train(&out, 2, true, Stop::Never)).unwrap_err();
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains("--epochs 2: 3 epochs are begun or done already"), "{message}");
}

#[test]
fn a_run_of_an_older_version_goes_on() {
    let base = tempfile::tempdir().unwrap();
    let (straight, out) = (base.path().join("straight"), base.path().join("older"));
    train(&straight, 2, false, Stop::Never);
    train(&out, 2, false, Stop::WhileTraining(BATCHES + 2));
    // What it wrote of its position.
    let (tensors, mut metadata) = voxgrad::checkpoint::load(out.join("resume.safetensors")).unwrap();
    assert!(metadata.remove("correct").is_some() && metadata.remove("samples").is_some());
    metadata.insert("best_val_loss".into(), "0.6931".into());
    voxgrad::checkpoint::save(out.join("resume.safetensors"), &tensors, &metadata).unwrap();
    train(&out, 2, true, Stop::Never);
    assert_same(&out, &straight);
}
