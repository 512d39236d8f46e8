//! What a run of the lesson can be told.

use std::path::PathBuf;

use serde::Serialize;

use crate::Result;
use crate::option::{above_zero, at_least_one};

/// What a run is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether training images are mirrored, shifted, and made brighter or darker at random.
    pub augment: bool,
    /// Whether the learning rate rises and falls once in all epochs.
    pub one_cycle: bool,
    /// How often the network sees each training image.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// The learning rate; with `one_cycle` the highest.
    pub lr: f64,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where the data is, or nothing to look in the usual places.
    pub data: Option<PathBuf>,
    /// The split, initial values and the order of the images come from it.
    pub seed: u64,
    /// Where the run's files go.
    pub out: PathBuf,
    /// Whether to go on with the run in `out`.
    pub resume: bool,
    /// Whether to show where the time goes, see [`Trainer::profile`](crate::trainer::Trainer::profile).
    pub profile: bool,
}

impl Default for Settings {
    /// The course's.
    fn default() -> Settings {
        Settings {
            augment: false,
            one_cycle: false,
            epochs: 10,
            batch_size: 128,
            lr: 0.001,
            device: "auto".into(),
            data: None,
            seed: 0,
            out: "runs/cifar10".into(),
            resume: false,
            profile: false,
        }
    }
}

impl Settings {
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) names a setting that is out of range, its value and what is allowed.
    pub(super) fn check(&self) -> Result<()> {
        at_least_one("--epochs", self.epochs)?;
        at_least_one("--batch-size", self.batch_size)?;
        above_zero("--lr", self.lr)
    }
}

/// What `config.json` records.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub version: String,
    pub lesson: String,
    pub parameters: usize,
    pub optimizer: String,
    pub lr: f64,
    /// Over how many epochs the learning rate rises and falls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_cycle_epochs: Option<usize>,
    pub augment: bool,
    pub batch_size: usize,
    pub epochs: usize,
    pub seed: u64,
    pub data: String,
    pub data_md5: String,
    pub train_images: usize,
    pub val_images: usize,
    pub test_images: usize,
    pub device: String,
    pub build: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_say_what_is_allowed() {
        let refusal = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert!(Settings::default().check().is_ok());
        assert_eq!(refusal(|s| s.epochs = 0), "--epochs 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.batch_size = 0), "--batch-size 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.lr = -0.5), "--lr -0.5: it must be a finite number above 0");
        assert_eq!(refusal(|s| s.lr = f64::NAN), "--lr NaN: it must be a finite number above 0");
    }
}
