//! The lesson from beginning to end: data, network, training, results.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use md5::{Digest, Md5};
use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::SGD;
use voxgrad_engine::{Device, manual_seed};

use super::draw_predictions;
use super::settings::{Config, Settings};
use crate::Result;
use crate::data::cifar2::{self, Cifar2, Source};
use crate::trainer::{Console, Loaders, Outcome, RunDir, Trainer};

/// Trains a network to tell birds from airplanes and writes what came of it to `settings.out`.
/// `stop` is asked, when the training begins, for the flag that ends it after the batch at hand with
/// everything saved: [`stop_on_ctrl_c`](crate::trainer::stop_on_ctrl_c). Until then there is nothing
/// to save, and Ctrl-C just quits.
///
/// # Errors
/// For settings out of range, before anything else happens; for data, a device or a directory that
/// can't be used, before the training starts; and for whatever goes wrong in it.
pub fn run(
    settings: &Settings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let build = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut run = RunDir::open(&settings.out, settings.resume)?;
    console.say(&format!("Device: {device}"));
    console.say(match BUILD {
        "debug" => "Build: debug. Warning: this is many times slower than `cargo run --release`",
        _ => "Build: release",
    });
    let data = cifar2::load(settings.data.as_deref(), settings.seed, console.has_bar())?;
    console.say(&format!("Data: {}", data.describe()));

    manual_seed(settings.seed);
    let model = build()?;
    model.to(&device)?;
    console.say(&format!("Model: {}, {} parameters", settings.model, model.num_parameters()));
    let mut optimizer = SGD::new(model.parameters(), settings.lr)?;

    let config = config(settings, &data, &*model, &device)?;
    if settings.resume {
        run.check_resume(&config)?;
    } else if let Some(aside) = run.start(&config)? {
        console.say(&format!("The older run in {} is now in {}", run.path().display(), aside.display()));
    }
    let loaders = loaders(&data, settings, &device)?;
    let mut trainer = Trainer::new(&*model, &mut optimizer, loaders, &run, console)?;
    if settings.resume {
        trainer.resume(settings.epochs)?;
        run.write_config(&config)?;
    }
    let outcome = trainer.fit(settings.epochs, &*stop()?)?;
    let last = trainer.history().last().copied();

    if let Outcome::Stopped { epochs, batches } = outcome {
        let (epoch, out) = (epochs + 1, run.path().display());
        console.say(&format!("Stopped in epoch {epoch} after batch {batches}; all is saved in {out}"));
        console.say("The same command with --resume goes on from here");
        return Ok(outcome);
    }
    let path = run.file("predictions.png");
    draw_predictions(&path, &*model, &*data.val, data.images(), &data.class_names, &device)?;
    if let Some(last) = last {
        console.say(&format!("Accuracy train: {:.2}", last.train_acc));
        console.say(&format!("Accuracy val: {:.2}", last.val_acc));
    }
    if !matches!(data.source, Source::Files(_)) {
        console.say(&format!("These are accuracies on {}", data.describe()));
    }
    Ok(outcome)
}

const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

fn config<'a>(
    settings: &'a Settings,
    data: &Cifar2,
    model: &dyn Module,
    device: &Device,
) -> Result<Config<'a>> {
    Ok(Config {
        version: env!("CARGO_PKG_VERSION"),
        lesson: "birds_vs_airplanes",
        model: &settings.model,
        parameters: model.num_parameters(),
        optimizer: "SGD",
        lr: settings.lr,
        batch_size: settings.batch_size,
        epochs: settings.epochs,
        seed: settings.seed,
        data: data.describe(),
        data_md5: fingerprint(data)?,
        train_images: data.train.len(),
        val_images: data.val.len(),
        device: device.to_string(),
        build: BUILD,
    })
}

/// The MD5 sum of all images and labels: the same data may lie elsewhere when a run goes on.
fn fingerprint(data: &Cifar2) -> Result<String> {
    let mut md5 = Md5::new();
    for images in [&data.train_images, &data.val_images] {
        for (i, label) in images.labels().iter().enumerate() {
            md5.update(label.to_le_bytes());
            md5.update(images.pixels(i)?);
        }
    }
    Ok(md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn loaders(data: &Cifar2, settings: &Settings, device: &Device) -> Result<Loaders> {
    // The images lie in memory, ready: worker threads would only get in the way.
    let plain = |dataset: Arc<dyn Dataset>| {
        Ok::<_, crate::Error>(DataLoader::new(dataset, settings.batch_size)?.device(device))
    };
    Ok(Loaders {
        train: plain(data.train.clone())?.shuffle(settings.seed),
        train_eval: plain(data.train.clone())?,
        val: plain(data.val.clone())?,
    })
}
