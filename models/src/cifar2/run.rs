//! The lesson from beginning to end: data, network, training, results.

use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::optim::SGD;
use voxgrad_engine::{Device, manual_seed};

use super::settings::{Config, Settings};
use super::{CLASSES, draw_predictions};
use crate::data::cifar2::{self, Cifar2};
use crate::plot::Picture;
use crate::trainer::{Console, Loaders, Outcome, RunDir, Trainer};
use crate::Result;

/// Trains a network to tell birds from airplanes and writes what came of it to `settings.out`.
/// Setting `stop` ends the run after the batch at hand, with everything saved.
///
/// # Errors
/// For settings out of range, before anything else happens; for data, a device or a directory that
/// can't be used, before the training starts; and for whatever goes wrong in it.
pub fn run(settings: &Settings, console: &mut Console, stop: &AtomicBool) -> Result<Outcome> {
    let build = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut run = RunDir::open(&settings.out, settings.resume)?;
    let data = cifar2::load(settings.data.as_deref(), settings.seed, console.has_bar())?;

    manual_seed(settings.seed);
    let model = build()?;
    model.to(&device)?;
    let mut optimizer = SGD::new(model.parameters(), settings.lr)?;
    let config = Config {
        version: env!("CARGO_PKG_VERSION"),
        lesson: "birds_vs_airplanes",
        model: &settings.model,
        parameters: model.num_parameters(),
        optimizer: "SGD",
        lr: settings.lr,
        batch_size: settings.batch_size,
        epochs: settings.epochs,
        seed: settings.seed,
        data: data.description.clone(),
        train_images: data.train.len(),
        val_images: data.val.len(),
        device: device.to_string(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
    };
    if settings.resume {
        run.check_resume(&config)?;
    }
    introduce(&config, console);
    if settings.resume {
        run.write_config(&config)?;
    } else if let Some(aside) = run.start(&config)? {
        console.say(&format!("The older run in {} is now in {}", run.path().display(), aside.display()));
    }

    let loaders = loaders(&data, settings, &device)?;
    let mut trainer = Trainer::new(&*model, &mut optimizer, loaders, &run, console)?;
    if settings.resume {
        trainer.resume()?;
    }
    let outcome = trainer.fit(settings.epochs, stop)?;
    let last = trainer.history().last().copied();
    match outcome {
        Outcome::Stopped { epochs, batches } => {
            let out = run.path().display();
            console.say(&format!("Stopped after {epochs} epochs and {batches} batches; all is saved in {out}"));
            console.say("Give the same command with --resume to go on");
        }
        Outcome::Finished => {
            let picture = |i| Picture::from_planes(data.val_image(i), 3, 32, 32);
            draw_predictions(&run.file("predictions.png"), &*model, &*data.val, picture, &device)?;
            if let Some(last) = last {
                console.say(&format!("Accuracy train: {:.2}", last.train_acc));
                console.say(&format!("Accuracy val: {:.2}", last.val_acc));
            }
        }
    }
    Ok(outcome)
}

/// Says what is about to be trained, on what and with what.
fn introduce(config: &Config, console: &mut Console) {
    console.say(&format!("Device: {}", config.device));
    console.say(&match config.build {
        "debug" => "Build: debug. Warning: this is many times slower than `cargo run --release`".to_string(),
        build => format!("Build: {build}"),
    });
    let (train, val) = (config.train_images, config.val_images);
    console.say(&format!("Data: {}, {train} training and {val} validation images", config.data));
    console.say(&format!("Model: {}, {} parameters", config.model, config.parameters));
}

fn loaders(data: &Cifar2, settings: &Settings, device: &Device) -> Result<Loaders> {
    // The images lie in memory, ready: worker threads would only get in the way.
    let plain = |dataset: std::sync::Arc<dyn Dataset>| {
        Ok::<_, crate::Error>(DataLoader::new(dataset, settings.batch_size)?.device(device))
    };
    Ok(Loaders {
        train: plain(data.train.clone())?.shuffle(settings.seed),
        train_eval: plain(data.train.clone())?,
        val: plain(data.val.clone())?,
    })
}
