//! What the runs add up to, as files: the table, the same as JSON, and the charts.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use voxgrad_engine::checkpoint;

use super::markdown;
use super::row::Row;
use super::saved::Saved;
use crate::cifar2::variants::{Printed, Span, Variant};
use crate::data::cifar2::{Cifar2, Source};
use crate::plot::{Bar, BarChart};
use crate::trainer::{Console, EpochMetrics, RunDir, move_aside};
use crate::{Error, Result};

const JSON: &str = "table.json";
const MARKDOWN: &str = "table.md";

/// Over so many epochs at the end a run's swings are shown.
const LAST_EPOCHS: usize = 10;

/// Where a table goes, and the data of its runs.
pub(super) struct Report<'a> {
    pub dir: &'a RunDir,
    pub data: &'a Cifar2,
}

/// What a table shows, as `table.json` holds it.
#[derive(Serialize)]
pub(super) struct Table {
    pub data: String,
    pub devices: Vec<String>,
    pub rows: Vec<Line>,
}

/// A network, trained in one way with one or several seeds.
#[derive(Serialize)]
pub(super) struct Line {
    pub name: String,
    pub what: &'static str,
    pub as_printed: bool,
    pub parameters: usize,
    pub epochs: usize,
    pub printed: Option<Printed>,
    pub train_acc: Spread,
    pub val_acc: Spread,
    /// Of the last epochs of all its runs.
    pub last_val_acc: Span,
    pub first_loss: Spread,
    pub last_loss: Spread,
    pub seconds_per_epoch: Spread,
    pub runs: Vec<Run>,
}

/// The finished run of one seed.
#[derive(Serialize)]
pub(super) struct Run {
    seed: u64,
    device: String,
    train_acc: f64,
    val_acc: f64,
    /// The lowest and the highest of the last epochs.
    last_val_acc: Span,
    first_loss: f64,
    last_loss: f64,
    seconds_per_epoch: f64,
}

/// What the runs of different seeds give.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Spread {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let bounds = values.iter().fold((low, high), |(low, high), &v| (low.min(v), high.max(v)));
        Spread { mean, low: bounds.0, high: bounds.1 }
    }
}

/// `0.894 (0.889 to 0.898)`, or `0.894` of one seed.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:.digits$}", self.mean)?;
        if self.low < self.high {
            write!(f, " ({:.digits$})", Span { low: self.low, high: self.high })
        } else {
            Ok(())
        }
    }
}

impl Line {
    fn new(row: Row, variant: &Variant, runs: &[&Saved]) -> Option<Line> {
        let config = &runs.first()?.config;
        let each: Vec<Run> = runs.iter().filter_map(|run| Run::new(run)).collect();
        let spread = |value: fn(&Run) -> f64| Spread::of(&each.iter().map(value).collect::<Vec<_>>());
        Some(Line {
            name: row.to_string(),
            what: variant.what,
            as_printed: row.as_printed,
            parameters: config.parameters,
            epochs: config.epochs,
            printed: variant.printed,
            train_acc: spread(|run| run.train_acc),
            val_acc: spread(|run| run.val_acc),
            last_val_acc: Span {
                low: spread(|run| run.last_val_acc.low).low,
                high: spread(|run| run.last_val_acc.high).high,
            },
            first_loss: spread(|run| run.first_loss),
            last_loss: spread(|run| run.last_loss),
            seconds_per_epoch: spread(|run| run.seconds_per_epoch),
            runs: each,
        })
    }
}

impl Run {
    fn new(run: &Saved) -> Option<Run> {
        let (first, last) = (run.history.first()?, run.history.last()?);
        let EpochMetrics { train_loss, train_acc, val_acc, .. } = *last;
        let before = run.history.len().saturating_sub(LAST_EPOCHS);
        let last_val_accs: Vec<f64> = run.history[before..].iter().map(|epoch| epoch.val_acc).collect();
        let Spread { low, high, .. } = Spread::of(&last_val_accs);
        Some(Run {
            seed: run.config.seed,
            device: run.config.device.clone(),
            train_acc,
            val_acc,
            last_val_acc: Span { low, high },
            first_loss: first.train_loss,
            last_loss: train_loss,
            seconds_per_epoch: run.seconds_per_epoch(),
        })
    }
}

impl Report<'_> {
    /// Keeps under other names what was made of the runs before but is not what they give now: somebody
    /// has changed it, or it tells of runs that are gone.
    pub fn keep_edited(&self, runs: &BTreeMap<PathBuf, Saved>, console: &mut Console) -> Result<()> {
        let table = self.table(runs);
        for (name, text) in [(JSON, self.json(&table)?), (MARKDOWN, markdown::of(&table))] {
            let path = self.dir.file(name);
            if path.exists() && fs::read(&path).map_err(Error::io(&path))? != text.as_bytes() {
                let aside = move_aside(&path)?;
                console.say(&format!(
                    "{} is not what the saved runs give: it was edited or cut short, or tells of other \
                     runs, or another version made it. It is now {}, and a new one is made of the runs",
                    path.display(),
                    aside.display()
                ));
            }
        }
        Ok(())
    }

    /// Writes the table of all finished runs, and draws it.
    pub fn write(&self, runs: &BTreeMap<PathBuf, Saved>) -> Result<()> {
        let table = self.table(runs);
        checkpoint::write_atomically(self.dir.file(JSON), self.json(&table)?.as_bytes())?;
        checkpoint::write_atomically(self.dir.file(MARKDOWN), markdown::of(&table).as_bytes())?;
        let charts = [(false, "table.png", ""), (true, "table_as_printed.png", ", trained as printed")];
        for (as_printed, name, how) in charts {
            let lines: Vec<&Line> = table.rows.iter().filter(|line| line.as_printed == as_printed).collect();
            if !lines.is_empty() {
                chart(&format!("Birds vs airplanes{how}"), &lines).save(self.dir.file(name))?;
            }
        }
        Ok(())
    }

    /// Says what came out.
    pub fn say(&self, runs: &BTreeMap<PathBuf, Saved>, console: &mut Console) {
        for Line { name, train_acc, val_acc, printed, .. } in self.table(runs).rows {
            let printed = printed.map_or(String::new(), |printed| {
                format!("; printed {}, {}", printed.train_acc, printed.val_acc)
            });
            console.say(&format!("{name}: accuracy train {train_acc}, val {val_acc}{printed}"));
        }
        console.say(&format!("The table is in {}", self.dir.file(MARKDOWN).display()));
    }

    fn table(&self, runs: &BTreeMap<PathBuf, Saved>) -> Table {
        let mut groups: BTreeMap<(Row, usize), Vec<&Saved>> = BTreeMap::new();
        for run in runs.values().filter(|run| run.is_finished()) {
            groups.entry((run.row, run.config.epochs)).or_default().push(run);
        }
        let mut devices: Vec<String> =
            groups.values().flatten().map(|run| run.config.device.clone()).collect();
        devices.sort();
        devices.dedup();
        let rows = groups.into_iter().filter_map(|((row, _), mut runs)| {
            runs.sort_by_key(|run| run.config.seed);
            Line::new(row, row.variant()?, &runs)
        });
        let (train, val) = (self.data.train_images.len(), self.data.val_images.len());
        let source = match &self.data.source {
            Source::Files(_) => "of CIFAR-2, the airplanes and birds of CIFAR-10",
            Source::Drawn(_) => "drawn by voxgrad itself, not CIFAR-2's photographs",
        };
        Table {
            data: format!("{train} training and {val} validation images {source}"),
            devices,
            rows: rows.collect(),
        }
    }

    fn json(&self, table: &Table) -> Result<String> {
        let text = serde_json::to_string_pretty(table);
        Ok(text.map_err(|e| Error::file(&self.dir.file(JSON), e.to_string()))? + "\n")
    }
}

/// The chapter's closing chart.
fn chart(title: &str, lines: &[&Line]) -> BarChart {
    let mut chart = BarChart::new(title, 0.7..1.0)
        .y_label("accuracy")
        .series(["training", "validation"])
        .spread_name("lowest to highest of the seeds")
        .mark_name("printed in the book");
    let usual = lines.iter().map(|line| line.epochs).max();
    for line in lines {
        let bar = |spread: Spread, printed: Option<Span>| {
            let mut marks = printed.map_or(vec![], |span| vec![span.low, span.high]);
            marks.dedup();
            Bar::new(spread.mean).spread(spread.low, spread.high).marks(marks)
        };
        let epochs =
            if Some(line.epochs) == usual { String::new() } else { format!(", {} epochs", line.epochs) };
        let name = line.name.replace(", as printed", "") + &epochs;
        let train = bar(line.train_acc, line.printed.map(|printed| printed.train_acc));
        chart = chart.group(name, [train, bar(line.val_acc, line.printed.map(|printed| printed.val_acc))]);
    }
    chart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_shown_as_their_mean_and_extremes() {
        assert_eq!(Spread::of(&[0.9, 0.87, 0.888]).to_string(), "0.886 (0.870 to 0.900)");
        assert_eq!(Spread::of(&[0.9]).to_string(), "0.900");
        assert_eq!(format!("{:.1}", Spread::of(&[1.0, 2.0])), "1.5 (1.0 to 2.0)");
    }
}
