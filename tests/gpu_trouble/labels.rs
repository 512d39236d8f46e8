//! Labels that are no classes and inputs that are no probabilities, by every rung.

use voxgrad_kernels::ops::cross_entropy::{self, CrossEntropy, Target};
use voxgrad_kernels::ops::loss::{self, Inputs, Kind, Reduction};
use voxgrad_kernels::{Device, Element, Storage};

fn storage<T: Element>(gpu: &Device, values: &[T]) -> Storage {
    Storage::from_slice(gpu, values).unwrap()
}

/// The message of the next read, then what the second read gives.
fn error_then_values(x: &Storage) -> (String, Vec<f32>) {
    (x.to_vec::<f32>().unwrap_err().to_string(), x.to_vec().unwrap())
}

#[test]
fn a_label_that_is_no_class_is_reported_once() {
    let (_alone, gpus) = super::gpus();
    for gpu in gpus {
        let n = 300u32;
        let labels: Vec<u32> = (0..n).map(|i| if i == 9 || i == 250 { 4 + i } else { i % 4 }).collect();
        let labels = storage(&gpu, &labels);
        let x = storage(&gpu, &(0..4 * n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>());
        let weight = storage(&gpu, &[1.0f32, 2.0, 0.5, 1.5]);
        for (rung, name) in cross_entropy::GPU_RUNGS.iter().enumerate() {
            for (log_probabilities, op) in [(0, "cross_entropy"), (1, "nll_loss")] {
                let p = CrossEntropy { outer: n, classes: 4, inner: 1, ignore_index: 3, log_probabilities };
                let target = Target { labels: &labels, weight: Some(&weight), label_smoothing: 0.1 };
                let expected =
                    format!("{op}: label number 9 of the batch is not below the number of classes");
                for reduction in [Reduction::None, Reduction::Sum, Reduction::Mean] {
                    let forward = cross_entropy::forward_rung(rung, &p, reduction, &x, &target).unwrap();
                    let (message, loss) = error_then_values(&forward.loss);
                    assert_eq!(message, expected, "{name}");
                    match reduction {
                        Reduction::None => {
                            for (i, loss) in loss.iter().enumerate() {
                                assert_eq!(loss.is_nan(), i == 9 || i == 250, "{name}, row {i}");
                                assert_eq!(*loss == 0.0, i % 4 == 3, "{name}, row {i}");
                            }
                        }
                        _ => assert!(loss.len() == 1 && loss[0].is_nan(), "{name}: {loss:?}"),
                    }
                    let total = forward.total_weight.as_ref();
                    let dx =
                        cross_entropy::backward_rung(rung, &p, &x, &target, total, &forward.loss).unwrap();
                    assert_eq!(error_then_values(&dx).0, expected, "{name}");
                    if reduction == Reduction::None {
                        let ones = storage(&gpu, &vec![1.0f32; n as usize]);
                        let dx = cross_entropy::backward_rung(rung, &p, &x, &target, None, &ones).unwrap();
                        let (message, dx) = error_then_values(&dx);
                        assert_eq!(message, expected, "{name}");
                        for (i, dx) in dx.iter().enumerate() {
                            assert_eq!(dx.is_nan(), i / 4 == 9 || i / 4 == 250, "{name}, gradient {i}");
                        }
                    }
                }
                // Nothing is left over for good labels.
                let good = storage(&gpu, &(0..n).map(|i| i % 4).collect::<Vec<_>>());
                let target = Target { labels: &good, ..target };
                let forward = cross_entropy::forward_rung(rung, &p, Reduction::Mean, &x, &target).unwrap();
                assert!(forward.loss.to_vec::<f32>().unwrap()[0].is_finite(), "{name}");
            }
        }
        gpu.synchronize().unwrap();
    }
}

#[test]
fn an_input_that_is_no_probability_is_reported_once() {
    let (_alone, gpus) = super::gpus();
    for gpu in gpus {
        let expected = "binary_cross_entropy: element 3 of the input must be in 0..=1";
        let t = storage(&gpu, &[0.0f32, 1.0, 0.5, 0.5, 1.0]);
        for bad in [-0.001, 1.001, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let x = storage(&gpu, &[0.0, -0.0, 1.0, bad, 1.0]);
            let inputs = Inputs { x: &x, t: &t, weight: None, pos_weight: None };
            let losses = loss::forward(Kind::Bce, Reduction::None, &inputs).unwrap();
            let (message, losses) = error_then_values(&losses);
            assert_eq!(message, expected);
            // Logarithms of 0 are -100.
            assert!(
                losses[3].is_nan() && losses[..3] == [0.0, 100.0, 50.0] && losses[4] == 0.0,
                "{losses:?}"
            );
            for reduction in [Reduction::Sum, Reduction::Mean] {
                let (message, loss) =
                    error_then_values(&loss::forward(Kind::Bce, reduction, &inputs).unwrap());
                assert!(message == expected && loss[0].is_nan(), "{message}, {loss:?}");
            }
        }
        gpu.synchronize().unwrap();
    }
}
