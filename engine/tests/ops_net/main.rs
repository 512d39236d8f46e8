//! The ops of networks beyond convolution and arithmetic, against their formulas and against
//! finite differences.

mod batch_norm;
mod cross_entropy;
mod dropout;
mod grid_sample;
mod loss;
mod pool;

use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Result, Tensor};

/// Normally distributed numbers, the same at every run.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed, 0);
    (0..n).map(|_| f64::from(rng.normal())).collect()
}

fn tensor<const N: usize>(values: &[f64], shape: [usize; N]) -> Tensor {
    Tensor::new(values, shape, &Device::cpu()).unwrap()
}

fn random<const N: usize>(shape: [usize; N], seed: u64) -> Tensor {
    tensor(&numbers(shape.iter().product(), seed), shape)
}

fn labels<const N: usize>(values: &[u32], shape: [usize; N]) -> Tensor {
    Tensor::new(values, shape, &Device::cpu()).unwrap()
}

fn values(x: &Tensor) -> Vec<f64> {
    x.to_f64_vec().unwrap()
}

#[track_caller]
fn assert_close(got: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len());
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= tolerance * (1.0 + w.abs());
        assert!(same, "element {i}: got {g}, wanted {w}\n{got:?}\n{wanted:?}");
    }
}

#[track_caller]
fn assert_message(result: Result<Tensor>, message: &str) {
    assert_eq!(result.unwrap_err().to_string(), message);
}

/// The gradients of `sum(upstream * op(inputs))` for each input.
fn gradients(inputs: &[Tensor], op: impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Vec<f64>> {
    let inputs: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    let y = op(&inputs).unwrap();
    y.backward_with(&Tensor::new(&numbers(y.numel(), 99), y.shape(), &Device::cpu()).unwrap()).unwrap();
    inputs.iter().map(|x| values(&x.grad().unwrap())).collect()
}

/// Compares the gradients of an op in f64 with central finite differences.
#[track_caller]
fn check_gradients<const N: usize>(inputs: [&Tensor; N], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-6;
    let loss = |inputs: &[Tensor]| -> f64 {
        let y = values(&op(inputs).unwrap());
        y.iter().zip(numbers(y.len(), 99)).map(|(y, g)| y * g).sum()
    };
    let inputs = inputs.map(Tensor::clone);
    for (which, gradient) in gradients(&inputs, &op).into_iter().enumerate() {
        let numeric = (0..gradient.len()).map(|i| {
            let moved = |step: f64| {
                let mut x = values(&inputs[which]);
                x[i] += step;
                let mut inputs = inputs.clone();
                inputs[which] = Tensor::new(&x, inputs[which].shape(), &Device::cpu()).unwrap();
                loss(&inputs)
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        });
        assert_close(&gradient, &numeric.collect::<Vec<_>>(), 1e-6);
    }
}
