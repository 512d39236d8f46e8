//! The lesson from beginning to end: data, network, training, results.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::{DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::SGD;
use voxgrad_engine::{Device, manual_seed};

use super::draw_predictions;
use super::settings::{Config, Plan, Settings};
use crate::Result;
use crate::data::cifar2::{self, Cifar2, Source};
use crate::data::fingerprint;
use crate::penalty::Penalty;
use crate::trainer::{BUILD, Console, EpochMetrics, Loaders, Outcome, RunDir, Trainer, seconds_per_epoch};

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
    run_for(settings, "The same command with --resume goes on from here", console, stop)
}

/// [`run`] for another program; `hint` says how one that is stopped goes on.
pub(super) fn run_for(
    settings: &Settings,
    hint: &str,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let plan = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut run = RunDir::open(&settings.out, settings.resume)?;
    let lesson = Lesson::prepare(device, settings.data.as_deref(), settings.seed, console)?;
    let (outcome, last) = lesson.train(settings, &plan, &mut run, console, stop)?;

    if let Outcome::Stopped { epochs, batches } = outcome {
        let (epoch, out) = (epochs + 1, run.path().display());
        console.say(&format!("Stopped in epoch {epoch} after batch {batches}; all is saved in {out}"));
        console.say(hint);
        return Ok(outcome);
    }
    if let Some(last) = last {
        console.say(&format!("Accuracy train: {:.2}", last.train_acc));
        console.say(&format!("Accuracy val: {:.2}", last.val_acc));
    }
    if !matches!(lesson.data.source, Source::Files(_)) {
        console.say(&format!("These are accuracies on {}", lesson.data.describe()));
    }
    Ok(outcome)
}

/// Prints the layers of the network that `settings` choose, for an image of CIFAR's size.
///
/// # Errors
/// For settings out of range.
pub fn summary(settings: &Settings, console: &mut Console) -> Result<Outcome> {
    let summary = settings.check()?.build()?.summary(&[1, 3, 32, 32])?;
    console.say(summary.to_string().trim_end());
    Ok(Outcome::Finished)
}

/// What all runs of the lesson share: the images, and the device they are trained on.
pub(super) struct Lesson {
    pub device: Device,
    pub data: Cifar2,
    pub data_md5: String,
}

impl Lesson {
    /// Finds or fetches the data, and says what is used.
    pub fn prepare(device: Device, data: Option<&Path>, seed: u64, console: &mut Console) -> Result<Lesson> {
        console.say_setup(&device);
        let data = cifar2::load(data, seed, console.has_bar())?;
        console.say(&format!("Data: {}", data.describe()));
        let data_md5 = fingerprint(&[&data.train_images, &data.val_images])?;
        Ok(Lesson { device, data, data_md5 })
    }

    /// One training in the directory `run`, new or from where it stopped. Returns how it ended, and
    /// the measurements of the last epoch.
    pub fn train(
        &self,
        settings: &Settings,
        plan: &Plan,
        run: &mut RunDir,
        console: &mut Console,
        stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
    ) -> Result<(Outcome, Option<EpochMetrics>)> {
        let (model, mut optimizer) = self.network(settings, plan)?;
        console.say(&format!("Model: {plan}, {} parameters", model.num_parameters()));
        let config = self.config(settings, plan, model.num_parameters());
        run.begin(&config, settings.resume, console)?;

        let parameters = model.parameters();
        let penalty = plan.variant.penalty.map(|penalty| move || penalty.of(&parameters));
        let loaders = self.loaders(settings, plan)?;
        let mut trainer = Trainer::new(&*model, &mut optimizer, loaders, run, console)?;
        if let Some(penalty) = &penalty {
            trainer.add_to_loss(penalty);
        }
        trainer.measure_in_eval_mode(!plan.quirks.no_eval_mode);
        trainer.profile(settings.profile);
        if settings.resume {
            trainer.resume(settings.epochs)?;
            run.write_config(&config)?;
        }
        let outcome = trainer.fit(settings.epochs, &*stop()?)?;
        let last = trainer.history().last().cloned();
        if outcome == Outcome::Finished {
            let (path, data) = (run.file("predictions.png"), &self.data);
            draw_predictions(&path, &*model, &*data.val, data.images(), &data.class_names, &self.device)?;
        }
        Ok((outcome, last))
    }

    /// The seconds that an epoch will take, judged by a few batches.
    pub fn seconds_per_epoch(&self, settings: &Settings, plan: &Plan) -> Result<f64> {
        let (model, mut optimizer) = self.network(settings, plan)?;
        seconds_per_epoch(&*model, &mut optimizer, &self.loaders(settings, plan)?)
    }

    /// A fresh network and its optimizer.
    fn network(&self, settings: &Settings, plan: &Plan) -> Result<(Box<dyn Module>, SGD)> {
        manual_seed(settings.seed);
        let model = plan.build()?;
        model.to(&self.device)?;
        let optimizer = SGD::new(model.parameters(), plan.lr)?.weight_decay(plan.variant.weight_decay)?;
        Ok((model, optimizer))
    }

    fn loaders(&self, settings: &Settings, plan: &Plan) -> Result<Loaders> {
        // The images lie in memory, ready: worker threads would only get in the way.
        let plain = |dataset: Arc<dyn Dataset>| {
            Ok::<_, crate::Error>(DataLoader::new(dataset, settings.batch_size)?.device(&self.device))
        };
        let train = plain(self.data.train.clone())?;
        Ok(Loaders {
            train: if plan.quirks.no_shuffle { train } else { train.shuffle(settings.seed) },
            train_eval: Some(plain(self.data.train.clone())?),
            val: plain(self.data.val.clone())?,
        })
    }

    pub fn config(&self, settings: &Settings, plan: &Plan, parameters: usize) -> Config {
        let variant = plan.variant;
        let lambda = |of: fn(Penalty) -> Option<f64>| variant.penalty.and_then(of);
        Config {
            version: env!("CARGO_PKG_VERSION").into(),
            lesson: "birds_vs_airplanes".into(),
            model: variant.name.into(),
            parameters,
            n_blocks: plan.n_blocks,
            quirks: plan.quirks,
            l2_lambda: lambda(|p| if let Penalty::L2(lambda) = p { Some(lambda) } else { None }),
            l1_lambda: lambda(|p| if let Penalty::L1(lambda) = p { Some(lambda) } else { None }),
            weight_decay: (variant.weight_decay != 0.0).then_some(variant.weight_decay),
            optimizer: "SGD".into(),
            lr: plan.lr,
            batch_size: settings.batch_size,
            epochs: settings.epochs,
            seed: settings.seed,
            data: self.data.describe(),
            data_md5: self.data_md5.clone(),
            train_images: self.data.train.len(),
            val_images: self.data.val.len(),
            device: self.device.to_string(),
            build: BUILD.into(),
        }
    }
}
