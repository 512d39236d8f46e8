//! The lesson from beginning to end: table, network, compile, fit, and what the accuracy hides.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use md5::{Digest, Md5};
use voxgrad_engine::nn::{Linear, Module, ReLU, Sequential, Sigmoid};
use voxgrad_engine::{Device, manual_seed};

use super::settings::{Config, Settings};
use super::table::{ATTRIBUTES, CLASS_NAMES, Patients, Source};
use crate::Result;
use crate::keras::{Fit, History, Model};
use crate::losses::Loss;
use crate::metrics::{ConfusionMatrix, Metric, Predictions};
use crate::plot::HeatMap;
use crate::trainer::{BUILD, Console, Outcome, RunDir};

/// The part of the patients that the network never learns from.
const VALIDATION: f64 = 0.2;
/// What is measured in every epoch.
const METRICS: [&str; 4] = ["accuracy", "precision", "recall", "auc"];

/// Trains a network to tell who survives the year after the operation, and writes what came of it to
/// `settings.out`. `stop` is asked, when the training begins, for the flag that ends it after the batch at
/// hand with everything saved: [`stop_on_ctrl_c`](crate::trainer::stop_on_ctrl_c).
///
/// # Errors
/// For settings out of range, before anything else happens; for data, a device or a directory that
/// can't be used, before the training starts; and for whatever goes wrong in it.
pub fn run(
    settings: &Settings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let loss = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut model = network(loss, settings, &device)?;
    model.compile(loss, settings.optimizer.as_str(), &METRICS)?;

    let mut run = RunDir::open(&settings.out, settings.resume)?;
    console.say_setup(&device);
    let patients = Patients::load(settings.data.as_deref(), settings.seed)?;
    console.say(&format!("Data: {}", patients.describe()));
    let (train, val) = split(&patients, settings);
    console.say(&format!("Split: {} patients to train on, {} for validation", train.len(), val.len()));
    let config = config(settings, &model, loss, &patients, [train.len(), val.len()], &device);
    run.begin(&config, settings.resume, console)?;

    let ((x, y), (val_x, val_y)) = (train.tensors()?, val.tensors()?);
    let mut fit = Fit::new(&run, console);
    fit.validation_data = Some((&val_x, &val_y));
    (fit.seed, fit.resume, fit.stop) = (settings.seed, settings.resume, stop()?);
    fit.profile = settings.profile;
    let history = model.fit(&x, &y, settings.epochs, settings.batch_size, fit)?;

    if settings.resume {
        run.write_config(&config)?;
    }
    if let Outcome::Stopped { .. } = history.outcome {
        console.say_stopped(history.outcome, &run);
        return Ok(history.outcome);
    }

    let said = Predictions::of(&model.predict(&val_x)?, &val_y, loss.threshold())?;
    let seen = said.confusion()?;
    report(&history, &said, &seen, console)?;
    HeatMap::confusion("Patients for validation", &seen, &CLASS_NAMES).save(run.file("confusion.png"))?;
    if let Source::Drawn(_) = patients.source {
        console.say(&format!("These are numbers of {}", patients.describe()));
    }
    Ok(history.outcome)
}

/// 16 attributes to one probability, with a layer of 30 between. A loss of logits takes the last sigmoid
/// itself.
fn network(loss: Loss, settings: &Settings, device: &Device) -> Result<Model> {
    manual_seed(settings.seed);
    let net = Sequential::new().append(Linear::new(ATTRIBUTES, 30)?).append(ReLU).append(Linear::new(30, 1)?);
    let logits = loss == Loss::BinaryCrossEntropyWithLogits;
    let net = if logits { net } else { net.append(Sigmoid) };
    net.to(device)?;
    Ok(Model::new(net))
}

/// Patients to train on and for validation; mean and deviation, if wanted, are those of the former.
fn split(patients: &Patients, settings: &Settings) -> (Patients, Patients) {
    let (train, val) = patients.split(VALIDATION, settings.seed);
    if !settings.standardise {
        return (train, val);
    }
    let scale = train.scale();
    (train.scaled(&scale), val.scaled(&scale))
}

/// Says how good the network is at the end: its accuracy, and then the truth.
fn report(
    history: &History,
    said: &Predictions,
    seen: &ConfusionMatrix,
    console: &mut Console,
) -> Result<()> {
    let last = |name| history.get(name).and_then(|values| values.last().copied()).unwrap_or(f64::NAN);
    console.say(&format!("Accuracy train: {:.2}", last("accuracy")));
    console.say(&format!("Accuracy val: {:.2}", last("val_accuracy")));
    let (survivors, all) = (seen.count(0, 0) + seen.count(0, 1), seen.total());
    let always = survivors as f64 / all as f64;
    let too = if always == seen.accuracy() { " too" } else { "" };
    console.say(&format!(
        "Always answering \"survives\" gives {always:.2}{too}: {survivors} of these {all} patients do"
    ));
    console.say(&format!("Precision of \"dies\": {:.2}, of those who were said to die", seen.precision(1)));
    console.say(&format!("Recall of \"dies\": {:.2}, of those who did", seen.recall(1)));
    console.say(&format!("Area under the ROC curve: {:.2}; guessing has 0.50", Metric::Auc.of(said)?));
    console.say(&format!("{:>15} {:>9} {:>9}", "true \\ said", CLASS_NAMES[0], CLASS_NAMES[1]));
    for (truth, name) in CLASS_NAMES.iter().enumerate() {
        console.say(&format!("{name:>15} {:>9} {:>9}", seen.count(truth, 0), seen.count(truth, 1)));
    }
    Ok(())
}

fn config(
    settings: &Settings,
    model: &Model,
    loss: Loss,
    patients: &Patients,
    [train_patients, val_patients]: [usize; 2],
    device: &Device,
) -> Config {
    Config {
        version: env!("CARGO_PKG_VERSION").into(),
        lesson: "thoracic",
        parameters: model.net.num_parameters(),
        loss: loss.to_string(),
        optimizer: settings.optimizer.to_lowercase(),
        standardise: settings.standardise,
        batch_size: settings.batch_size,
        epochs: settings.epochs,
        seed: settings.seed,
        data: patients.describe(),
        data_md5: fingerprint(patients),
        train_patients,
        val_patients,
        device: device.to_string(),
        build: BUILD,
    }
}

/// The MD5 sum of all numbers: the same table may lie elsewhere when a run goes on.
fn fingerprint(patients: &Patients) -> String {
    let mut md5 = Md5::new();
    for (attributes, label) in patients.attributes.iter().zip(&patients.labels) {
        attributes.iter().for_each(|x| md5.update(x.to_le_bytes()));
        md5.update(label.to_le_bytes());
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
