//! What a table can be told, and the runs that it comes to.

use std::fmt;
use std::path::{Path, PathBuf};

use super::row::Row;
use super::saved::{self, Saved};
use crate::cifar2::settings::{Plan, Settings};
use crate::cifar2::variants::{MODELS, Quirks, Variant};
use crate::option::at_least_one;
use crate::{Error, Result};

/// More seeds than this are a slip of the keyboard.
const MOST_SEEDS: u64 = 100;

/// What a table is told on the command line.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// The names of the [`MODELS`] to train; none for all.
    pub models: Vec<String>,
    /// How many residual blocks `res-deep` has, or nothing for the book's 100.
    pub n_blocks: Option<usize>,
    /// Whether to train the networks a second time, as the book's printed runs do it.
    pub as_printed: bool,
    /// How often each network sees each training image.
    pub epochs: usize,
    /// How often each is trained, with another seed each time: 0, 1, ..
    pub seeds: u64,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where the data is, or nothing to look in the usual places.
    pub data: Option<PathBuf>,
    /// Where the table and all its runs go.
    pub out: PathBuf,
    /// Whether to go on with the table in `out`.
    pub resume: bool,
}

impl Default for TableSettings {
    /// The book's table, each network trained once.
    fn default() -> TableSettings {
        let Settings { n_blocks, as_printed, epochs, device, data, resume, .. } = Settings::default();
        let (models, seeds, out) = (Vec::new(), 1, "runs/cifar2_table".into());
        TableSettings { models, n_blocks, as_printed, epochs, seeds, device, data, out, resume }
    }
}

/// One of a table's runs.
#[derive(Debug)]
pub(super) struct Job {
    pub settings: Settings,
    pub plan: Plan,
    pub row: Row,
    /// Finished epochs.
    pub done: usize,
    /// Whether nothing is left to do.
    pub is_finished: bool,
}

impl Job {
    pub fn epochs_left(&self) -> usize {
        self.settings.epochs.saturating_sub(self.done)
    }
}

/// `width, as printed, seed 2`
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, seed {}", self.row, self.settings.seed)
    }
}

impl TableSettings {
    /// The runs that these settings ask for, row by row.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting out of range, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Vec<Job>> {
        at_least_one("--epochs", self.epochs)?;
        if !(1..=MOST_SEEDS).contains(&self.seeds) {
            let message = format!("--seeds {}: it must be a whole number from 1 to {MOST_SEEDS}", self.seeds);
            return Err(Error::Usage(message));
        }
        for name in &self.models {
            Variant::by_name("--models", name)?;
        }
        let chosen =
            |variant: &Variant| self.models.is_empty() || self.models.iter().any(|name| name == variant.name);
        let variants: Vec<&Variant> = MODELS.iter().filter(|variant| chosen(variant)).collect();
        if let Some(n) = self.n_blocks.filter(|_| variants.iter().all(|v| v.n_blocks.is_none())) {
            let names = self.models.join(",");
            return Err(Error::Usage(format!(
                "--n-blocks {n}: none of --models {names} has residual blocks"
            )));
        }
        let mut jobs = Vec::new();
        for as_printed in [false, true].into_iter().filter(|printed| self.as_printed || !printed) {
            for variant in variants.iter().filter(|variant| !as_printed || was_odd(variant)) {
                for seed in 0..self.seeds {
                    jobs.push(self.job(variant, as_printed, seed)?);
                }
            }
        }
        Ok(jobs)
    }

    fn job(&self, variant: &Variant, as_printed: bool, seed: u64) -> Result<Job> {
        let mut settings = Settings {
            model: variant.name.into(),
            n_blocks: self.n_blocks.filter(|_| variant.n_blocks.is_some()),
            as_printed,
            epochs: self.epochs,
            seed,
            ..Settings::default()
        };
        let plan = settings.check()?;
        let row = Row::new(&plan);
        settings.out = saved::place(&self.out, &row, seed);
        Ok(Job { settings, plan, row, done: 0, is_finished: false })
    }
}

/// How the run of a row and seed is trained, whatever else its `config.json` says.
pub(super) fn of_run(run: &Saved) -> Result<(Settings, Plan)> {
    let settings = Settings {
        model: run.config.model.clone(),
        n_blocks: run.config.n_blocks,
        as_printed: run.row.as_printed,
        seed: run.config.seed,
        ..Settings::default()
    };
    let plan = settings.check()?;
    Ok((settings, plan))
}

/// The options that ask for the run in `path`, `<table>/table_runs/<row>/seed-<n>`: `--models res-deep
/// --n-blocks 10 --seeds 2 --as-printed`. `None` when none do.
pub(super) fn options_for(path: &Path) -> Option<String> {
    let mut parts = path.components().rev().map(|part| part.as_os_str().to_string_lossy());
    let (seed, row) = (parts.next()?, parts.next()?);
    let seeds = seed.strip_prefix("seed-")?.parse::<u64>().ok()?.checked_add(1)?;
    MODELS.iter().find_map(|variant| {
        let rest = row.strip_prefix(variant.name)?;
        let n_blocks: Option<usize> = rest.split('-').find_map(|word| word.parse().ok());
        let (as_printed, models) = (rest.ends_with("as-printed"), vec![variant.name.to_string()]);
        let table = TableSettings { models, n_blocks, as_printed, seeds, ..TableSettings::default() };
        let end = Path::new(&*row).join(&*seed);
        table.check().ok()?.iter().find(|job| job.settings.out.ends_with(&end))?;
        let n_blocks = n_blocks.map_or(String::new(), |n| format!(" --n-blocks {n}"));
        let as_printed = if as_printed { " --as-printed" } else { "" };
        Some(format!("--models {}{n_blocks} --seeds {seeds}{as_printed}", variant.name))
    })
}

/// Whether the book prints a run of it that was trained in another way than one should. The baseline's
/// was not, and to be measured in training mode makes no difference to it.
fn was_odd(variant: &Variant) -> bool {
    variant.printed.is_some() && Quirks::printed(variant).no_shuffle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(settings: TableSettings) -> Vec<String> {
        settings.check().unwrap().iter().map(Job::to_string).collect()
    }

    #[test]
    fn a_table_is_a_list_of_runs() {
        let all = names(TableSettings::default());
        assert_eq!(all, MODELS.each_ref().map(|model| format!("{}, seed 0", model.name)));
        let some = TableSettings {
            models: vec!["res-deep".into(), "baseline".into(), "l1".into(), "baseline".into()],
            n_blocks: Some(10),
            as_printed: true,
            seeds: 2,
            ..TableSettings::default()
        };
        let jobs = some.check().unwrap();
        assert_eq!(
            names(some),
            [
                "baseline, seed 0",
                "baseline, seed 1",
                "l1, seed 0",
                "l1, seed 1",
                "res-deep, 10 blocks, seed 0",
                "res-deep, 10 blocks, seed 1",
                "res-deep, 10 blocks, as printed, seed 0",
                "res-deep, 10 blocks, as printed, seed 1",
            ]
        );
        let last = jobs.last().unwrap();
        assert!(last.settings.out.ends_with("table_runs/res-deep-10-blocks-as-printed/seed-1"));
        assert!(last.plan.quirks.shared_blocks);
    }

    #[test]
    fn a_run_is_asked_for_by_some_options() {
        let options = |run: &str| options_for(&Path::new("table/table_runs").join(run));
        assert_eq!(options("l2/seed-0").unwrap(), "--models l2 --seeds 1");
        assert_eq!(options("res-as-printed/seed-2").unwrap(), "--models res --seeds 3 --as-printed");
        assert_eq!(
            options("res-deep-1-block-as-printed/seed-0").unwrap(),
            "--models res-deep --n-blocks 1 --seeds 1 --as-printed"
        );
        for none in ["big/seed-0", "l2/seed-100", "baseline-as-printed/seed-0", "l2-9-blocks/seed-0"] {
            assert_eq!(options(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let refusal = |change: fn(&mut TableSettings)| {
            let mut settings = TableSettings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert_eq!(refusal(|s| s.epochs = 0), "--epochs 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.seeds = 0), "--seeds 0: it must be a whole number from 1 to 100");
        assert!(refusal(|s| s.seeds = u64::MAX).starts_with("--seeds 18446744073709551615: "));
        assert!(refusal(|s| s.models = vec!["big".into()]).starts_with("--models big: there is none"));
        assert!(refusal(|s| s.n_blocks = Some(0)).starts_with("--n-blocks 0: it must be"));
        let message = refusal(|s| (s.models, s.n_blocks) = (vec!["l1".into(), "res".into()], Some(2)));
        assert_eq!(message, "--n-blocks 2: none of --models l1,res has residual blocks");
    }
}
