use voxgrad_engine::{DType, Tensor};

use crate::*;

const EPS: f64 = 1e-5;

fn vector(values: &[f64]) -> Tensor {
    Tensor::new(values, [values.len()], &Device::cpu()).unwrap()
}

#[test]
fn training_normalises_and_moves_the_running_statistics() {
    // Channel 0 holds 1, 2, 3, 6 (mean 3, variance 3.5), channel 1 four times 5.
    let x = tensor(&[1., 2., 5., 5., 3., 6., 5., 5.], [2, 2, 2]);
    let (mean, var) = (vector(&[1., 1.]), vector(&[2., 2.]));
    let (weight, bias) = (vector(&[2., 3.]), vector(&[10., 20.]));
    let y = x.batch_norm(Some((&mean, &var)), Some(&weight), Some(&bias), true, 0.1, EPS).unwrap();
    let normal = |x: f64| 10.0 + 2.0 * (x - 3.0) / (3.5 + EPS).sqrt();
    let wanted = [normal(1.), normal(2.), 20., 20., normal(3.), normal(6.), 20., 20.];
    assert_close(&values(&y), &wanted, 1e-14);
    assert_close(&values(&mean), &[0.9 + 0.1 * 3.0, 0.9 + 0.1 * 5.0], 1e-15);
    // 14 / 3 is the variance divided by one less than the number of values.
    assert_close(&values(&var), &[1.8 + 0.1 * 14.0 / 3.0, 1.8], 1e-15);
}

#[test]
fn evaluation_uses_the_running_statistics_and_leaves_them() {
    let x = tensor(&[1., 2., 3., 4.], [2, 2]);
    let (mean, var) = (vector(&[1., 0.]), vector(&[4., 1.]));
    let y = x.batch_norm(Some((&mean, &var)), None, None, false, 0.1, 0.0).unwrap();
    assert_close(&values(&y), &[0., 2., 1., 4.], 1e-15);
    assert_eq!((values(&mean), values(&var)), (vec![1., 0.], vec![4., 1.]));
    // Without running statistics the batch's own serve in evaluation too.
    let y = x.batch_norm(None, None, None, false, 0.1, 0.0).unwrap();
    assert_close(&values(&y), &[-1., -1., 1., 1.], 1e-15);
}

#[test]
fn gradients_match_finite_differences() {
    let (mean, var) = (random([3], 1), tensor(&[0.5, 1.0, 2.0], [3]));
    let affine = [random([3], 2), random([3], 3)];
    for x in [random([4, 3], 4), random([2, 3, 2, 3], 5), random([2, 3, 2, 1, 2], 6)] {
        for training in [true, false] {
            // A copy each time: the gradient must not depend on what the call does to the statistics.
            let running = || (tensor(&values(&mean), [3]), tensor(&values(&var), [3]));
            let with = |x: &Tensor, w: Option<&Tensor>, b: Option<&Tensor>| {
                let (mean, var) = running();
                x.batch_norm(Some((&mean, &var)), w, b, training, 0.1, EPS)
            };
            let [w, b] = affine.clone();
            check_gradients([&x, &w, &b], |t| with(&t[0], Some(&t[1]), Some(&t[2])));
            check_gradients([&x], |t| with(&t[0], None, None));
            check_gradients([&b], |t| with(&x, None, Some(&t[0])));
            check_gradients([&x, &w], |t| with(&t[0], Some(&t[1]), None));
        }
    }
}

#[test]
fn one_value_per_channel_has_no_statistics() {
    let x = random([1, 3, 1, 1], 7);
    assert_message(
        x.batch_norm(None, None, None, true, 0.1, EPS),
        "batch_norm: expected more than 1 value per channel when training, got input [1, 3, 1, 1]",
    );
    let (mean, var) = (vector(&[0.; 3]), vector(&[1.; 3]));
    assert!(x.batch_norm(Some((&mean, &var)), None, None, false, 0.1, EPS).is_ok());
}

#[test]
fn an_empty_batch_leaves_the_running_statistics() {
    let (mean, var) = (vector(&[0.; 3]), vector(&[1.; 3]));
    let weight = vector(&[1.; 3]).requires_grad();
    let x = random([0, 3, 2, 2], 8);
    let y = x.batch_norm(Some((&mean, &var)), Some(&weight), None, true, 0.1, EPS).unwrap();
    y.backward_with(&x).unwrap();
    assert_eq!(values(&weight.grad().unwrap()), [0.0; 3]);
    assert_eq!((values(&mean), values(&var)), (vec![0.; 3], vec![1.; 3]));
}

#[test]
fn misfits_are_named() {
    let x = random([2, 3, 4], 9);
    let four = vector(&[1.; 4]);
    assert_message(
        x.batch_norm(None, Some(&four), None, true, 0.1, EPS),
        "batch_norm: weight [4] is not [3], one per channel of [2, 3, 4]",
    );
    assert_message(
        x.batch_norm(Some((&four, &four)), None, None, true, 0.1, EPS),
        "batch_norm: running mean [4] is not [3], one per channel of [2, 3, 4]",
    );
    assert_message(
        four.batch_norm(None, None, None, true, 0.1, EPS),
        "batch_norm: expected [N, C, ...], got [4]",
    );
    let single = Tensor::zeros([3], DType::F32, &Device::cpu()).unwrap();
    assert_message(
        x.batch_norm(None, None, Some(&single), true, 0.1, EPS),
        "batch_norm: one tensor is f64, another f32; convert one with `.to_dtype(..)`",
    );
}
