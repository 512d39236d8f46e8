//! Runs side by side: what another activation, another optimizer or batch normalisation changes.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::test::Tested;
use crate::plot::LineChart;
use crate::trainer::{Console, EpochMetrics, Outcome, RunDir, saved};
use crate::{Error, Result};

/// A curve needs a colour of its own.
const MOST: usize = 6;
/// Settings that runs may differ in, in the order in which they name a run.
const NAMING: [&str; 8] =
    ["activation", "batch_norm", "optimizer", "lr", "one_cycle_epochs", "augment", "batch_size", "seed"];

/// A finished run, or one that was stopped.
struct Run {
    path: PathBuf,
    settings: Map<String, Value>,
    history: Vec<EpochMetrics>,
    tested: Option<Tested>,
}

/// Draws the validation loss and accuracy of the runs in directories `paths` over their epochs, as
/// `compare_loss.png` and `compare_accuracy.png` in directory `out`, and says how each ended. A run is
/// named by what it does differently from the others.
///
/// # Errors
/// For fewer than 2 or more than 6 runs, and for a directory without a run of this lesson.
pub fn compare(paths: &[PathBuf], out: &Path, console: &mut Console) -> Result<Outcome> {
    if !(2..=MOST).contains(&paths.len()) {
        let n = paths.len();
        let runs = if n == 1 { "1 directory".to_string() } else { format!("{n} directories") };
        return Err(Error::Usage(format!("--compare with {runs}: give from 2 to {MOST}")));
    }
    let runs = paths.iter().map(|path| read(path)).collect::<Result<Vec<Run>>>()?;
    let names = names(&runs);
    let mut dir = RunDir::open(out, false)?;
    let config = Config { lesson: "mnist, runs compared", runs: paths };
    if let Some(aside) = dir.start(&config)? {
        console.say(&format!("What was in {} is now in {}", out.display(), aside.display()));
    }
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("run".len());
    console.say(&format!("{:widest$}  best epoch  val loss  val accuracy  test accuracy  s/epoch", "run"));
    for (name, run) in names.iter().zip(&runs) {
        console.say(&format!("{name:widest$}  {}", run.line()));
    }
    draw(&runs, &names, &dir)?;
    console.say(&format!("Curves: {}", dir.path().display()));
    Ok(Outcome::Finished)
}

/// What `config.json` records.
#[derive(Serialize)]
struct Config<'a> {
    lesson: &'static str,
    runs: &'a [PathBuf],
}

impl Run {
    fn best(&self) -> Option<&EpochMetrics> {
        self.history.iter().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss))
    }

    /// Its numbers, under the heads of the table.
    fn line(&self) -> String {
        let best = self.best();
        let number = |value: Option<f64>, digits| value.map_or("-".to_string(), |v| format!("{v:.digits$}"));
        let seconds: f64 = self.history.iter().map(|epoch| epoch.seconds).sum();
        format!(
            "{:>10}  {:>8}  {:>12}  {:>13}  {:>7}",
            best.map_or(0, |best| best.epoch),
            number(best.map(|best| best.val_loss), 4),
            number(best.map(|best| best.val_acc), 4),
            number(self.tested.map(|tested| tested.test_acc), 4),
            number(Some(seconds / self.history.len() as f64), 1),
        )
    }
}

/// The run in a directory.
fn read(path: &Path) -> Result<Run> {
    let config = path.join("config.json");
    let settings: Map<String, Value> = parse(&config)?;
    match settings.get("lesson") {
        Some(Value::String(lesson)) if lesson == "mnist" => {}
        lesson => {
            let lesson = lesson.map_or("nothing known".to_string(), |lesson| lesson.to_string());
            return Err(Error::file(&config, format!("it is of {lesson}, not of a run of \"mnist\"")));
        }
    }
    let history = saved(path)?.filter(|history| !history.is_empty()).ok_or_else(|| {
        Error::file(path, "its run has no finished epoch yet: there is nothing to compare".into())
    })?;
    let test = path.join("test.json");
    let tested = if test.exists() { Some(parse(&test)?) } else { None };
    Ok(Run { path: path.into(), settings, history, tested })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::file(path, e.to_string()))
}

/// A name for each run: the settings that not all runs have in common, or its directory where that
/// does not tell it from another.
fn names(runs: &[Run]) -> Vec<String> {
    let differs = |key: &&str| runs.iter().any(|run| run.settings.get(*key) != runs[0].settings.get(*key));
    let mut keys: Vec<&str> = NAMING.into_iter().filter(differs).collect();
    if keys.contains(&"optimizer") {
        // Each optimizer has a usual rate of its own.
        let rate = |run: &Run| (run.settings.get("optimizer").cloned(), run.settings.get("lr").cloned());
        let told = runs.iter().all(|a| runs.iter().all(|b| rate(a).0 != rate(b).0 || rate(a).1 == rate(b).1));
        keys.retain(|key| !(told && *key == "lr"));
    }
    let said: Vec<String> = runs.iter().map(|run| said(run, &keys)).collect();
    let unique = |name: &String| said.iter().filter(|other| *other == name).count() == 1;
    let directory = |run: &Run| run.path.display().to_string();
    said.iter()
        .zip(runs)
        .map(|(name, run)| if unique(name) { name.clone() } else { directory(run) })
        .collect()
}

/// The values of these settings of a run: `relu, batch-norm, lr 0.1`.
fn said(run: &Run, keys: &[&str]) -> String {
    let values = keys.iter().map(|key| match (*key, run.settings.get(*key)) {
        ("activation" | "optimizer", Some(Value::String(name))) => name.clone(),
        ("batch_norm", Some(Value::Bool(on))) => format!("{}batch-norm", if *on { "" } else { "no " }),
        ("augment", Some(Value::Bool(on))) => format!("{}augmented", if *on { "" } else { "not " }),
        ("one_cycle_epochs", Some(_)) => "one cycle".to_string(),
        ("one_cycle_epochs", None) => "steady rate".to_string(),
        ("batch_size", Some(value)) => format!("batches of {value}"),
        (key, value) => format!("{key} {}", value.unwrap_or(&Value::Null)),
    });
    values.collect::<Vec<_>>().join(", ")
}

fn draw(runs: &[Run], names: &[String], dir: &RunDir) -> Result<()> {
    let chart = |title: &str, measure: &str, value: fn(&EpochMetrics) -> f64| {
        let chart = LineChart::new(title).x_label("epoch").y_label(measure);
        names.iter().zip(runs).fold(chart, |chart, (name, run)| {
            chart.series(name, run.history.iter().map(|epoch| (epoch.epoch as f64, value(epoch))))
        })
    };
    let loss = chart("Validation loss", "cross-entropy", |epoch| epoch.val_loss);
    loss.save(dir.file("compare_loss.png"))?;
    let accuracy = chart("Validation accuracy", "accuracy", |epoch| epoch.val_acc);
    accuracy.save(dir.file("compare_accuracy.png"))
}
