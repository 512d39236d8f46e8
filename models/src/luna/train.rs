//! Training: the lesson's two halves, or one training as it is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use md5::{Digest, Md5};
use voxgrad_engine::data::{BalancedSampler, DataLoader, Dataset};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::{OneCycleLR, SGD};
use voxgrad_engine::{Device, checkpoint, manual_seed};

use super::ask;
use super::augment::Augmentation;
use super::dataset::LunaDataset;
use super::find::{self, Fit, Found, Source};
use super::look;
use super::model::LunaModel;
use super::settings::{Config, Plan, Settings};
use super::tables::CandidateInfo;
use super::watch::Watch;
use crate::trainer::{self, BUILD, Best, Console, EpochMetrics, Every, Loaders, Outcome, RunDir, Trainer};
use crate::{Error, Result};

/// The book's.
const MOMENTUM: f64 = 0.99;
/// The part of a one-cycle training in which the learning rate rises: PyTorch's default, 0.3, wastes an epoch.
const RISING: f64 = 0.1;
/// The book's number of samples in a balanced epoch; fewer candidates than that are seen once.
const BALANCED_SAMPLES: usize = 200_000;

/// Trains the book's network to tell nodules from what looks like them, and writes what came of it to
/// `settings.out`, each training to a folder of its name. `stop` is asked, when the training begins, for the
/// flag that ends it after the batch at hand with everything saved:
/// [`stop_on_ctrl_c`](crate::trainer::stop_on_ctrl_c).
///
/// # Errors
/// For settings out of range, before anything else happens; for data, a device or a directory that can't be
/// used, before the training starts; and for whatever goes wrong in it.
pub fn train(
    settings: &Settings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let plans = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut runs = open(settings, &plans)?;
    console.say_setup(&device);
    let lesson = Lesson::prepare(settings, device, console)?;
    plans.iter().try_for_each(|plan| lesson.sampler(settings, plan).map(drop))?;
    // All of them before any training: the second half of an older lesson is not taken for this one's when
    // this one is stopped in its first half, and settings that don't fit are refused at once.
    for (plan, (run, resume)) in plans.iter().zip(&mut runs) {
        run.begin(&lesson.config(settings, plan)?, *resume, console)?;
    }
    let stop = stop()?;
    let mut rows = Vec::new();
    for (plan, (run, resume)) in plans.iter().zip(&runs) {
        let (outcome, history) = lesson.train(settings, plan, run, *resume, console, &stop)?;
        if let Outcome::Stopped { .. } = outcome {
            console.say_stopped(outcome, run);
            return Ok(outcome);
        }
        rows.extend(table_rows(plan, &history));
    }
    table(&rows).iter().for_each(|line| console.say(line));
    if let Source::Drawn(_) = lesson.found.source {
        console.say("These are results on drawn scans, not on those of patients");
    }
    console.say(&format!("TensorBoard: tensorboard --logdir {}", settings.out.display()));
    Ok(Outcome::Finished)
}

/// The directories of all trainings, and whether each goes on. A lesson that was stopped in its first half
/// has nothing of its second yet.
fn open(settings: &Settings, plans: &[Plan]) -> Result<Vec<(RunDir, bool)>> {
    let folder = |plan: &Plan| settings.out.join(plan.name());
    let begun = |plan: &Plan| folder(plan).join("resume.safetensors").exists();
    let any = plans.iter().any(begun);
    let open = |plan: &Plan| {
        // With nothing begun at all, the refusal names the first.
        let resume = settings.resume && (begun(plan) || !any);
        Ok((RunDir::open(folder(plan), resume)?, resume))
    };
    plans.iter().map(open).collect()
}

/// What all trainings share.
struct Lesson {
    device: Device,
    found: Found,
    train: Vec<CandidateInfo>,
    val: Vec<CandidateInfo>,
    data_md5: String,
}

impl Lesson {
    /// Finds or draws the scans, and fills the crop cache if they fit into it.
    fn prepare(settings: &Settings, device: Device, console: &mut Console) -> Result<Lesson> {
        let mut found = find::find(&settings.scans, console)?;
        // Refused before minutes are spent on crops.
        settings.split.divide(found.candidates.clone(), settings.val_stride)?;
        find::prepare(&mut found, settings.scans.num_workers, Fit::IfItFits, console);
        let (train, val) = settings.split.divide(found.candidates.clone(), settings.val_stride)?;
        Ok(Lesson { data_md5: fingerprint(&found), device, found, train, val })
    }

    /// One training in the directory `run`, which has begun: new, or from where it stopped. Returns how it
    /// ended, and the measurements of all epochs.
    fn train(
        &self,
        settings: &Settings,
        plan: &Plan,
        run: &RunDir,
        resume: bool,
        console: &mut Console,
        stop: &AtomicBool,
    ) -> Result<(Outcome, Vec<EpochMetrics>)> {
        console.say(&format!("Training: {plan}"));
        manual_seed(settings.scans.seed);
        let model = LunaModel::new(settings.init.0)?;
        model.to(&self.device)?;
        let mut optimizer = SGD::new(model.parameters(), settings.lr)?.momentum(MOMENTUM)?;
        let train = self.dataset(&self.train, plan.augmentation);
        let val = self.dataset(&self.val, Augmentation::NONE);
        describe(&train, "training", plan.balanced, console);
        describe(&val, "validation", false, console);

        let loaders = self.loaders(settings, train, self.sampler(settings, plan)?, val)?;

        let done = trainer::saved(run.path())?.map_or(0, |history| history.len());
        let batches = [loaders.train.len(), loaders.val.len()];
        console.say(&format!(
            "{} epochs, {}/{} batches of size {}*1",
            plan.epochs, batches[0], batches[1], settings.batch_size
        ));
        let progress = (settings.estimates && !console.has_bar()).then(Console::stdout);
        let mut watch =
            Watch::new(done, batches, self.samples(settings, plan), self.found.crops.clone(), progress);
        let [trn, val] = ["trn", "val"].map(|side| tensorboard_folder(run, settings, side));
        watch.write_tensorboard([&trn, &val])?;

        let steps = plan.epochs.saturating_mul(batches[0]);
        let mut trainer = Trainer::new(&model, &mut optimizer, loaders, run, console)?;
        if plan.one_cycle {
            trainer.schedule(Every::Batch, OneCycleLR::new(settings.lr, steps)?.pct_start(RISING)?);
        }
        trainer.observe(&mut watch);
        trainer.best_by(Best::Highest("val_f1".to_string()));
        trainer.report(|_| None);
        trainer.profile(settings.profile);
        if resume {
            trainer.resume(plan.epochs)?;
            run.write_config(&self.config(settings, plan)?)?;
        }
        let outcome = trainer.fit(plan.epochs, stop)?;
        let history = trainer.history().to_vec();
        if outcome == Outcome::Finished {
            self.draw(run, &model, &history, console)?;
        }
        Ok((outcome, history))
    }

    fn dataset(&self, candidates: &[CandidateInfo], augmentation: Augmentation) -> LunaDataset {
        LunaDataset::new(self.found.crops.clone(), candidates.to_vec(), augmentation)
    }

    /// What chooses the samples of an epoch, where not all are seen once.
    ///
    /// # Errors
    /// When there is nothing to balance: no nodule to train on, or nothing else.
    fn sampler(&self, settings: &Settings, plan: &Plan) -> Result<Option<BalancedSampler>> {
        if !plan.balanced {
            return Ok(None);
        }
        let train = self.dataset(&self.train, plan.augmentation);
        train.balanced(self.samples(settings, plan)).map(Some)
    }

    fn loaders(
        &self,
        settings: &Settings,
        train: LunaDataset,
        sampler: Option<BalancedSampler>,
        val: LunaDataset,
    ) -> Result<Loaders> {
        let loader = |dataset: LunaDataset| {
            let loader = DataLoader::new(Arc::new(dataset), settings.batch_size)?;
            Ok::<_, Error>(loader.device(&self.device).workers(settings.scans.num_workers))
        };
        let (train, seed) = (loader(train)?, settings.scans.seed);
        let train = match sampler {
            Some(sampler) => train.sampler(sampler, seed),
            None => train.shuffle(seed),
        };
        Ok(Loaders { train, train_eval: None, val: loader(val)? })
    }

    /// In pictures, how the epochs went, and what the best network says of the validation candidates.
    fn draw(
        &self,
        run: &RunDir,
        model: &LunaModel,
        history: &[EpochMetrics],
        console: &mut Console,
    ) -> Result<()> {
        let best = run.file("best.safetensors");
        let weights = checkpoint::load(&best)?.0;
        model.load_state_dict(&weights).map_err(|e| Error::file(&best, e.to_string()))?;
        let crops = &self.found.crops;
        let predictions = ask::predictions(model, &self.device, crops, &self.val, console)?;
        let mut names = look::draw_epochs(run.path(), history)?;
        names.extend(look::results(run.path(), &predictions, |series| crops.scans().ct(series))?);
        console.say(&format!("Pictures in {}: {}", run.path().display(), names.join(", ")));
        Ok(())
    }

    /// The samples of an epoch of training.
    fn samples(&self, settings: &Settings, plan: &Plan) -> usize {
        match settings.samples_per_epoch {
            Some(samples) if plan.balanced => samples,
            _ if plan.balanced => self.train.len().min(BALANCED_SAMPLES),
            _ => self.train.len(),
        }
    }

    fn config(&self, settings: &Settings, plan: &Plan) -> Result<Config> {
        Ok(Config {
            version: env!("CARGO_PKG_VERSION").into(),
            lesson: "luna".into(),
            parameters: LunaModel::new(settings.init.0)?.num_parameters(),
            init: settings.init.to_string(),
            balanced: plan.balanced,
            augmentation: plan.to_string(),
            optimizer: "SGD".into(),
            lr: settings.lr,
            one_cycle_epochs: plan.one_cycle.then_some(plan.epochs),
            momentum: MOMENTUM,
            batch_size: settings.batch_size,
            epochs: plan.epochs,
            samples_per_epoch: self.samples(settings, plan),
            seed: settings.scans.seed,
            split: settings.split.to_string(),
            val_stride: settings.val_stride,
            data: self.found.source.to_string(),
            data_md5: self.data_md5.clone(),
            train_candidates: self.train.len(),
            val_candidates: self.val.len(),
            device: self.device.to_string(),
            build: BUILD.into(),
        })
    }
}

/// The book's line about a data set.
fn describe(dataset: &LunaDataset, what: &str, balanced: bool, console: &mut Console) {
    let [nodules, others] = dataset.by_class().map(|class| class.len());
    let ratio = if balanced { "1:1" } else { "unbalanced" };
    let n = dataset.len();
    console.say(&format!("LunaDataset: {n} {what} samples, {others} neg, {nodules} pos, {ratio} ratio"));
}

/// `tb/[PREFIX/]trn[-COMMENT]` in the run's directory.
fn tensorboard_folder(run: &RunDir, settings: &Settings, side: &str) -> PathBuf {
    let folder = run.file("tb").join(settings.tb_prefix.as_deref().unwrap_or_default());
    match &settings.comment {
        Some(comment) => folder.join(format!("{side}-{comment}")),
        None => folder.join(side),
    }
}

/// The lines of the closing table about one training: its last epoch, and its best one by F1 if that is
/// another.
fn table_rows(plan: &Plan, history: &[EpochMetrics]) -> Vec<String> {
    let f1 = |metrics: &&EpochMetrics| metrics.get("val_f1").unwrap_or(f64::NEG_INFINITY);
    // The first of equal ones, as the weights that are kept.
    let best = history.iter().rev().max_by(|a, b| f1(a).total_cmp(&f1(b)));
    let last = history.last();
    let mut shown: Vec<(&str, &EpochMetrics)> = last.map(|metrics| ("last", metrics)).into_iter().collect();
    if best.map(|metrics| metrics.epoch) != last.map(|metrics| metrics.epoch) {
        shown.extend(best.map(|metrics| ("best", metrics)));
    }
    let row = |(which, metrics): (&str, &EpochMetrics)| {
        let of = |name: &str| metrics.get(name).unwrap_or(f64::NAN);
        format!(
            "{:<12} {:<10} {:>7.4} {:>8.1}% {:>8.1}% {:>8.1}% {:>10.4} {:>7.4} {:>7.4} {:>7.4}",
            plan.name(),
            format!("{which}, {}", metrics.epoch),
            metrics.val_loss,
            of("val_correct_all"),
            of("val_correct_neg"),
            of("val_correct_pos"),
            of("val_precision"),
            of("val_recall"),
            of("val_f1"),
            of("val_auc")
        )
    };
    shown.into_iter().map(row).collect()
}

/// The closing table.
fn table(rows: &[String]) -> Vec<String> {
    let head = format!(
        "{:<12} {:<10} {:>7} {:>9} {:>9} {:>9} {:>10} {:>7} {:>7} {:>7}",
        "Validation", "epoch", "loss", "all", "neg", "pos", "precision", "recall", "F1", "AUC"
    );
    [head].into_iter().chain(rows.iter().cloned()).collect()
}

/// The MD5 sum of all candidates, and of how their scans lie: the same data may be elsewhere when a run goes
/// on.
fn fingerprint(found: &Found) -> String {
    let mut md5 = Md5::new();
    for CandidateInfo { is_nodule, diameter_mm, series_uid, center_xyz } in &found.candidates {
        md5.update(series_uid);
        md5.update([u8::from(*is_nodule)]);
        center_xyz.iter().chain([diameter_mm]).for_each(|number| md5.update(number.to_le_bytes()));
        if let Some(header) = found.crops.scans().header(series_uid) {
            header.size.iter().for_each(|side| md5.update((*side as u64).to_le_bytes()));
            let geometry = &header.geometry;
            geometry.origin.iter().chain(&geometry.spacing).for_each(|x| md5.update(x.to_le_bytes()));
        }
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
