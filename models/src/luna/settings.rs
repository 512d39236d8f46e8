//! What the lesson's programs can be told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::augment::Augmentation;
use super::dataset::Split;
use super::model::BiasInit;
use crate::option::{above_zero, at_least_one};
use crate::{Error, Result};

/// Which training a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    /// Both halves of the lesson, one after the other: the candidates as they are, then balanced and
    /// augmented.
    Lesson,
    /// One, as often as each candidate or balanced.
    One {
        /// Whether as many nodules as others are trained on.
        balanced: bool,
    },
}

/// Which changes of crops are asked for; all is each of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // see Augmentation
pub struct Augment {
    pub all: bool,
    pub flip: bool,
    pub offset: bool,
    pub scale: bool,
    pub rotate: bool,
    pub noise: bool,
}

impl Augment {
    /// The book's strengths of those asked for.
    pub fn strengths(self) -> Augmentation {
        let Augmentation { offset, scale, noise, .. } = Augmentation::BOOK;
        let strength = |on: bool, strength: f32| if on || self.all { strength } else { 0.0 };
        Augmentation {
            flip: self.flip || self.all,
            offset: strength(self.offset, offset),
            scale: strength(self.scale, scale),
            rotate: self.rotate || self.all,
            noise: strength(self.noise, noise),
        }
    }
}

/// Where crops are kept.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// The folder, or nothing for one in the user's cache directory.
    pub folder: Option<PathBuf>,
    /// The most GiB it may hold; 0 keeps none.
    pub limit_gib: f64,
}

impl Default for CacheSettings {
    fn default() -> CacheSettings {
        CacheSettings { folder: None, limit_gib: 20.0 }
    }
}

/// Where scans come from.
#[derive(Debug, Clone)]
pub struct ScanSettings {
    /// The folder of scans and tables, or nothing to look in the usual places and else make some.
    pub data: Option<PathBuf>,
    /// How many are made where there are none.
    pub phantoms: usize,
    /// What made scans, initial values, orders and changes of crops come from.
    pub seed: u64,
    /// Where crops are kept.
    pub cache: CacheSettings,
    /// Threads that make crops.
    pub num_workers: usize,
}

impl Default for ScanSettings {
    fn default() -> ScanSettings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ScanSettings {
            data: None,
            phantoms: 80,
            seed: 0,
            cache: CacheSettings::default(),
            num_workers: cores.min(8),
        }
    }
}

/// What `luna train` is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The training.
    pub training: Training,
    /// Epochs, or nothing for those that show the lesson.
    pub epochs: Option<usize>,
    /// Crops per step. Half the book's, and so is the learning rate: twice as many steps in the same time.
    pub batch_size: usize,
    /// The learning rate; with `one_cycle` the highest.
    pub lr: f64,
    /// Whether the learning rate of a single training rises to `lr` and falls to 0, instead of staying there as
    /// in the book. The lesson's second half has it: so little time is enough for it only with small steps at
    /// the end.
    pub one_cycle: bool,
    /// Initial values of the biases.
    pub init: Init,
    /// Changes of crops, of a single training.
    pub augment: Augment,
    /// Samples of a balanced epoch, or nothing for the book's 200,000, or the number of candidates where
    /// there are fewer.
    pub samples_per_epoch: Option<usize>,
    /// How candidates are divided.
    pub split: Split,
    /// Every so many candidates or scans, one is for validation.
    pub val_stride: usize,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where scans and crops come from.
    pub scans: ScanSettings,
    /// Where the run's files go.
    pub out: PathBuf,
    /// Whether to go on with the run in `out`.
    pub resume: bool,
    /// Whether to show where the time goes, see [`Trainer::profile`](crate::trainer::Trainer::profile).
    pub profile: bool,
    /// A folder of TensorBoard's between `tb` and the run's two.
    pub tb_prefix: Option<String>,
    /// What TensorBoard's folders are called besides `trn` and `val`.
    pub comment: Option<String>,
    /// Whether lines on standard output say when an epoch will end. A terminal has a bar instead.
    pub estimates: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            training: Training::Lesson,
            epochs: None,
            batch_size: 16,
            lr: 0.0005,
            one_cycle: false,
            init: Init(BiasInit::Zeros),
            augment: Augment::default(),
            samples_per_epoch: None,
            split: Split::Series,
            val_stride: 10,
            device: "auto".into(),
            scans: ScanSettings::default(),
            out: "runs/luna".into(),
            resume: false,
            profile: false,
            tb_prefix: None,
            comment: None,
            estimates: true,
        }
    }
}

/// Initial values of the biases, by name: `book` or `zeros`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init(pub BiasInit);

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            BiasInit::Book => "book",
            BiasInit::Zeros => "zeros",
        })
    }
}

impl FromStr for Init {
    type Err = String;

    fn from_str(name: &str) -> Result<Init, String> {
        match name {
            "book" => Ok(Init(BiasInit::Book)),
            "zeros" => Ok(Init(BiasInit::Zeros)),
            _ => Err(format!("{name:?} is neither book nor zeros")),
        }
    }
}

/// One training: what its samples are, and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    pub balanced: bool,
    pub augmentation: Augmentation,
    pub epochs: usize,
    pub one_cycle: bool,
}

/// Epochs of the lesson's first half: enough to see that nothing comes of it.
const UNBALANCED_EPOCHS: usize = 1;
/// Epochs of its second half.
const BALANCED_EPOCHS: usize = 8;

impl Plan {
    /// What the directory of the training is called.
    pub fn name(&self) -> &'static str {
        if self.balanced { "balanced" } else { "unbalanced" }
    }
}

/// `balanced, augmented: flip, offset 0.1, ..`
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let Augmentation { flip, offset, scale, rotate, noise } = self.augmentation;
        if self.augmentation == Augmentation::NONE {
            return write!(f, ", not augmented");
        }
        let strength = |name: &str, value: f32| (value > 0.0).then(|| format!("{name} {value}"));
        let parts = [
            flip.then(|| "flip".to_string()),
            strength("offset", offset),
            strength("scale", scale),
            rotate.then(|| "rotate".to_string()),
            strength("noise", noise),
        ];
        write!(f, ", augmented: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Settings {
    /// The trainings that are asked for, when all settings are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting, its value and what is allowed.
    pub(super) fn check(&self) -> Result<Vec<Plan>> {
        let usage = |message: String| Err(Error::Usage(message));
        at_least_one("--epochs", self.epochs.unwrap_or(1))?;
        at_least_one("--batch-size", self.batch_size)?;
        at_least_one("--samples-per-epoch", self.samples_per_epoch.unwrap_or(1))?;
        if self.val_stride < 2 {
            let stride = self.val_stride;
            return usage(format!(
                "--val-stride {stride}: it must be 2 or more, or nothing is left to learn from"
            ));
        }
        above_zero("--lr", self.lr)?;
        for (option, name) in [("--tb-prefix", &self.tb_prefix), ("COMMENT", &self.comment)] {
            let Some(name) = name else { continue };
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return usage(format!("{option} {name:?}: it must be a name for a folder, without slashes"));
            }
        }
        self.scans.check()?;
        let plan = |balanced: bool, augmentation, one_cycle| Plan {
            balanced,
            augmentation,
            one_cycle,
            epochs: self.epochs.unwrap_or(if balanced { BALANCED_EPOCHS } else { UNBALANCED_EPOCHS }),
        };
        match self.training {
            Training::Lesson if self.augment != Augment::default() => usage(
                "the lesson's second half has every augmentation; give --balanced or --unbalanced too \
                       for one training with those named"
                    .into(),
            ),
            Training::Lesson => Ok(vec![
                plan(false, Augmentation::NONE, self.one_cycle),
                plan(true, Augmentation::BOOK, true),
            ]),
            Training::One { balanced: false } if self.samples_per_epoch.is_some() => usage(
                "--samples-per-epoch: an unbalanced epoch has each sample once; give --balanced too".into(),
            ),
            Training::One { balanced } => Ok(vec![plan(balanced, self.augment.strengths(), self.one_cycle)]),
        }
    }
}

impl ScanSettings {
    /// # Errors
    /// As [`Settings::check`].
    pub(super) fn check(&self) -> Result<()> {
        let limit = self.cache.limit_gib;
        if !(0.0..=1e6).contains(&limit) {
            return Err(Error::Usage(format!("--cache-limit {limit}: it must be GiB from 0 to 1000000")));
        }
        let (workers, phantoms) = (self.num_workers, self.phantoms);
        if workers > 256 {
            return Err(Error::Usage(format!("--num-workers {workers}: it must be 256 or less")));
        }
        // Fewer than that can't be divided.
        if !(2..=10_000).contains(&phantoms) {
            return Err(Error::Usage(format!("--scans {phantoms}: it must be from 2 to 10000")));
        }
        Ok(())
    }
}

/// What `config.json` records.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Config {
    pub version: String,
    pub lesson: String,
    pub parameters: usize,
    pub init: String,
    pub balanced: bool,
    pub augmentation: String,
    pub optimizer: String,
    pub lr: f64,
    /// The epochs of the one cycle, if there is one: it can't be drawn out by going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_cycle_epochs: Option<usize>,
    pub momentum: f64,
    pub batch_size: usize,
    pub epochs: usize,
    pub samples_per_epoch: usize,
    pub seed: u64,
    pub split: String,
    pub val_stride: usize,
    pub data: String,
    pub data_md5: String,
    pub train_candidates: usize,
    pub val_candidates: usize,
    pub device: String,
    pub build: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        match settings.check().unwrap_err() {
            Error::Usage(message) => message,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(refusal(|s| s.epochs = Some(0)).starts_with("--epochs 0: "));
        assert!(refusal(|s| s.batch_size = 0).starts_with("--batch-size 0: "));
        assert!(refusal(|s| s.val_stride = 1).starts_with("--val-stride 1: "));
        assert!(refusal(|s| s.lr = f64::NAN).starts_with("--lr NaN: "));
        assert!(refusal(|s| s.lr = -0.1).starts_with("--lr -0.1: "));
        assert!(refusal(|s| s.tb_prefix = Some("../up".into())).starts_with("--tb-prefix \"../up\": "));
        assert!(refusal(|s| s.comment = Some(String::new())).starts_with("COMMENT \"\": "));
        assert!(refusal(|s| s.scans.cache.limit_gib = f64::NAN).starts_with("--cache-limit NaN: "));
        assert!(refusal(|s| s.scans.num_workers = 1000).starts_with("--num-workers 1000: "));
        assert!(refusal(|s| s.scans.phantoms = 1).starts_with("--scans 1: "));
        assert!(refusal(|s| s.augment.flip = true).contains("give --balanced or --unbalanced too"));
        let one = |s: &mut Settings| s.training = Training::One { balanced: false };
        assert!(
            refusal(|s| {
                one(s);
                s.samples_per_epoch = Some(5);
            })
            .contains("give --balanced too")
        );
    }

    #[test]
    fn the_lesson_has_two_halves_and_a_training_what_it_is_told() {
        let halves = Settings::default().check().unwrap();
        assert_eq!(
            halves.iter().map(Plan::to_string).collect::<Vec<_>>(),
            [
                "unbalanced, not augmented",
                "balanced, augmented: flip, offset 0.1, scale 0.2, rotate, noise 25",
            ]
        );
        let settings = Settings {
            training: Training::One { balanced: false },
            augment: Augment { flip: true, noise: true, ..Augment::default() },
            epochs: Some(3),
            ..Settings::default()
        };
        let plans = settings.check().unwrap();
        assert_eq!((plans.len(), plans[0].epochs), (1, 3));
        assert_eq!(plans[0].to_string(), "unbalanced, augmented: flip, noise 25");
    }
}
