//! The lesson from beginning to end: data, network, training, one test, pictures.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::transforms::{Compose, RandomBrightness, RandomCrop, RandomRotation, Transformed};
use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::OneCycleLR;
use voxgrad_engine::{Device, checkpoint, manual_seed};

use super::pictures::{draw_classes, draw_digits};
use super::settings::{Config, Plan, Settings};
use super::test::test;
use crate::Result;
use crate::data::mnist::{self, Mnist};
use crate::data::{Images, Source, fingerprint};
use crate::trainer::{BUILD, Console, Every, Loaders, Outcome, RunDir, Trainer, every_epoch};

/// Trains the lecture's network to read digits, tests it once with the weights of the lowest validation
/// loss, and writes what came of it to `settings.out`. `stop` is asked, when the training begins, for
/// the flag that ends it after the batch at hand with everything saved:
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
    let plan = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut run = RunDir::open(&settings.out, settings.resume)?;
    console.say_setup(&device);
    let data = mnist::load(settings.data.as_deref(), settings.seed, console.has_bar())?;
    console.say(&format!("Data: {}", data.describe()));

    manual_seed(settings.seed);
    let model = plan.network()?;
    model.to(&device)?;
    let mut optimizer = plan.optimizer(model.parameters())?;
    console.say(&format!("Model: {plan}, {} parameters", model.num_parameters()));
    let config = config(settings, &plan, &data, &device, model.num_parameters())?;
    run.begin(&config, settings.resume, console)?;

    let train = training_set(&plan, &data.train);
    draw_classes(&run.file("classes.png"), &data)?;
    draw_digits(&run.file("digits.png"), &*train, plan.augment, settings.seed)?;
    let loader = |set: Arc<dyn Dataset>| {
        Ok::<_, crate::Error>(DataLoader::new(set, settings.batch_size)?.device(&device))
    };
    // Turning an image takes time: a second thread does it while this one trains.
    let workers = if plan.augment { 1 } else { 0 };
    let loaders = Loaders {
        train: loader(train)?.shuffle(settings.seed).workers(workers),
        train_eval: None,
        val: loader(data.val.clone())?,
    };
    let steps = settings.epochs.saturating_mul(loaders.train.len());
    let mut trainer = Trainer::new(&model, &mut *optimizer, loaders, &run, console)?;
    trainer.stop_early(settings.patience);
    if settings.one_cycle {
        trainer.schedule(Every::Batch, OneCycleLR::new(plan.lr, steps)?);
    }
    trainer.report(every_epoch);
    trainer.profile(settings.profile);
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
        test(&model, &data.test, &best, &run, &device, console)?;
    }
    if !matches!(data.source, Source::Files(_)) {
        console.say(&format!("These are accuracies on {}", data.describe()));
    }
    Ok(outcome)
}

/// Prints the layers of the network that `settings` choose, for a batch of the lecture's size: the
/// shape behind every layer, as its walk through the network in a debugger shows them.
///
/// # Errors
/// For settings out of range.
pub fn summary(settings: &Settings, console: &mut Console) -> Result<Outcome> {
    let summary = settings.check()?.network()?.summary(&[settings.batch_size, 1, 28, 28])?;
    console.say(summary.to_string().trim_end());
    Ok(Outcome::Finished)
}

/// The training images, each time a little different if the plan says so: turned by up to 10 degrees,
/// shifted by up to 2 pixels, up to 30% brighter or darker.
fn training_set(plan: &Plan, images: &Arc<Images>) -> Arc<dyn Dataset> {
    if !plan.augment {
        return images.clone();
    }
    let crop = RandomCrop { size: mnist::SIZE[1], padding: 2 };
    let changes = Compose::new().then(RandomRotation(10.0)).then(crop).then(RandomBrightness(0.3));
    Arc::new(Transformed::new(images.clone(), changes))
}

fn config(
    settings: &Settings,
    plan: &Plan,
    data: &Mnist,
    device: &Device,
    parameters: usize,
) -> Result<Config> {
    Ok(Config {
        version: env!("CARGO_PKG_VERSION").into(),
        lesson: "mnist".into(),
        activation: plan.activation.to_string(),
        batch_norm: plan.batch_norm,
        parameters,
        optimizer: plan.method.to_string(),
        lr: plan.lr,
        one_cycle_epochs: settings.one_cycle.then_some(settings.epochs),
        augment: plan.augment,
        batch_size: settings.batch_size,
        epochs: settings.epochs,
        patience: settings.patience,
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
