//! What a run of the lesson can be told.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use voxgrad_engine::nn::Module;

use super::variants::{Quirks, Variant};
use crate::option::{above_zero, at_least_one};
use crate::{Error, Result};

/// More blocks than this are a slip of the keyboard.
const MOST_BLOCKS: usize = 1000;

/// What a run is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of one of [`MODELS`](super::MODELS).
    pub model: String,
    /// How many residual blocks; only `res-deep` has any, 100 unless this says otherwise.
    pub n_blocks: Option<usize>,
    /// What to do as the printed runs did, though one should not.
    pub quirks: Quirks,
    /// Whether to have all quirks of the model's printed run.
    pub as_printed: bool,
    /// How often the network sees each training image.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// The learning rate, or nothing for the book's.
    pub lr: Option<f64>,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where the data is, or nothing to look in the usual places.
    pub data: Option<PathBuf>,
    /// Initial values and the order of the images come from it.
    pub seed: u64,
    /// Where the run's files go.
    pub out: PathBuf,
    /// Whether to go on with the run in `out`.
    pub resume: bool,
    /// Whether to show where the time goes, see [`Trainer::profile`](crate::trainer::Trainer::profile).
    pub profile: bool,
}

impl Default for Settings {
    /// The book's.
    fn default() -> Settings {
        Settings {
            model: "baseline".into(),
            n_blocks: None,
            quirks: Quirks::default(),
            as_printed: false,
            epochs: 100,
            batch_size: 64,
            lr: None,
            device: "auto".into(),
            data: None,
            seed: 0,
            out: "runs/birds_vs_airplanes".into(),
            resume: false,
            profile: false,
        }
    }
}

/// What settings come to: a variant of the network, and how it is trained.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub variant: &'static Variant,
    pub n_blocks: Option<usize>,
    pub quirks: Quirks,
    pub lr: f64,
}

impl Plan {
    /// What the settings in a run's `config.json` came to.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn of(config: &Config) -> Result<Plan> {
        let variant = Variant::by_name("model", &config.model)?;
        Ok(Plan { variant, n_blocks: config.n_blocks, quirks: config.quirks, lr: config.lr })
    }

    /// The network with fresh initial values.
    pub fn build(&self) -> Result<Box<dyn Module>> {
        self.variant.build(self.n_blocks.unwrap_or(0), self.quirks.shared_blocks)
    }
}

/// The model and whatever is unusual about it: `res-deep, 10 blocks, not shuffled`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.variant.name)?;
        if let Some(n) = self.n_blocks {
            write!(f, ", {n} block{}", if n == 1 { "" } else { "s" })?;
        }
        let Quirks { shared_blocks, no_shuffle, no_eval_mode } = self.quirks;
        let quirks = [
            (shared_blocks, "one block shared"),
            (no_shuffle, "not shuffled"),
            (no_eval_mode, "measured in training mode"),
        ];
        quirks.iter().filter(|(on, _)| *on).try_for_each(|(_, quirk)| write!(f, ", {quirk}"))
    }
}

impl Settings {
    /// What the settings come to, when all are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Plan> {
        let usage = |message: String| Err(Error::Usage(message));
        at_least_one("--epochs", self.epochs)?;
        at_least_one("--batch-size", self.batch_size)?;
        self.lr.map_or(Ok(()), |lr| above_zero("--lr", lr))?;
        let variant = Variant::by_name("--model", &self.model)?;
        if variant.n_blocks.is_none() {
            let given = self.n_blocks.map(|n| format!("--n-blocks {n}"));
            let given = given.or(self.quirks.shared_blocks.then(|| "--shared-blocks".into()));
            if let Some(given) = given {
                let name = variant.name;
                return usage(format!("{given}: {name} has no residual blocks; --model res-deep has"));
            }
        }
        if let Some(n) = self.n_blocks.filter(|n| !(1..=MOST_BLOCKS).contains(n)) {
            return usage(format!("--n-blocks {n}: it must be a whole number from 1 to {MOST_BLOCKS}"));
        }
        let printed = if self.as_printed { Quirks::printed(variant) } else { Quirks::default() };
        Ok(Plan {
            variant,
            n_blocks: self.n_blocks.or(variant.n_blocks),
            quirks: self.quirks.or(printed),
            lr: self.lr.unwrap_or(variant.lr),
        })
    }
}

/// What `config.json` records: the settings that matter for this variant, and what became of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Config {
    pub version: String,
    pub lesson: String,
    pub model: String,
    pub parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_blocks: Option<usize>,
    #[serde(flatten)]
    pub quirks: Quirks,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2_lambda: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1_lambda: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    pub optimizer: String,
    pub lr: f64,
    pub batch_size: usize,
    pub epochs: usize,
    pub seed: u64,
    pub data: String,
    pub data_md5: String,
    pub train_images: usize,
    pub val_images: usize,
    pub device: String,
    pub build: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn settings_out_of_range_say_what_is_allowed() {
        assert!(Settings::default().check().is_ok());
        assert_eq!(refusal(|s| s.epochs = 0), "--epochs 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.batch_size = 0), "--batch-size 0: it must be a whole number from 1 up");
        for (lr, name) in [(f64::NAN, "NaN"), (-0.1, "-0.1"), (f64::INFINITY, "inf"), (0.0, "0")] {
            let message = refusal(|s| s.lr = Some(lr));
            assert_eq!(message, format!("--lr {name}: it must be a finite number above 0"));
        }
        assert!(refusal(|s| s.model = "big".into()).starts_with("--model big: there is none of that name"));
        for n in [0, 1001, usize::MAX] {
            let message = refusal(|s| (s.model, s.n_blocks) = ("res-deep".into(), Some(n)));
            assert_eq!(message, format!("--n-blocks {n}: it must be a whole number from 1 to 1000"));
        }
        let wanted = "--n-blocks 5: baseline has no residual blocks; --model res-deep has";
        assert_eq!(refusal(|s| s.n_blocks = Some(5)), wanted);
        let message = refusal(|s| s.quirks.shared_blocks = true);
        assert_eq!(message, "--shared-blocks: baseline has no residual blocks; --model res-deep has");
    }

    #[test]
    fn the_model_decides_what_was_not_said() {
        let plan = |model: &str, as_printed| {
            let settings = Settings { model: model.into(), as_printed, ..Settings::default() };
            settings.check().unwrap()
        };
        let (baseline, deep) = (plan("baseline", false), plan("res-deep", false));
        assert_eq!((baseline.lr, baseline.n_blocks, baseline.quirks), (0.01, None, Quirks::default()));
        assert_eq!((deep.lr, deep.n_blocks, deep.quirks), (0.003, Some(100), Quirks::default()));
        assert_eq!(plan("res-deep", true).quirks, Quirks::printed(deep.variant));
        let few = Settings { model: "res-deep".into(), n_blocks: Some(2), ..Settings::default() };
        assert_eq!(few.check().unwrap().build().unwrap().num_parameters(), 66_530 + 2 * 9_280);
    }
}
