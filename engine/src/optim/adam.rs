//! Adam and AdamW.

use voxgrad_kernels::ops::optimizer;

use super::parameters::Parameters;
use super::{Optimizer, at_least_zero, below_one, shared_methods};
use crate::{Result, Tensor};

/// Adam (Kingma and Ba 2015, arXiv:1412.6980), `torch.optim.Adam`: each element's step is scaled by
/// running averages of its gradient and of the gradient's square.
///
/// ```text
/// g = g + weight_decay w
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// w = w - lr m' / (sqrt(v') + eps)          m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
/// ```
/// Defaults: betas 0.9 and 0.999, eps 1e-8, no weight decay.
pub type Adam = AdamWith<false>;

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), `torch.optim.AdamW`: as [`Adam`], with the
/// weight decay beside the gradient instead of through it: `w = w - lr weight_decay w` comes first.
/// Weight decay is 0.01 by default.
pub type AdamW = AdamWith<true>;

/// [`Adam`] or [`AdamW`], whose weight decay is `DECOUPLED`.
#[derive(Debug)]
pub struct AdamWith<const DECOUPLED: bool> {
    parameters: Parameters,
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    amsgrad: bool,
}

impl<const DECOUPLED: bool> AdamWith<DECOUPLED> {
    const NAME: &'static str = if DECOUPLED { "AdamW" } else { "Adam" };

    /// PyTorch's default settings.
    ///
    /// # Errors
    /// [`Error::Value`](crate::Error::Value), here as in the settings, for a number out of range.
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Result<Self> {
        Ok(AdamWith {
            parameters: Parameters::new(Self::NAME, parameters, &["exp_avg", "exp_avg_sq"])?,
            lr: at_least_zero(Self::NAME, "lr", lr)?,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: if DECOUPLED { 0.01 } else { 0.0 },
            amsgrad: false,
        })
    }

    /// How much of the averages of the gradient and of its square is kept.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Result<Self> {
        self.betas = (below_one(Self::NAME, "beta1", beta1)?, below_one(Self::NAME, "beta2", beta2)?);
        Ok(self)
    }

    /// Keeps the denominator from 0.
    pub fn eps(mut self, eps: f64) -> Result<Self> {
        self.eps = at_least_zero(Self::NAME, "eps", eps)?;
        Ok(self)
    }

    /// Pulls the parameters towards zero.
    pub fn weight_decay(mut self, weight_decay: f64) -> Result<Self> {
        self.weight_decay = at_least_zero(Self::NAME, "weight_decay", weight_decay)?;
        Ok(self)
    }

    /// Whether to divide by the largest average square so far (Reddi et al. 2018, arXiv:1904.09237).
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
        self.parameters.buffers.truncate(2);
        self.parameters.buffers.extend(amsgrad.then_some("max_exp_avg_sq"));
        self
    }
}

impl<const DECOUPLED: bool> Optimizer for AdamWith<DECOUPLED> {
    fn step(&mut self) -> Result<()> {
        let (beta1, beta2) = self.betas;
        self.parameters.step(|step, w, g, state| {
            let p = optimizer::Adam {
                step_size: self.lr / (1.0 - beta1.powf(step.into())),
                correction: (1.0 - beta2.powf(step.into())).sqrt(),
                mix1: 1.0 - beta1,
                beta2,
                mix2: 1.0 - beta2,
                eps: self.eps,
                shrink: if DECOUPLED { 1.0 - self.lr * self.weight_decay } else { 1.0 },
                weight_decay: if DECOUPLED { 0.0 } else { self.weight_decay },
                amsgrad: self.amsgrad.into(),
                padding: 0,
            };
            optimizer::adam(&p, w, g, state)
        })
    }

    shared_methods!();
}
