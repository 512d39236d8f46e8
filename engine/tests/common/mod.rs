//! What the tests of the ops share: small tensors, and gradients against finite differences.
#![allow(dead_code, reason = "each test file uses its part of this")]

use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Result, Shape, Tensor};

pub fn tensor(data: &[f64], shape: impl Into<Shape>) -> Tensor {
    Tensor::new(data, shape, &Device::cpu()).unwrap()
}

pub fn f32s(data: &[f32], shape: impl Into<Shape>) -> Tensor {
    Tensor::new(data, shape, &Device::cpu()).unwrap()
}

pub fn u32s(data: &[u32]) -> Tensor {
    Tensor::new(data, [data.len()], &Device::cpu()).unwrap()
}

/// 0, 1, 2, ...
pub fn counted(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let data: Vec<f64> = (0..shape.numel().unwrap()).map(|i| i as f64).collect();
    tensor(&data, shape)
}

/// Numbers in [low, high), the same ones every time.
pub fn random(shape: impl Into<Shape>, low: f32, high: f32) -> Tensor {
    let shape = shape.into();
    let mut rng = Rng::new(7, shape.iter().sum::<usize>() as u64);
    let data: Vec<f64> = (0..shape.numel().unwrap()).map(|_| f64::from(rng.range(low, high))).collect();
    tensor(&data, shape)
}

pub fn values(t: &Tensor) -> Vec<f64> {
    t.to_f64_vec().unwrap()
}

#[track_caller]
pub fn assert_is(t: &Tensor, shape: impl Into<Shape>, wanted: &[f64]) {
    assert_eq!((t.shape(), values(t)), (&shape.into(), wanted.to_vec()));
}

#[track_caller]
pub fn assert_error(result: Result<Tensor>, wanted: &str) {
    assert_eq!(result.unwrap_err().to_string(), wanted);
}

/// Compares the gradient of every input element with a central difference of f, whose outputs are
/// weighted so that no two count the same.
#[track_caller]
pub fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let loss = |inputs: &[Tensor]| {
        let y = f(inputs).unwrap();
        let weights = random(y.shape(), 0.5, 1.5);
        (&y * &weights).unwrap().sum_all().unwrap()
    };
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    loss(&leaves).backward().unwrap();
    for (i, leaf) in leaves.iter().enumerate() {
        let grad = values(&leaf.grad().unwrap());
        let x = values(leaf);
        for j in 0..x.len() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                let mut x = x.clone();
                x[j] += by;
                inputs[i] = tensor(&x, leaf.shape());
                loss(&inputs).item().unwrap()
            };
            let wanted = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let error = (grad[j] - wanted).abs();
            assert!(error <= 1e-5 + 1e-5 * wanted.abs(), "input {i}[{j}]: {} but {wanted}", grad[j]);
        }
    }
}

/// Runs `body` on 1, 2 and 3 threads and compares the bits of its results.
#[track_caller]
pub fn assert_same_on_any_threads(body: impl Fn() -> Result<Vec<Tensor>> + Sync) {
    let bits = |t: Tensor| t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| body().unwrap().into_iter().map(bits).collect::<Vec<_>>())
    };
    let one = on(1);
    assert!(one == on(2), "1 and 2 threads differ");
    assert!(one == on(3), "1 and 3 threads differ");
}
