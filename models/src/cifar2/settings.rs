//! What a run of the lesson can be told.

use std::path::PathBuf;

use serde::Serialize;
use voxgrad_engine::nn::Module;

use super::nets;
use crate::{Error, Result};

/// Makes a network with fresh initial values.
type Build = fn() -> Result<Box<dyn Module>>;

/// The lesson's networks by name.
pub const MODELS: &[(&str, Build)] = &[("baseline", || Ok(Box::new(nets::Net::new()?)))];

/// What a run is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One of [`MODELS`].
    pub model: String,
    /// How often the network sees each training image.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// The learning rate.
    pub lr: f64,
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
}

impl Default for Settings {
    /// The book's.
    fn default() -> Settings {
        Settings {
            model: "baseline".into(),
            epochs: 100,
            batch_size: 64,
            lr: 1e-2,
            device: "auto".into(),
            data: None,
            seed: 0,
            out: "runs/birds_vs_airplanes".into(),
            resume: false,
        }
    }
}

impl Settings {
    /// The network's constructor, when all settings are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Build> {
        let usage = |message: String| Err(Error::Usage(message));
        if self.epochs == 0 {
            return usage("--epochs 0: it must be a whole number from 1 up".into());
        }
        if self.batch_size == 0 {
            return usage("--batch-size 0: it must be a whole number from 1 up".into());
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return usage(format!("--lr {}: it must be a finite number above 0", self.lr));
        }
        match MODELS.iter().find(|(name, _)| *name == self.model) {
            Some((_, build)) => Ok(*build),
            None => {
                let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
                usage(format!("--model {}: there is none of that name; use {}", self.model, names.join(", ")))
            }
        }
    }
}

/// What `config.json` records: the settings and what became of them.
#[derive(Debug, Serialize)]
pub(super) struct Config<'a> {
    pub version: &'static str,
    pub lesson: &'static str,
    pub model: &'a str,
    pub parameters: usize,
    pub optimizer: &'static str,
    pub lr: f64,
    pub batch_size: usize,
    pub epochs: usize,
    pub seed: u64,
    pub data: String,
    pub data_md5: String,
    pub train_images: usize,
    pub val_images: usize,
    pub device: String,
    pub build: &'static str,
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
            assert_eq!(refusal(|s| s.lr = lr), format!("--lr {name}: it must be a finite number above 0"));
        }
        let message = refusal(|s| s.model = "big".into());
        assert_eq!(message, "--model big: there is none of that name; use baseline");
    }
}
