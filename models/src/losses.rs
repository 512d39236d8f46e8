//! Losses by name: one number that says how far a network's outputs are from the targets.
//!
//! ```
//! use voxgrad_engine::{Device, Tensor};
//! use voxgrad_models::losses::Loss;
//!
//! let outputs = Tensor::new(&[0.5f32, 2.0], [2, 1], &Device::cpu())?;
//! let targets = Tensor::new(&[1.0f32, 2.0], [2, 1], &Device::cpu())?;
//! assert_eq!("mse".parse::<Loss>()?.of(&outputs, &targets)?.item()?, 0.125);
//! # Ok::<(), voxgrad_models::Error>(())
//! ```

use std::fmt;
use std::str::FromStr;

use voxgrad_engine::ops::{CrossEntropyOptions, Reduction};
use voxgrad_engine::{DType, Device, Tensor};

use crate::{Error, Result};

/// A loss: the mean over a batch, with o the outputs and t the targets.
///
/// Where both must be alike, class numbers 0 and 1 serve as targets of type u32 too, and targets `[N]`
/// fit outputs `[N, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// `-log(softmax(o)[t])`: o are logits `[N, C]`, t class numbers `[N]`. PyTorch's
    /// `CrossEntropyLoss` (Deep Learning with PyTorch, section 7.2.5).
    #[default]
    CrossEntropy,
    /// `-sum_c t_c log(o_c)`: o are probabilities `[N, C]`, at least 1e-7 each as in Keras; t are
    /// probabilities of the same shape, 1 for the class and 0 for the others ("one-hot"), or class
    /// numbers `[N]`. Keras' `categorical_crossentropy` and `sparse_categorical_crossentropy`.
    CategoricalCrossEntropy,
    /// `-t log(o) - (1 - t) log(1 - o)`: o are probabilities, t probabilities of the same shape. The
    /// logarithms are at least -100. PyTorch's `BCELoss`, Keras' `binary_crossentropy`.
    BinaryCrossEntropy,
    /// The same with `sigmoid(o)` for o: o are logits. It neither overflows nor loses digits. PyTorch's
    /// `BCEWithLogitsLoss`.
    BinaryCrossEntropyWithLogits,
    /// `(o - t)^2`. PyTorch's `MSELoss`, Keras' `mean_squared_error`.
    MeanSquared,
    /// `|o - t|`. PyTorch's `L1Loss`, Keras' `mean_absolute_error`.
    MeanAbsolute,
    /// `|t - o| / |t|`, a share; Keras' `mean_absolute_percentage_error` is a hundred times this. A t of
    /// 0 is an error on the CPU; on a GPU, where looking would cost a wait, it makes the loss infinite
    /// or not a number.
    MeanAbsolutePercentage,
    /// `(log(o + 1) - log(t + 1))^2`: about the squared relative error, for numbers that differ by orders
    /// of magnitude. Keras' `mean_squared_logarithmic_error`. An o or t of -1 or less is an error on the
    /// CPU; on a GPU it makes the loss infinite or not a number.
    MeanSquaredLogarithmic,
}

/// All losses with their names, the first of which is printed.
const NAMES: [(Loss, &[&str]); 8] = [
    (Loss::CrossEntropy, &["cross_entropy", "CrossEntropyLoss"]),
    (Loss::CategoricalCrossEntropy, &["categorical_crossentropy", "sparse_categorical_crossentropy"]),
    (Loss::BinaryCrossEntropy, &["binary_crossentropy", "binary_cross_entropy", "BCELoss", "bce"]),
    (Loss::BinaryCrossEntropyWithLogits, &["binary_cross_entropy_with_logits", "BCEWithLogitsLoss"]),
    (Loss::MeanSquared, &["mean_squared_error", "mse", "mse_loss", "MSELoss"]),
    (Loss::MeanAbsolute, &["mean_absolute_error", "mae", "l1_loss", "L1Loss"]),
    (Loss::MeanAbsolutePercentage, &["mean_absolute_percentage_error", "mape"]),
    (Loss::MeanSquaredLogarithmic, &["mean_squared_logarithmic_error", "msle"]),
];

/// Probabilities below this count as this, so that their logarithm is finite.
const SMALLEST: f64 = 1e-7;

impl Loss {
    /// The loss of a batch, a scalar that gradients flow back from.
    ///
    /// # Errors
    /// When outputs and targets do not fit, or hold what the loss is not defined for.
    pub fn of(self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let mean = Reduction::Mean;
        Ok(match self {
            Loss::CrossEntropy => outputs.cross_entropy(targets, &CrossEntropyOptions::default())?,
            Loss::CategoricalCrossEntropy => {
                let log = outputs.clamp(Some(SMALLEST), Some(1.0))?.log()?;
                if targets.dtype() == DType::U32 {
                    return Ok(log.nll_loss(targets, None, None, mean)?);
                }
                let targets = self.alike(outputs, targets)?;
                targets.mul(&log)?.sum(&[-1], false)?.mean_all()?.neg()?
            }
            Loss::BinaryCrossEntropy => {
                outputs.binary_cross_entropy(&self.alike(outputs, targets)?, None, mean)?
            }
            Loss::BinaryCrossEntropyWithLogits => {
                let targets = self.alike(outputs, targets)?;
                outputs.binary_cross_entropy_with_logits(&targets, None, None, mean)?
            }
            Loss::MeanSquared => outputs.mse_loss(&self.alike(outputs, targets)?, mean)?,
            Loss::MeanAbsolute => outputs.l1_loss(&self.alike(outputs, targets)?, mean)?,
            Loss::MeanAbsolutePercentage => {
                let targets = self.alike(outputs, targets)?;
                self.refuse("target", &targets, |t| t == 0.0, "dividing by it has no meaning")?;
                targets.sub(outputs)?.abs()?.div(&targets.abs()?)?.mean_all()?
            }
            Loss::MeanSquaredLogarithmic => {
                let targets = self.alike(outputs, targets)?;
                for (what, numbers) in [("output", outputs), ("target", &targets)] {
                    self.refuse(what, numbers, |x| x <= -1.0, "it must be above -1")?;
                }
                let log = |x: &Tensor| x.add_scalar(1.0)?.log();
                log(outputs)?.sub(&log(&targets)?)?.square()?.mean_all()?
            }
        })
    }

    /// Of outputs that are one number per sample, what lies above this is called class 1: one half of a
    /// probability, 0 of a logit.
    pub fn threshold(self) -> f64 {
        if self == Loss::BinaryCrossEntropyWithLogits { 0.0 } else { 0.5 }
    }

    /// What it measures, for the axis of a picture.
    pub fn label(self) -> &'static str {
        match self {
            Loss::CrossEntropy | Loss::CategoricalCrossEntropy => "cross-entropy",
            Loss::BinaryCrossEntropy | Loss::BinaryCrossEntropyWithLogits => "binary cross-entropy",
            Loss::MeanSquared => "mean squared error",
            Loss::MeanAbsolute => "mean absolute error",
            Loss::MeanAbsolutePercentage => "mean absolute error / |target|",
            Loss::MeanSquaredLogarithmic => "mean squared logarithmic error",
        }
    }

    fn names(self) -> &'static [&'static str] {
        NAMES.iter().find(|(loss, _)| *loss == self).map_or(&["loss"], |(_, names)| names)
    }

    /// The targets in the shape and type of the outputs.
    fn alike(self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (o, t) = (outputs.shape(), targets.shape());
        if o != t && o[..] != [&t[..], &[1]].concat() {
            let message = format!("the outputs are {o}, the targets {t}; they must be alike");
            return Err(voxgrad_engine::Error::Shape { op: self.names()[0], message }.into());
        }
        Ok(targets.to_dtype(outputs.dtype())?.reshape(o)?)
    }

    /// An error when a number in memory at hand is `bad`.
    fn refuse(self, what: &str, numbers: &Tensor, bad: impl Fn(f64) -> bool, why: &str) -> Result<()> {
        if !matches!(numbers.device(), Device::Cpu) {
            return Ok(());
        }
        match numbers.to_f64_vec()?.into_iter().enumerate().find(|(_, x)| bad(*x)) {
            Some((i, x)) => {
                let message = format!("{what} {i} is {x}; {why}");
                Err(voxgrad_engine::Error::Value { what: self.names()[0], message }.into())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.names()[0])
    }
}

impl FromStr for Loss {
    type Err = Error;

    /// Keras' and PyTorch's names, whatever their case.
    fn from_str(name: &str) -> Result<Loss> {
        let found = NAMES.iter().find(|(_, names)| names.iter().any(|n| n.eq_ignore_ascii_case(name)));
        found.map(|(loss, _)| *loss).ok_or_else(|| {
            let names = NAMES.map(|(_, names)| names[0]).join(", ");
            Error::Usage(format!("there is no loss {name:?}; there are {names}"))
        })
    }
}

#[cfg(test)]
mod tests;
