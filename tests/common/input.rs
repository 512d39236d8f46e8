//! The numbers that go into a case: from Philox, the same on every machine, and kept away from
//! the places where an op has no derivative.

use voxgrad_engine::{DType, Device, Result, Tensor};
use voxgrad_kernels::philox::{random_u32, uniform as unit};

/// One input of a case.
#[derive(Clone)]
pub struct Input {
    pub shape: Vec<usize>,
    fill: Fill,
    /// Whether a gradient with respect to it is asked for.
    pub differentiable: bool,
}

#[derive(Clone)]
enum Fill {
    Between(f64, f64),
    AwayFrom(Vec<f64>, f64),
    Distinct { shift: f64 },
    Below(u32),
    Values(Vec<f64>),
}

fn input(shape: &[usize], fill: Fill, differentiable: bool) -> Input {
    Input { shape: shape.to_vec(), fill, differentiable }
}

/// Uniform in [-1, 1).
pub fn uniform(shape: &[usize]) -> Input {
    between(-1.0, 1.0, shape)
}

/// Uniform in [low, high).
pub fn between(low: f64, high: f64, shape: &[usize]) -> Input {
    input(shape, Fill::Between(low, high), true)
}

/// Uniform in [-2, 2), but never within `distance` of a kink. Kinks lie further than twice that apart.
pub fn away_from(kinks: &[f64], distance: f64, shape: &[usize]) -> Input {
    input(shape, Fill::AwayFrom(kinks.to_vec(), distance), true)
}

/// No two elements alike, or near zero: a maximum has one winner. Two inputs with a different
/// `shift` of 0 or 1 have no element in common either.
pub fn distinct(shift: u8, shape: &[usize]) -> Input {
    input(shape, Fill::Distinct { shift: f64::from(shift) }, true)
}

/// Integers below `n`: labels, indices.
pub fn below(n: u32, shape: &[usize]) -> Input {
    input(shape, Fill::Below(n), false)
}

/// These values.
pub fn values(values: &[f64], shape: &[usize]) -> Input {
    input(shape, Fill::Values(values.to_vec()), true)
}

impl Input {
    /// The same input, with no gradient asked for.
    pub fn fixed(self) -> Input {
        Input { differentiable: false, ..self }
    }

    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Input number `stream` of the case whose name gave `seed`.
    pub fn tensor(&self, seed: u64, stream: u64, dtype: DType, device: &Device) -> Result<Tensor> {
        let values = self.values(seed, stream);
        let shape = &self.shape[..];
        let floats = match (&self.fill, dtype) {
            (Fill::Below(_), _) => {
                let labels: Vec<u32> = values.into_iter().map(|x| x as u32).collect();
                return Tensor::new(&labels, shape, device);
            }
            (_, DType::F64) => return Tensor::new(&values, shape, device),
            _ => values.into_iter().map(|x| x as f32).collect::<Vec<f32>>(),
        };
        Tensor::new(&floats, shape, device)
    }

    /// The same, as numbers. They are all f32 numbers, so that f32 and f64 runs start from the same point.
    pub fn values(&self, seed: u64, stream: u64) -> Vec<f64> {
        let n = self.numel();
        let word = |i: usize| random_u32(seed, stream, i as u64);
        let random = |i: usize, low: f64, high: f64| low + (high - low) * f64::from(unit(word(i)));
        let values: Vec<f64> = match &self.fill {
            Fill::Between(low, high) => (0..n).map(|i| random(i, *low, *high)).collect(),
            Fill::AwayFrom(kinks, distance) => {
                (0..n).map(|i| push_off(random(i, -2.0, 2.0), kinks, *distance)).collect()
            }
            Fill::Distinct { shift } => {
                let middle = n as f64 / 2.0;
                let at = |rank: usize| (rank as f64 - middle + 0.25 + shift / 2.0) * 0.02;
                permutation(n, word).into_iter().map(at).collect()
            }
            Fill::Below(limit) => (0..n).map(|i| random(i, 0.0, f64::from(*limit)).floor()).collect(),
            Fill::Values(values) => values.clone(),
        };
        values.into_iter().map(|x| f64::from(x as f32)).collect()
    }
}

/// `x`, moved out of the neighbourhood of a kink to its edge.
fn push_off(x: f64, kinks: &[f64], distance: f64) -> f64 {
    match kinks.iter().find(|&&kink| (x - kink).abs() < distance) {
        Some(&kink) => kink + if x < kink { -distance } else { distance },
        None => x,
    }
}

/// 0..n in random order (Fisher and Yates).
fn permutation(n: usize, word: impl Fn(usize) -> u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, ((u64::from(word(i)) * (i as u64 + 1)) >> 32) as usize);
    }
    order
}
