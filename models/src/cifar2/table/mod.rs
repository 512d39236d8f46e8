//! The chapter's table: every network, each with several seeds, beside what the book prints.
//!
//! The runs are those of the lesson, each in a directory of its own ([`saved`]). They alone are what
//! counts: the table, the same as JSON and the charts are made from them again whenever one is finished.

mod markdown;
mod report;
mod row;
mod saved;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::HumanDuration;
use serde::Serialize;
use voxgrad_engine::Device;

use super::run::Lesson;
use super::settings::Settings;
use crate::trainer::{Console, Differences, Outcome, Part, RunDir, differences, move_aside};
use crate::{Error, Result};
use report::Report;
use row::Row;
use saved::{Found, Saved};
use settings::Job;
pub use settings::TableSettings;

/// Trains all networks that `settings` name, one after the other, and writes the chapter's table to
/// `settings.out`. `stop` as in [`run`](super::run).
///
/// # Errors
/// As [`run`](super::run); and on resuming, when the runs in `settings.out` were made with other
/// settings. A run whose files are broken is no error: it is moved aside and trained again. When the
/// weights of a run have run away, after all others are done.
pub fn run_table(
    settings: &TableSettings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let mut jobs = settings.check()?;
    let device = Device::by_name(&settings.device)?;
    let mut dir = RunDir::open_table(&settings.out, settings.resume)?;
    let lesson = Lesson::prepare(device, settings.data.as_deref(), 0, console)?;
    let config = TableConfig::new(&lesson);
    if settings.resume {
        dir.check_resume(&config)?;
    } else if let Some(aside) = dir.start(&config)? {
        console.say(&format!("The older table in {} is now in {}", dir.path().display(), aside.display()));
    }

    let found = saved::all(dir.path())?;
    check_saved(&found, &jobs, &lesson)?;
    let mut runs = usable(found, &jobs, &lesson, console)?;
    let report = Report { dir: &dir, data: &lesson.data };
    report.keep_edited(&runs, console)?;
    for job in &mut jobs {
        if let Some(run) = runs.get(&job.settings.out) {
            job.settings.resume = true;
            job.done = run.history.len();
            job.is_finished = run.is_finished() && job.epochs_left() == 0;
        }
    }
    let mut pace = estimate(&jobs, &runs, &lesson, console)?;

    let stop = stop()?;
    let mut failed = Vec::new();
    for i in 0..jobs.len() {
        if jobs[i].is_finished {
            continue;
        }
        console.begin_part(part(i, &jobs, &pace));
        let job = &mut jobs[i];
        // One that gets more epochs is no longer finished.
        runs.remove(&job.settings.out);
        report.write(&runs)?;
        console.say_with_time(&job.to_string());
        let mut run = RunDir::open(&job.settings.out, job.settings.resume)?;
        let stop = || Ok(stop.clone());
        let outcome = match lesson.train(&job.settings, &job.plan, &mut run, console, stop) {
            Ok((outcome, _)) => outcome,
            // Weights that ran away: the others need not suffer for it.
            Err(Error::Run(message)) => {
                console.say(&format!("{job} failed: {message}"));
                failed.push(job.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Outcome::Stopped { epochs, batches } = outcome {
            let epoch = epochs + 1;
            console.say(&format!("Stopped in epoch {epoch} of {job} after batch {batches}; all is saved"));
            console.say("The same command with --resume goes on from here");
            return Ok(outcome);
        }
        (job.done, job.is_finished) = (job.settings.epochs, true);
        let run = saved::read(dir.path(), &job.settings.out, job.settings.seed)?;
        if let Some(run) = run {
            pace.insert(job.row, run.seconds_per_epoch());
            runs.insert(job.settings.out.clone(), run);
        }
    }
    report.write(&runs)?;
    report.say(&runs, console);
    match failed.is_empty() {
        true => Ok(Outcome::Finished),
        false => Err(Error::Run(format!("not in the table, because they failed: {}", failed.join("; ")))),
    }
}

/// Where the usual table has its run of the baseline.
pub(super) fn runs_of_baseline() -> Vec<PathBuf> {
    let table = TableSettings { models: vec![Settings::default().model], ..TableSettings::default() };
    table.check().unwrap_or_default().into_iter().map(|job| job.settings.out).collect()
}

/// What `config.json` of a table records: what all its runs have in common.
#[derive(Serialize)]
struct TableConfig {
    version: &'static str,
    lesson: &'static str,
    data: String,
    data_md5: String,
}

impl TableConfig {
    fn new(lesson: &Lesson) -> TableConfig {
        TableConfig {
            version: env!("CARGO_PKG_VERSION"),
            lesson: "cifar2_table",
            data: lesson.data.describe(),
            data_md5: lesson.data_md5.clone(),
        }
    }
}

/// Refuses, before anything is trained or moved, to go on with runs that were made with other settings
/// or have more epochs already.
fn check_saved(found: &[Found], jobs: &[Job], lesson: &Lesson) -> Result<()> {
    for Found { path, run } in found {
        let Some(job) = jobs.iter().find(|job| job.settings.out == *path) else { continue };
        match run {
            Ok(Some(run)) => {
                let parameters = job.plan.build()?.num_parameters();
                let config = lesson.config(&job.settings, &job.plan, parameters);
                RunDir::open(path, true)?.check_resume(&config)?;
                let (epochs, done) = (job.settings.epochs, run.history.len());
                if epochs < done {
                    return Err(Error::Usage(format!(
                        "--epochs {epochs}: {done} epochs of {job} are done already; give at least that many"
                    )));
                }
            }
            Ok(None) => drop(RunDir::open(path, false)?),
            Err(_) => {}
        }
    }
    Ok(())
}

/// The runs that can be shown or gone on with, by directory. Says which are broken, and moves those of
/// them aside that are trained again.
fn usable(
    found: Vec<Found>,
    jobs: &[Job],
    lesson: &Lesson,
    console: &mut Console,
) -> Result<BTreeMap<PathBuf, Saved>> {
    let mut runs = BTreeMap::new();
    for Found { path, run } in found {
        let is_asked_for = jobs.iter().any(|job| job.settings.out == path);
        // Those that are asked for have been compared with their settings already.
        let run = match run {
            Ok(Some(run)) if !is_asked_for => check_unasked(&path, &run, lesson).map(|()| Some(run)),
            run => run,
        };
        match run {
            Ok(Some(run)) => {
                runs.insert(path, run);
            }
            Ok(None) => {}
            Err(error) => {
                console.say(&format!("The run in {} is broken: {error}", path.display()));
                console.say(&if is_asked_for {
                    format!("It is now in {}, and is trained again", move_aside(&path)?.display())
                } else if let Some(options) = settings::options_for(&path) {
                    format!("The table leaves it out; with {options} it is trained again")
                } else {
                    "The table leaves it out".to_string()
                });
            }
        }
    }
    Ok(runs)
}

/// Compares a run that these settings do not ask for with what its row says of it.
///
/// # Errors
/// When somebody has changed its `config.json`.
fn check_unasked(path: &Path, run: &Saved, lesson: &Lesson) -> Result<()> {
    let file = path.join("config.json");
    let (settings, plan) = settings::of_run(run)?;
    let config = lesson.config(&settings, &plan, plan.build()?.num_parameters());
    match differences(&file, &config)? {
        None if run.history.len() <= run.config.epochs => Ok(()),
        None => {
            let (epochs, done) = (run.config.epochs, run.history.len());
            Err(Error::file(&file, format!("it says {epochs} epochs, and {done} are done")))
        }
        Some(Differences::Lesson { was, .. }) => Err(Error::file(&file, format!("it is of a run of {was}"))),
        Some(Differences::Settings(differ)) => {
            Err(Error::file(&file, format!("it is not as this run was made: {differ}")))
        }
    }
}

/// The seconds that an epoch of each row takes: by the runs there are, or else by a few batches. Says
/// what that comes to.
fn estimate(
    jobs: &[Job],
    runs: &BTreeMap<PathBuf, Saved>,
    lesson: &Lesson,
    console: &mut Console,
) -> Result<BTreeMap<Row, f64>> {
    let duration = |seconds: f64| HumanDuration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let (mut pace, mut all) = (BTreeMap::new(), 0.0);
    for job in jobs.iter().filter(|job| !job.is_finished) {
        if pace.contains_key(&job.row) {
            continue;
        }
        let known = runs.values().find(|run| run.row == job.row && !run.history.is_empty());
        let seconds = match known {
            Some(run) => run.seconds_per_epoch(),
            None => lesson.seconds_per_epoch(&job.settings, &job.plan)?,
        };
        pace.insert(job.row, seconds);
        let epochs: usize = jobs.iter().filter(|j| j.row == job.row).map(Job::epochs_left).sum();
        let left = seconds * epochs as f64;
        all += left;
        let (row, left) = (job.row, duration(left));
        console.say(&format!("{row}: {seconds:.2} s per epoch, {epochs} to go: {left:#}"));
    }
    if all > 0.0 {
        console.say(&format!("All together: {:#}", duration(all)));
    }
    Ok(pace)
}

/// Job `i` beside all others.
fn part(i: usize, jobs: &[Job], pace: &BTreeMap<Row, f64>) -> Part {
    let seconds = |job: &Job, epochs: usize| pace.get(&job.row).copied().unwrap_or(0.0) * epochs as f64;
    let others = || jobs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, job)| job);
    Part {
        name: format!("{}/{} {}", i + 1, jobs.len(), jobs[i]),
        others_done: others().map(|job| seconds(job, job.done)).sum(),
        own: seconds(&jobs[i], jobs[i].settings.epochs),
        others_left: others().map(|job| seconds(job, job.epochs_left())).sum(),
    }
}
