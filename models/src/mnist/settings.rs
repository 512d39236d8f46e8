//! What a run of the lesson can be told.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use voxgrad_engine::Tensor;
use voxgrad_engine::nn::Sequential;
use voxgrad_engine::optim::{Adam, Optimizer, SGD};

use super::net::{self, Activation};
use crate::option::{above_zero, at_least_one};
use crate::{Error, Result};

/// What a run is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of an [`Activation`].
    pub activation: String,
    /// `adam` or `sgd`.
    pub optimizer: String,
    /// Whether each convolution is followed by batch normalisation.
    pub batch_norm: bool,
    /// Whether the learning rate rises to `lr` in the first epochs and falls to nearly nothing in the last.
    pub one_cycle: bool,
    /// Whether training images are turned, shifted, and made brighter or darker at random.
    pub augment: bool,
    /// How often the network sees each training image, at most.
    pub epochs: usize,
    /// After so many epochs in a row without a lower validation loss the training ends.
    pub patience: usize,
    /// Images per step.
    pub batch_size: usize,
    /// The learning rate, or nothing for the optimizer's usual one.
    pub lr: Option<f64>,
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
    /// The lecture's.
    fn default() -> Settings {
        Settings {
            activation: "relu".into(),
            optimizer: "adam".into(),
            batch_norm: false,
            one_cycle: false,
            augment: false,
            epochs: 5,
            patience: 3,
            batch_size: 100,
            lr: None,
            device: "auto".into(),
            data: None,
            seed: 0,
            out: "runs/mnist".into(),
            resume: false,
            profile: false,
        }
    }
}

/// How the weights are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Down the gradient, by the same rate for all weights and without momentum.
    Sgd,
    /// A rate of its own for each weight (Kingma and Ba 2014, arXiv:1412.6980).
    Adam,
}

impl Method {
    const ALL: [Method; 2] = [Method::Sgd, Method::Adam];

    /// The learning rate where none is given.
    fn lr(self) -> f64 {
        match self {
            Method::Sgd => 0.01,
            Method::Adam => 0.001,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Method::Sgd { "sgd" } else { "adam" })
    }
}

/// What settings come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub activation: Activation,
    pub batch_norm: bool,
    pub augment: bool,
    pub method: Method,
    pub lr: f64,
}

impl Plan {
    /// The network with fresh initial values.
    pub fn network(&self) -> Result<Sequential> {
        Ok(net::cnn_with(self.activation, self.batch_norm)?)
    }

    pub fn optimizer(&self, parameters: Vec<Tensor>) -> Result<Box<dyn Optimizer>> {
        Ok(match self.method {
            Method::Sgd => Box::new(SGD::new(parameters, self.lr)?),
            Method::Adam => Box::new(Adam::new(parameters, self.lr)?),
        })
    }
}

/// `relu, batch-norm, adam`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batch_norm = if self.batch_norm { ", batch-norm" } else { "" };
        let augment = if self.augment { ", augmented" } else { "" };
        write!(f, "{}{batch_norm}, {}{augment}", self.activation, self.method)
    }
}

impl Settings {
    /// What the settings come to, when all are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Plan> {
        at_least_one("--epochs", self.epochs)?;
        at_least_one("--patience", self.patience)?;
        at_least_one("--batch-size", self.batch_size)?;
        self.lr.map_or(Ok(()), |lr| above_zero("--lr", lr))?;
        let method = named("--optimizer", &self.optimizer, &Method::ALL)?;
        Ok(Plan {
            activation: named("--activation", &self.activation, &Activation::ALL)?,
            batch_norm: self.batch_norm,
            augment: self.augment,
            method,
            lr: self.lr.unwrap_or(method.lr()),
        })
    }
}

/// The one of `all` that calls itself `name`, the value of `option`.
fn named<T: fmt::Display + Copy>(option: &str, name: &str, all: &[T]) -> Result<T> {
    all.iter().copied().find(|one| one.to_string() == name).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(T::to_string).collect();
        Error::Usage(format!("{option} {name}: there is none of that name; use {}", names.join(", ")))
    })
}

/// What `config.json` records.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub version: String,
    pub lesson: String,
    pub activation: String,
    pub batch_norm: bool,
    pub parameters: usize,
    pub optimizer: String,
    pub lr: f64,
    /// The epochs of the one cycle, if there is one: it can't be drawn out by going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_cycle_epochs: Option<usize>,
    pub augment: bool,
    pub batch_size: usize,
    pub epochs: usize,
    pub patience: usize,
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
    use voxgrad_engine::nn::Module;

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
        assert_eq!(refusal(|s| s.patience = 0), "--patience 0: it must be a whole number from 1 up");
        assert_eq!(refusal(|s| s.batch_size = 0), "--batch-size 0: it must be a whole number from 1 up");
        for (lr, name) in [(f64::NAN, "NaN"), (-0.1, "-0.1"), (f64::INFINITY, "inf"), (0.0, "0")] {
            let message = refusal(|s| s.lr = Some(lr));
            assert_eq!(message, format!("--lr {name}: it must be a finite number above 0"));
        }
        let wanted = "--activation swish: there is none of that name; \
                      use sigmoid, tanh, relu, leaky-relu, elu, maxout";
        assert_eq!(refusal(|s| s.activation = "swish".into()), wanted);
        let wanted = "--optimizer Adam: there is none of that name; use sgd, adam";
        assert_eq!(refusal(|s| s.optimizer = "Adam".into()), wanted);
    }

    #[test]
    fn the_optimizer_decides_the_rate_that_was_not_given() {
        let plan = |optimizer: &str, lr| {
            Settings { optimizer: optimizer.into(), lr, ..Settings::default() }.check().unwrap()
        };
        assert_eq!((plan("adam", None).lr, plan("sgd", None).lr), (0.001, 0.01));
        assert_eq!(plan("sgd", Some(0.5)).lr, 0.5);
        let parameters = plan("sgd", None).network().unwrap().parameters();
        assert_eq!(plan("sgd", Some(0.5)).optimizer(parameters).unwrap().lr(), 0.5);
        assert_eq!(plan("adam", None).to_string(), "relu, adam");
    }
}
