//! Penalties on large weights, as terms of the loss that autograd differentiates with the rest ("Deep
//! Learning with PyTorch", section 8.5.2).
//!
//! ```text
//!                 loss term         its gradient
//! L2              lambda sum w^2    2 lambda w
//! L1              lambda sum |w|    lambda sign(w)
//! weight decay    none              weight_decay w, added by the optimizer
//! ```
//!
//! So with SGD an L2 term is weight decay of twice its lambda, without the cost of a graph. With Adam it
//! is not: Adam divides the gradient, that of the penalty included, by how large it usually is.

use voxgrad_engine::{Error, Tensor};

use crate::Result;

/// A penalty on large weights, with its lambda.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// lambda times the sum of the squares: pulls the harder the larger a weight is.
    L2(f64),
    /// lambda times the sum of the absolute values: pulls all weights alike, small ones to zero.
    L1(f64),
}

impl Penalty {
    /// The penalty of all `parameters` together, a scalar.
    ///
    /// # Errors
    /// When there are none, or they lie on several devices.
    pub fn of(self, parameters: &[Tensor]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for w in parameters {
            let w = match self {
                Penalty::L2(_) => w.square()?.sum_all()?,
                Penalty::L1(_) => w.abs()?.sum_all()?,
            };
            sum = Some(match sum {
                Some(sum) => sum.add(&w)?,
                None => w,
            });
        }
        let (Penalty::L2(lambda) | Penalty::L1(lambda)) = self;
        match sum {
            Some(sum) => Ok(sum.mul_scalar(lambda)?),
            None => {
                let message = "there are no parameters to penalise".into();
                Err(Error::Value { what: "penalty", message }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::Device;
    use voxgrad_engine::optim::{Optimizer, SGD};

    use super::*;

    fn weights(values: &[f64]) -> Tensor {
        Tensor::new(values, [values.len()], &Device::cpu()).unwrap().requires_grad()
    }

    #[test]
    fn penalties_and_their_gradients_are_the_formulas() {
        let all = [weights(&[3.0, -4.0, 0.0]), weights(&[0.5])];
        let l2 = Penalty::L2(0.01).of(&all).unwrap();
        assert!((l2.item().unwrap() - 0.01 * 25.25).abs() < 1e-15);
        l2.backward().unwrap();
        assert_eq!(all[0].grad().unwrap().to_f64_vec().unwrap(), [2.0 * 0.01 * 3.0, -2.0 * 0.01 * 4.0, 0.0]);
        all.iter().for_each(Tensor::zero_grad);
        let l1 = Penalty::L1(0.01).of(&all).unwrap();
        assert!((l1.item().unwrap() - 0.01 * 7.5).abs() < 1e-15);
        l1.backward().unwrap();
        assert_eq!(all[0].grad().unwrap().to_f64_vec().unwrap(), [0.01, -0.01, 0.0]);
        assert_eq!(all[1].grad().unwrap().to_f64_vec().unwrap(), [0.01]);
        let message = Penalty::L1(0.01).of(&[]).unwrap_err().to_string();
        assert_eq!(message, "penalty: there are no parameters to penalise");
    }

    /// Twenty steps on the mean of (w . x - y)^2, from the same weights.
    fn descend(momentum: f64, weight_decay: f64, penalty: Option<Penalty>) -> Vec<f64> {
        let w = weights(&[0.9, -0.4, 0.3, 1.7]);
        let cpu = Device::cpu();
        let x =
            Tensor::new(&[0.5, -1.0, 2.0, 0.1, 1.5, 0.3, -0.7, 0.9, -0.2f64, 0.6, 0.4, -1.1], [3, 4], &cpu);
        let y = Tensor::new(&[1.0f64, -2.0, 0.5], [3, 1], &cpu).unwrap();
        let x = x.unwrap();
        let sgd = SGD::new(vec![w.clone()], 0.05).unwrap().momentum(momentum).unwrap();
        let mut sgd = sgd.weight_decay(weight_decay).unwrap();
        for _ in 0..20 {
            let out = x.matmul(&w.reshape([4, 1]).unwrap()).unwrap();
            let mut loss = out.sub(&y).unwrap().square().unwrap().mean_all().unwrap();
            if let Some(penalty) = penalty {
                loss = loss.add(&penalty.of(std::slice::from_ref(&w)).unwrap()).unwrap();
            }
            sgd.zero_grad();
            loss.backward().unwrap();
            sgd.step().unwrap();
        }
        w.to_f64_vec().unwrap()
    }

    #[test]
    fn an_l2_term_is_weight_decay_of_twice_its_lambda() {
        let lambda = 0.03;
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
        for momentum in [0.0, 0.9] {
            let by_loss = descend(momentum, 0.0, Some(Penalty::L2(lambda)));
            assert!(close(&by_loss, &descend(momentum, 2.0 * lambda, None)), "momentum {momentum}");
            // Neither half of it nor none at all would do.
            assert!(!close(&by_loss, &descend(momentum, lambda, None)));
            assert!(!close(&by_loss, &descend(momentum, 0.0, None)));
            assert!(!close(&by_loss, &descend(momentum, 0.0, Some(Penalty::L1(lambda)))));
        }
    }
}
