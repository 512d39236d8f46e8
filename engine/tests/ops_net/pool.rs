use voxgrad_engine::Tensor;
use voxgrad_engine::ops::PoolOptions;

use crate::*;

#[test]
fn two_by_two() {
    let x = tensor(&[1., 5., 2., 0., 3., 4., -1., 8., 9., 9., 1., 1., 0., 9., 1., 7.], [1, 1, 4, 4])
        .requires_grad();
    let max = x.max_pool2d(2).unwrap();
    assert_eq!(max.shape()[..], [1, 1, 2, 2]);
    assert_eq!(values(&max), [5., 8., 9., 7.]);
    assert_eq!(values(&x.avg_pool2d(2).unwrap()), [3.25, 2.25, 6.75, 2.5]);
    // Of the three nines the first one gets the gradient.
    max.backward_with(&tensor(&[1., 2., 3., 4.], [1, 1, 2, 2])).unwrap();
    let dx = [0., 1., 0., 0., 0., 0., 0., 2., 3., 0., 0., 0., 0., 0., 0., 4.];
    assert_eq!(values(&x.grad().unwrap()), dx);
}

#[test]
fn the_margin_is_minus_infinity_for_the_maximum_and_zero_for_the_average() {
    let x = tensor(&[-1., -2., -3., -4.], [1, 2, 2]);
    let padded = PoolOptions { padding: [1; 2], stride: [2; 2], ..PoolOptions::new(2) };
    assert_eq!(values(&x.max_pool2d_with(padded).unwrap()), [-1., -2., -3., -4.]);
    assert_eq!(values(&x.avg_pool2d_with(padded).unwrap()), [-0.25, -0.5, -0.75, -1.]);
    let alone = PoolOptions { count_include_pad: false, ..padded };
    assert_eq!(values(&x.avg_pool2d_with(alone).unwrap()), [-1., -2., -3., -4.]);
}

#[test]
fn a_nan_is_the_maximum_of_its_window() {
    let x = tensor(&[f64::NAN, 2., 1., 2.], [1, 1, 4]);
    let y = values(&x.max_pool2d([1, 2]).unwrap());
    assert!(y[0].is_nan() && y[1] == 2.0, "{y:?}");
    assert!(values(&x.global_max_pool().unwrap())[0].is_nan());
}

#[test]
fn global_pooling_takes_any_number_of_spatial_dimensions() {
    let x = random([2, 3, 2, 5, 3], 1);
    let (max, mean) = (x.global_max_pool().unwrap(), x.global_avg_pool().unwrap());
    assert_eq!(max.shape()[..], [2, 3, 1, 1, 1]);
    assert_eq!(mean.shape()[..], [2, 3, 1, 1, 1]);
    let of = |f: fn(&[f64]) -> f64| values(&x).chunks(30).map(f).collect::<Vec<_>>();
    assert_eq!(values(&max), of(|x| x.iter().copied().fold(f64::MIN, f64::max)));
    assert_close(&values(&mean), &of(|x| x.iter().sum::<f64>() / 30.0), 1e-14);
    let flat = tensor(&values(&x), [2, 3, 30]);
    assert_eq!(values(&flat.global_max_pool().unwrap()), values(&max));
    assert_eq!(flat.global_avg_pool().unwrap().shape()[..], [2, 3, 1]);
}

#[test]
fn gradients_match_finite_differences() {
    let strided = PoolOptions { stride: [2, 1], padding: [1, 1], ..PoolOptions::new([3, 2]) };
    let dilated = PoolOptions { stride: [1, 2], dilation: [2, 1], ..PoolOptions::new(2) };
    let deep = PoolOptions { stride: [1, 2, 2], padding: [0, 1, 1], ..PoolOptions::new([1, 2, 3]) };
    let x = random([2, 2, 5, 6], 2);
    check_gradients([&x], |x| x[0].max_pool2d(2));
    check_gradients([&x], |x| x[0].max_pool2d_with(strided));
    check_gradients([&x], |x| x[0].max_pool2d_with(dilated));
    check_gradients([&x], |x| x[0].avg_pool2d(2));
    check_gradients([&x], |x| x[0].avg_pool2d_with(strided));
    check_gradients([&x], |x| x[0].avg_pool2d_with(PoolOptions { count_include_pad: false, ..strided }));
    check_gradients([&x], |x| x[0].global_max_pool());
    check_gradients([&x], |x| x[0].global_avg_pool());
    let x = random([1, 2, 4, 5, 4], 3);
    check_gradients([&x], |x| x[0].max_pool3d(2));
    check_gradients([&x], |x| x[0].max_pool3d_with(deep));
    check_gradients([&x], |x| x[0].avg_pool3d(2));
    check_gradients([&x], |x| x[0].avg_pool3d_with(deep));
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let x = random([0, 3, 4, 4], 4).requires_grad();
    let y = x.max_pool2d(2).unwrap();
    assert_eq!(y.shape()[..], [0, 3, 2, 2]);
    y.backward_with(&random([0, 3, 2, 2], 5)).unwrap();
    assert_eq!(x.grad().unwrap().shape()[..], [0, 3, 4, 4]);
    assert_eq!(x.avg_pool2d(2).unwrap().numel(), 0);
    assert_eq!(x.global_avg_pool().unwrap().shape()[..], [0, 3, 1, 1]);
}

#[test]
fn misfits_are_named() {
    let x = random([2, 3, 4, 4], 6);
    assert_message(
        x.max_pool3d(5),
        "max_pool3d: the window does not fit: input [3, 4, 4] with padding [0, 0, 0], \
         kernel_size [5, 5, 5] with dilation [1, 1, 1]",
    );
    assert_message(
        Tensor::max_pool2d(&random([4, 4], 6), 2),
        "max_pool2d: expected [N, C, H, W] or [C, H, W], got [4, 4]",
    );
    assert_message(
        x.avg_pool2d_with(PoolOptions { dilation: [2; 2], ..PoolOptions::new(2) }),
        "avg_pool2d: dilation [2, 2]: averages have none",
    );
    assert_message(
        random([2, 3], 6).global_max_pool(),
        "global_max_pool: expected [N, C, ...] with something to pool, got [2, 3]",
    );
    assert_message(
        labels(&[1, 2], [1, 1, 1, 2]).max_pool2d(1),
        "max_pool: expected f32 or f64, got u32; convert it with `.to_dtype(..)`",
    );
}
