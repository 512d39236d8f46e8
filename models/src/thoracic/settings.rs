//! What a run of the lesson can be told.

use std::path::PathBuf;

use serde::Serialize;

use crate::losses::Loss;
use crate::option::at_least_one;
use crate::{Error, Result};

/// What a run is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of a [`Loss`] for one output and two classes.
    pub loss: String,
    /// The name of one of [`OPTIMIZERS`](crate::keras::OPTIMIZERS).
    pub optimizer: String,
    /// Whether each attribute is brought to mean 0 and deviation 1 first.
    pub standardise: bool,
    /// How often the network sees each patient.
    pub epochs: usize,
    /// Patients per step.
    pub batch_size: usize,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where the table is, or nothing to look in the usual places.
    pub data: Option<PathBuf>,
    /// Initial values, the patients for validation and the order of the others come from it.
    pub seed: u64,
    /// Where the run's files go.
    pub out: PathBuf,
    /// Whether to go on with the run in `out`.
    pub resume: bool,
    /// Whether to show where the time goes, see [`Trainer::profile`](crate::trainer::Trainer::profile).
    pub profile: bool,
}

impl Default for Settings {
    /// The lesson's.
    fn default() -> Settings {
        Settings {
            loss: "binary_crossentropy".into(),
            optimizer: "adam".into(),
            standardise: false,
            epochs: 5,
            batch_size: 16,
            device: "auto".into(),
            data: None,
            seed: 0,
            out: "runs/thoracic".into(),
            resume: false,
            profile: false,
        }
    }
}

/// The losses of one output for two classes, coded 0 and 1.
pub const LOSSES: [Loss; 5] = [
    Loss::BinaryCrossEntropy,
    Loss::BinaryCrossEntropyWithLogits,
    Loss::MeanSquared,
    Loss::MeanAbsolute,
    Loss::MeanSquaredLogarithmic,
];

impl Settings {
    /// The loss, when all settings are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Loss> {
        at_least_one("--epochs", self.epochs)?;
        at_least_one("--batch-size", self.batch_size)?;
        let loss: Loss = self.loss.parse().map_err(|e| Error::Usage(format!("--loss: {e}")))?;
        if !LOSSES.contains(&loss) {
            let names = LOSSES.map(|loss| loss.to_string()).join(", ");
            let message = "it is not for one output and the classes 0 and 1; use";
            return Err(Error::Usage(format!("--loss {loss}: {message} {names}")));
        }
        Ok(loss)
    }
}

/// What `config.json` records.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub version: String,
    pub lesson: &'static str,
    pub parameters: usize,
    pub loss: String,
    pub optimizer: String,
    pub standardise: bool,
    pub batch_size: usize,
    pub epochs: usize,
    pub seed: u64,
    pub data: String,
    pub data_md5: String,
    pub train_patients: usize,
    pub val_patients: usize,
    pub device: String,
    pub build: &'static str,
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
        assert_eq!(Settings::default().check().unwrap(), Loss::BinaryCrossEntropy);
        assert_eq!(refusal(|s| s.epochs = 0), "--epochs 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.batch_size = 0), "--batch-size 0: it must be a whole number from 1 up");
        assert!(refusal(|s| s.loss = "hinge".into()).starts_with("--loss: there is no loss \"hinge\""));
        let message = refusal(|s| s.loss = "mape".into());
        assert!(message.starts_with("--loss mean_absolute_percentage_error: it is not for one output"));
        assert!(message.ends_with("mean_absolute_error, mean_squared_logarithmic_error"), "{message}");
    }
}
