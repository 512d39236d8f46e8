use super::*;
use crate::device::gpus;
use crate::split::same_bits_on_any_number_of_threads;
use crate::{DType, Float};

fn wave<T: Float>(n: usize, shift: f64) -> Storage {
    wave_on::<T>(&Device::Cpu, n, shift)
}

fn wave_on<T: Float>(device: &Device, n: usize, shift: f64) -> Storage {
    let values: Vec<T> = (0..n).map(|i| T::of((i as f64 * 0.77).sin() + shift)).collect();
    Storage::from_slice(device, &values).unwrap()
}

fn values(x: &Storage) -> Vec<f64> {
    match x.dtype() {
        DType::F32 => x.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
        _ => x.to_vec().unwrap(),
    }
}

/// Statistics, output and gradients by one rung.
fn run<T: Float>(rung: usize, p: &BatchNorm, affine: bool, shift: f64) -> [Vec<f64>; 6] {
    let n = p.count() * p.channels as usize;
    let (x, dy) = (wave::<T>(n, shift), wave::<T>(n, 0.5));
    let (weight, bias) = (wave::<T>(p.channels as usize, 2.0), wave::<T>(p.channels as usize, 1.0));
    let (mean, var) = statistics_rung(rung, p, &x).unwrap();
    let (weight, bias) = (affine.then_some(&weight), affine.then_some(&bias));
    let channels = Channels { mean: &mean, var: &var, weight, bias, eps: 1e-5 };
    let y = forward_rung(rung, p, &channels, &x).unwrap();
    let grads = backward_rung(rung, p, &channels, &x, &dy, true).unwrap();
    [&mean, &var, &y, &grads.dx.unwrap(), &grads.dweight, &grads.dbias].map(values)
}

#[test]
fn rungs_agree() {
    fn check<T: Float>(tolerance: f64) {
        for (samples, channels, inner) in [(5, 3, 1), (2, 1, 2500), (3, 4, 35), (1, 2, 9), (4, 0, 3)] {
            for (of_batch, affine) in [(0, true), (1, true), (1, false)] {
                let p = BatchNorm { samples, channels, inner, of_batch };
                let both = run::<T>(0, &p, affine, 0.2).into_iter().zip(run::<T>(1, &p, affine, 0.2));
                for (what, (plain, fast)) in both.enumerate() {
                    let largest = plain.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
                    let near = |a: f64, b: f64| (a - b).abs() <= tolerance * largest;
                    let far = plain.iter().zip(&fast).find(|(a, b)| !near(**a, **b));
                    assert!(far.is_none(), "{p:?}: output {what}: {far:?}");
                }
            }
        }
    }
    check::<f64>(1e-13);
    check::<f32>(2e-6);
}

#[test]
fn a_large_mean_costs_no_digits_of_the_variance() {
    for (samples, inner) in [(4, 10_000), (40_000, 1), (3, 100_000)] {
        let p = BatchNorm { samples, channels: 1, inner, of_batch: 1 };
        let [_, exact, ..] = run::<f64>(0, &p, false, 300.0);
        for device in std::iter::once(Device::Cpu).chain(gpus()) {
            let x = wave_on::<f32>(&device, p.count(), 300.0);
            for rung in [0, 1] {
                let var = values(&statistics_rung(rung, &p, &x).unwrap().1);
                assert!((var[0] / exact[0] - 1.0).abs() < 1e-4, "{device}: {var:?} {exact:?}");
            }
        }
    }
}

#[test]
fn the_statistics_of_nothing_are_nan_on_a_gpu_too() {
    for gpu in gpus() {
        let p = BatchNorm { samples: 0, channels: 3, inner: 5, of_batch: 1 };
        for rung in 0..GPU_RUNGS.len() {
            let (mean, var) = statistics_rung(rung, &p, &wave_on::<f32>(&gpu, 0, 0.0)).unwrap();
            assert!([values(&mean), values(&var)].concat().iter().all(|x| x.is_nan()));
        }
    }
}

#[test]
fn threads_change_nothing() {
    let p = BatchNorm { samples: 20, channels: 3, inner: 1501, of_batch: 1 };
    same_bits_on_any_number_of_threads(|| run::<f32>(1, &p, true, 0.1));
}

#[test]
fn wrong_sizes_are_errors() {
    let p = BatchNorm { samples: 2, channels: 3, inner: 1, of_batch: 1 };
    let message = statistics(&p, &wave::<f32>(5, 0.0)).unwrap_err().to_string();
    assert_eq!(message, "batch_norm: 5 elements are not [2, 3, 1]");
    let (x, one) = (wave::<f32>(6, 0.0), wave::<f32>(2, 0.0));
    let channels = Channels { mean: &one, var: &one, weight: None, bias: None, eps: 0.0 };
    assert_eq!(forward(&p, &channels, &x).unwrap_err().to_string(), "batch_norm: 2 values for 3 channels");
    let other = wave::<f64>(3, 0.0);
    let channels = Channels { mean: &other, var: &other, ..channels };
    assert!(matches!(forward(&p, &channels, &x), Err(crate::Error::DTypeMismatch { .. })));
}
