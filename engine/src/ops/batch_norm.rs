//! Batch normalisation; the formulas stand in `kernels/src/ops/batch_norm/mod.rs`.

use std::sync::Arc;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::batch_norm::{self, BatchNorm, Channels};

use crate::error::shape_error;
use crate::{Result, Tensor};

const OP: &str = "batch_norm";

impl Tensor {
    /// Every channel of `[N, C, ...]` shifted and scaled to mean 0 and variance 1, then multiplied by
    /// `weight` and shifted by `bias`, both `[C]`.
    ///
    /// In training, or without running statistics, mean and variance are those of this batch, and
    /// `running` (mean and variance, `[C]`) moves towards them by `momentum`; otherwise they are
    /// `running` itself.
    ///
    /// # Errors
    /// When shapes do not fit, or the statistics of a single value per channel would be taken.
    pub fn batch_norm(
        &self,
        running: Option<(&Tensor, &Tensor)>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        training: bool,
        momentum: f64,
        eps: f64,
    ) -> Result<Tensor> {
        let shape = self.shape();
        if shape.len() < 2 {
            return shape_error(OP, format!("expected [N, C, ...], got {shape}"));
        }
        let channels = shape[1];
        let (running_mean, running_var) = running.unzip();
        let named = [
            ("running mean", running_mean),
            ("running variance", running_var),
            ("weight", weight),
            ("bias", bias),
        ];
        for (name, tensor) in named.iter().filter_map(|(name, tensor)| Some((name, (*tensor)?))) {
            if tensor.shape()[..] != [channels] {
                let message =
                    format!("{name} {} is not [{channels}], one per channel of {shape}", tensor.shape());
                return shape_error(OP, message);
            }
        }
        let p = BatchNorm {
            samples: shape[0] as u32,
            channels: channels as u32,
            inner: shape[2..].iter().product::<usize>() as u32,
            of_batch: (training || running.is_none()) as u32,
        };
        let x = self.storage();
        let (mean, var): (Arc<Storage>, Arc<Storage>) = match running {
            Some((mean, var)) if !training => (mean.storage(), var.storage()),
            _ => {
                if p.count() == 1 {
                    let message =
                        format!("expected more than 1 value per channel when training, got input {shape}");
                    return shape_error(OP, message);
                }
                let (mean, var) = batch_norm::statistics(&p, &x)?;
                if let Some((running_mean, running_var)) = running.filter(|_| p.count() > 1) {
                    let unbiased = p.count() as f64 / (p.count() - 1) as f64;
                    running_mean.update(|r| Ok(batch_norm::update_running(r, &mean, momentum, 1.0)?))?;
                    running_var.update(|r| Ok(batch_norm::update_running(r, &var, momentum, unbiased)?))?;
                }
                (mean.into(), var.into())
            }
        };
        let (w, b) = (weight.map(Tensor::storage), bias.map(Tensor::storage));
        let with = Channels { mean: &mean, var: &var, weight: w.as_deref(), bias: b.as_deref(), eps };
        let y = batch_norm::forward(&p, &with, &x)?;
        let inputs: Vec<&Tensor> = [Some(self), weight, bias].into_iter().flatten().collect();
        Ok(Tensor::from_op(OP, y, shape, &inputs, move |dy, wanted| {
            let with = Channels { mean: &mean, var: &var, weight: w.as_deref(), bias: None, eps };
            let all = batch_norm::backward(&p, &with, &x, dy, wanted[0])?;
            let mut grads = vec![all.dx.map(Arc::new)];
            grads.extend(w.is_some().then(|| Some(Arc::new(all.dweight))));
            grads.extend(b.is_some().then(|| Some(Arc::new(all.dbias))));
            Ok(grads)
        }))
    }
}
