//! Learning rates as functions of the step, PyTorch's `lr_scheduler`.
//!
//! A schedule has no state: asking for step 7 twice gives the same number, and a resumed training
//! asks for the step it is at. What a step is, an epoch or a batch, is the caller's choice.

use std::f64::consts::PI;

use super::at_least_zero;
use crate::{Error, Result};

/// The learning rate as a function of the step, which counts from 0.
pub trait Schedule: Send + Sync {
    /// The learning rate of step number `step`.
    fn lr(&self, step: usize) -> f64;
}

/// Multiplies by `gamma` every `step_size` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct StepLR {
    lr: f64,
    step_size: usize,
    gamma: f64,
}

impl StepLR {
    /// # Errors
    /// [`Error::Value`] for a step size of 0, or a number below 0 or not finite.
    pub fn new(lr: f64, step_size: usize, gamma: f64) -> Result<StepLR> {
        let lr = at_least_zero("StepLR", "lr", lr)?;
        let gamma = at_least_zero("StepLR", "gamma", gamma)?;
        Ok(StepLR { lr, step_size: at_least_one("StepLR", "step_size", step_size)?, gamma })
    }
}

impl Schedule for StepLR {
    fn lr(&self, step: usize) -> f64 {
        self.lr * self.gamma.powf((step / self.step_size) as f64)
    }
}

/// Multiplies by `gamma` at each of the milestones.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiStepLR {
    lr: f64,
    milestones: Vec<usize>,
    gamma: f64,
}

impl MultiStepLR {
    /// # Errors
    /// [`Error::Value`] for a number below 0 or not finite.
    pub fn new(lr: f64, milestones: &[usize], gamma: f64) -> Result<MultiStepLR> {
        let lr = at_least_zero("MultiStepLR", "lr", lr)?;
        let gamma = at_least_zero("MultiStepLR", "gamma", gamma)?;
        Ok(MultiStepLR { lr, milestones: milestones.to_vec(), gamma })
    }
}

impl Schedule for MultiStepLR {
    fn lr(&self, step: usize) -> f64 {
        let passed = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
        self.lr * self.gamma.powf(passed as f64)
    }
}

/// Multiplies by `gamma` at every step.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialLR {
    lr: f64,
    gamma: f64,
}

impl ExponentialLR {
    /// # Errors
    /// [`Error::Value`] for a number below 0 or not finite.
    pub fn new(lr: f64, gamma: f64) -> Result<ExponentialLR> {
        let lr = at_least_zero("ExponentialLR", "lr", lr)?;
        Ok(ExponentialLR { lr, gamma: at_least_zero("ExponentialLR", "gamma", gamma)? })
    }
}

impl Schedule for ExponentialLR {
    fn lr(&self, step: usize) -> f64 {
        self.lr * self.gamma.powf(step as f64)
    }
}

/// Falls from `lr` to `eta_min` along half a cosine in `t_max` steps, and rises again after.
///
/// ```text
/// eta_min + (lr - eta_min) (1 + cos(pi step / t_max)) / 2
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CosineAnnealingLR {
    lr: f64,
    t_max: usize,
    eta_min: f64,
}

impl CosineAnnealingLR {
    /// # Errors
    /// [`Error::Value`] for a `t_max` of 0, or a number below 0 or not finite.
    pub fn new(lr: f64, t_max: usize) -> Result<CosineAnnealingLR> {
        let lr = at_least_zero("CosineAnnealingLR", "lr", lr)?;
        Ok(CosineAnnealingLR { lr, t_max: at_least_one("CosineAnnealingLR", "t_max", t_max)?, eta_min: 0.0 })
    }

    /// The lowest learning rate.
    pub fn eta_min(mut self, eta_min: f64) -> Result<CosineAnnealingLR> {
        self.eta_min = at_least_zero("CosineAnnealingLR", "eta_min", eta_min)?;
        Ok(self)
    }
}

impl Schedule for CosineAnnealingLR {
    fn lr(&self, step: usize) -> f64 {
        cosine(self.lr, self.eta_min, step as f64 / self.t_max as f64)
    }
}

/// Rises from `max_lr / 25` to `max_lr` and falls to nearly nothing (Smith and Topin 2018,
/// arXiv:1708.07120).
#[derive(Debug, Clone, PartialEq)]
pub struct OneCycleLR {
    max_lr: f64,
    total_steps: usize,
    pct_start: f64,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
    linear: bool,
}

impl OneCycleLR {
    /// PyTorch's default settings: 30% of the steps rising, both ways along half a cosine.
    ///
    /// # Errors
    /// [`Error::Value`] for no steps at all, or a number below 0 or not finite.
    pub fn new(max_lr: f64, total_steps: usize) -> Result<OneCycleLR> {
        Ok(OneCycleLR {
            max_lr: at_least_zero("OneCycleLR", "max_lr", max_lr)?,
            total_steps: at_least_one("OneCycleLR", "total_steps", total_steps)?,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
            linear: false,
        })
    }

    /// The share of the steps in which the learning rate rises, in 0..=1.
    pub fn pct_start(mut self, pct_start: f64) -> Result<OneCycleLR> {
        if !(0.0..=1.0).contains(&pct_start) {
            let message = format!("pct_start is {pct_start}, it must be in 0..=1");
            return Err(Error::Value { what: "OneCycleLR", message });
        }
        self.pct_start = pct_start;
        Ok(self)
    }

    /// The first learning rate is `max_lr` divided by this.
    pub fn div_factor(mut self, div_factor: f64) -> Result<OneCycleLR> {
        self.div_factor = above_zero("div_factor", div_factor)?;
        Ok(self)
    }

    /// The last learning rate is the first one divided by this.
    pub fn final_div_factor(mut self, final_div_factor: f64) -> Result<OneCycleLR> {
        self.final_div_factor = above_zero("final_div_factor", final_div_factor)?;
        Ok(self)
    }

    /// Straight lines instead of cosines.
    pub fn linear(mut self) -> OneCycleLR {
        self.linear = true;
        self
    }

    /// Whether to come down as slowly as it rose, and only then fall to the last learning rate.
    pub fn three_phase(mut self, three_phase: bool) -> OneCycleLR {
        self.three_phase = three_phase;
        self
    }
}

impl Schedule for OneCycleLR {
    fn lr(&self, step: usize) -> f64 {
        let (total, max) = (self.total_steps as f64, self.max_lr);
        let initial = max / self.div_factor;
        let last = initial / self.final_div_factor;
        let peak = self.pct_start * total - 1.0;
        // Each phase ends at a step with a learning rate.
        let phases: &[(f64, f64)] = match self.three_phase {
            false => &[(peak, max), (total - 1.0, last)],
            true => &[(peak, max), (2.0 * peak, initial), (total - 1.0, last)],
        };
        let step = step as f64;
        let (mut start, mut from) = (0.0, initial);
        for &(end, to) in phases {
            if step <= end && end > start {
                let share = (step - start) / (end - start);
                return if self.linear { from + (to - from) * share } else { cosine(from, to, share) };
            }
            (start, from) = (end, to);
        }
        last
    }
}

fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (PI * share).cos())
}

fn at_least_one(what: &'static str, name: &str, value: usize) -> Result<usize> {
    match value {
        0 => Err(Error::Value { what, message: format!("{name} is 0, it must be at least 1") }),
        _ => Ok(value),
    }
}

fn above_zero(name: &str, value: f64) -> Result<f64> {
    match value.is_finite() && value > 0.0 {
        true => Ok(value),
        false => {
            let message = format!("{name} is {value}, it must be a finite number above 0");
            Err(Error::Value { what: "OneCycleLR", message })
        }
    }
}
