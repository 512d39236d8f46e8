//! The lesson from beginning to end: data, network, training, test.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::transforms::{
    Compose, RandomBrightness, RandomCrop, RandomHorizontalFlip, Transformed,
};
use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::{Adam, OneCycleLR};
use voxgrad_engine::{Device, checkpoint, manual_seed};

use super::net::Cifar10Cnn;
use super::pictures::draw_batch;
use super::settings::{Config, Settings};
use super::test::test;
use crate::Result;
use crate::cifar2::convolution_by_hand;
use crate::data::cifar10::{self, Cifar10};
use crate::data::{Images, Source, cifar, fingerprint};
use crate::trainer::{BUILD, Console, Every, Loaders, Outcome, RunDir, Trainer, evaluate, every_epoch};

/// Trains the course's network on CIFAR-10, tests it with the weights of the lowest validation loss, and
/// writes what came of it to `settings.out`. `stop` is asked, when the training begins, for the flag that
/// ends it after the batch at hand with everything saved:
/// [`stop_on_ctrl_c`](crate::trainer::stop_on_ctrl_c).
///
/// # Errors
/// For settings out of range, before anything else happens; for data, a device or a directory that
/// can't be used, before the training starts; and for whatever goes wrong in it.
pub fn run(
    settings: &Settings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut run = RunDir::open(&settings.out, settings.resume)?;
    console.say_setup(&device);
    let data = cifar10::load(settings.data.as_deref(), settings.seed, console.has_bar())?;
    console.say(&format!("Data: {}", data.describe()));

    manual_seed(settings.seed);
    let model = Cifar10Cnn::new()?;
    model.to(&device)?;
    let mut optimizer = Adam::new(model.parameters(), settings.lr)?;
    console.say(&format!("Model: {} parameters", model.num_parameters()));
    let config = config(settings, &data, &device, model.num_parameters())?;
    run.begin(&config, settings.resume, console)?;

    let loaders = loaders(settings, &data, &device)?;
    if !settings.resume {
        console.say(&format!("\n{}", convolution_by_hand()?));
        draw_batch(&run.file("batch.png"), &loaders.train, settings.augment, &data.class_names)?;
        if let Some(before) = evaluate(&model, &loaders.val, &AtomicBool::new(false))? {
            let (loss, accuracy) = (before.loss, before.accuracy);
            console.say(&format!("Before training: val_loss {loss:.4}, val_acc {accuracy:.4}"));
        }
    }
    let steps = settings.epochs.saturating_mul(loaders.train.len());
    let mut trainer = Trainer::new(&model, &mut optimizer, loaders, &run, console)?;
    trainer.report(every_epoch);
    trainer.profile(settings.profile);
    if settings.one_cycle {
        trainer.schedule(Every::Batch, OneCycleLR::new(settings.lr, steps)?);
    }
    if settings.resume {
        trainer.resume(settings.epochs)?;
        run.write_config(&config)?;
    }
    let outcome = trainer.fit(settings.epochs, &*stop()?)?;
    let best = trainer.best().cloned();
    if let Outcome::Stopped { .. } = outcome {
        console.say_stopped(outcome, &run);
        return Ok(outcome);
    }

    if let Some(best) = best {
        model.load_state_dict(&checkpoint::load(run.file("best.safetensors"))?.0)?;
        test(&model, &data, &best, &run, &device, console)?;
    }
    if !matches!(data.source, Source::Files(_)) {
        console.say(&format!("These are accuracies on {}", data.describe()));
    }
    Ok(outcome)
}

/// Prints the layers of the network, for a batch of images.
///
/// # Errors
/// For settings out of range.
pub fn summary(settings: &Settings, console: &mut Console) -> Result<Outcome> {
    settings.check()?;
    let summary = Cifar10Cnn::new()?.summary(&[settings.batch_size, 3, 32, 32])?;
    console.say(summary.to_string().trim_end());
    Ok(Outcome::Finished)
}

/// The images in 0..1, as they are.
fn loaders(settings: &Settings, data: &Cifar10, device: &Device) -> Result<Loaders> {
    let loader = |set: Arc<dyn Dataset>| {
        Ok::<_, crate::Error>(DataLoader::new(set, settings.batch_size)?.device(device))
    };
    let train = loader(training_set(settings.augment, &data.train))?.shuffle(settings.seed);
    // A second thread changes images while this one trains.
    let train = if settings.augment { train.workers(1) } else { train };
    Ok(Loaders { train, train_eval: None, val: loader(data.val.clone())? })
}

/// The training images, each time a little different if `augment` says so: mirrored every second time,
/// shifted by up to 4 pixels, up to 20% brighter or darker.
fn training_set(augment: bool, images: &Arc<Images>) -> Arc<dyn Dataset> {
    if !augment {
        return images.clone();
    }
    let crop = RandomCrop { size: cifar::SIZE[1], padding: 4 };
    let changes = Compose::new().then(RandomHorizontalFlip(0.5)).then(crop).then(RandomBrightness(0.2));
    Arc::new(Transformed::new(images.clone(), changes))
}

fn config(settings: &Settings, data: &Cifar10, device: &Device, parameters: usize) -> Result<Config> {
    Ok(Config {
        version: env!("CARGO_PKG_VERSION").into(),
        lesson: "cifar10".into(),
        parameters,
        optimizer: "Adam".into(),
        lr: settings.lr,
        one_cycle_epochs: settings.one_cycle.then_some(settings.epochs),
        augment: settings.augment,
        batch_size: settings.batch_size,
        epochs: settings.epochs,
        seed: settings.seed,
        data: data.describe(),
        data_md5: fingerprint(&[&data.train, &data.val, &data.test])?,
        train_images: data.train.len(),
        val_images: data.val.len(),
        test_images: data.test.len(),
        device: device.to_string(),
        build: BUILD.into(),
    })
}
