//! Functions of one element and arithmetic on two: small exact cases, gradients against finite
//! differences, and what each does with bad input.

mod common;

use common::*;
use voxgrad_engine::{DType, Result, Tensor};

#[test]
fn unary_values() {
    let x = tensor(&[-2.0, 0.0, 3.0], [3]);
    assert_is(&x.neg().unwrap(), [3], &[2.0, -0.0, -3.0]);
    assert_is(&x.abs().unwrap(), [3], &[2.0, 0.0, 3.0]);
    assert_is(&x.square().unwrap(), [3], &[4.0, 0.0, 9.0]);
    assert_is(&x.exp().unwrap(), [3], &[(-2f64).exp(), 1.0, 3f64.exp()]);
    assert_is(&x.tanh().unwrap(), [3], &[(-2f64).tanh(), 0.0, 3f64.tanh()]);
    assert_is(&x.relu().unwrap(), [3], &[0.0, 0.0, 3.0]);
    assert_is(&x.leaky_relu(0.25).unwrap(), [3], &[-0.5, 0.0, 3.0]);
    assert_is(&x.elu(2.0).unwrap(), [3], &[2.0 * (-2f64).exp_m1(), 0.0, 3.0]);
    assert_is(&x.clamp(Some(-1.0), Some(1.0)).unwrap(), [3], &[-1.0, 0.0, 1.0]);
    assert_is(&x.clamp(None, Some(1.0)).unwrap(), [3], &[-2.0, 0.0, 1.0]);
    assert_is(&x.softplus(2.0, 5.0).unwrap(), [3], &[(-4f64).exp().ln_1p() / 2.0, 2f64.ln() / 2.0, 3.0]);
    assert_is(&tensor(&[4.0, 9.0], [2]).sqrt().unwrap(), [2], &[2.0, 3.0]);
    assert_is(&tensor(&[1.0], [1]).log().unwrap(), [1], &[0.0]);
    assert_is(&tensor(&[-1000.0, 0.0, 1000.0], [3]).sigmoid().unwrap(), [3], &[0.0, 0.5, 1.0]);
    // Abramowitz and Stegun, table 26.1: P(1) = 0.841344746.
    let gelu = values(&tensor(&[1.0, -1.0, 0.0], [3]).gelu().unwrap());
    assert!((gelu[0] - 0.841_344_746).abs() < 1e-9 && (gelu[1] + 0.158_655_254).abs() < 1e-9);
    assert_eq!(gelu[2], 0.0);
}

#[test]
fn unary_gradients() {
    // Away from the kinks of abs, relu and clamp.
    let x = [tensor(&[-2.3, -0.7, -0.2, 0.3, 0.8, 2.6], [2, 3])];
    let positive = [x[0].exp().unwrap()];
    check(&x, |x| x[0].neg());
    check(&x, |x| x[0].abs());
    check(&x, |x| x[0].exp());
    check(&positive, |x| x[0].log());
    check(&positive, |x| x[0].sqrt());
    check(&x, |x| x[0].square());
    check(&x, |x| x[0].tanh());
    check(&x, |x| x[0].sigmoid());
    check(&x, |x| x[0].relu());
    check(&x, |x| x[0].leaky_relu(0.1));
    check(&x, |x| x[0].elu(1.3));
    check(&x, |x| x[0].gelu());
    check(&x, |x| x[0].softplus(1.5, 3.0));
    check(&x, |x| x[0].clamp(Some(-1.0), Some(0.5)));
    check(&x, |x| &x[0] + 2.0);
    check(&x, |x| &x[0] - 2.0);
    check(&x, |x| &x[0] * -2.5);
    check(&x, |x| &x[0] / 3.0);
    check(&x, |x| 2.0 + &x[0]);
    check(&x, |x| 3.0 - &x[0]);
    check(&x, |x| 3.0 * &x[0]);
    check(&x, |x| 3.0 / &x[0]);
    check(&x, |x| -&x[0]);
    check(&positive, |x| x[0].pow_scalar(2.5));
    check(&x, |x| x[0].pow_scalar(2.0));
    check(&x, |x| x[0].pow_scalar(3.0));
    check(&x, |x| x[0].pow_scalar(0.0));
}

#[test]
fn gradients_at_the_kinks_are_zero() {
    let x = tensor(&[0.0, 0.0], [2]).requires_grad();
    for f in [Tensor::abs, Tensor::relu, |x: &Tensor| x.pow_scalar(0.0), |x: &Tensor| x.leaky_relu(0.0)] {
        x.zero_grad();
        f(&x).unwrap().sum_all().unwrap().backward().unwrap();
        assert_is(&x.grad().unwrap(), [2], &[0.0, 0.0]);
    }
}

#[test]
fn nan_goes_through_everything() {
    let (x, zero) = (f32s(&[f32::NAN, 1.0], [2]), f32s(&[0.0], [1]));
    let all = [
        x.relu(),
        x.leaky_relu(0.1),
        x.elu(1.0),
        x.gelu(),
        x.softplus(1.0, 20.0),
        x.clamp(Some(0.0), Some(1.0)),
        x.tanh(),
        x.sigmoid(),
        x.exp(),
        x.minimum(&zero),
        x.maximum(&zero),
        zero.minimum(&x),
        zero.maximum(&x),
    ];
    for (i, y) in all.into_iter().enumerate() {
        let y = y.unwrap();
        assert!(values(&y)[0].is_nan(), "number {i}: {y}");
    }
}

#[test]
fn arithmetic_broadcasts() {
    let a = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    let row = tensor(&[10.0, 20.0, 30.0], [3]);
    let column = tensor(&[100.0, 200.0], [2, 1]);
    let scalar = tensor(&[2.0], []);
    assert_is(&(&a + &row).unwrap(), [2, 3], &[11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    assert_is(&(&column - &a).unwrap(), [2, 3], &[99.0, 98.0, 97.0, 196.0, 195.0, 194.0]);
    assert_is(&(&row + &column).unwrap(), [2, 3], &[110.0, 120.0, 130.0, 210.0, 220.0, 230.0]);
    assert_is(&(&a * &scalar).unwrap(), [2, 3], &[2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    assert_is(&(&scalar / &a.slice(1, 0, 2, 1).unwrap()).unwrap(), [2, 2], &[2.0, 1.0, 0.5, 0.4]);
    assert_is(&scalar.pow(&row).unwrap(), [3], &[1024.0, 2f64.powi(20), 2f64.powi(30)]);
    assert_is(&a.maximum(&tensor(&[3.5], [1, 1, 1])).unwrap(), [1, 2, 3], &[3.5, 3.5, 3.5, 4.0, 5.0, 6.0]);
    assert_is(&(&scalar * &scalar).unwrap(), [], &[4.0]);
    assert_is(&(&tensor(&[], [0, 3]) + &row).unwrap(), [0, 3], &[]);
}

#[test]
fn gradients_are_summed_back_to_the_stretched_shapes() {
    let shapes: [([usize; 3], &[usize]); 6] = [
        ([2, 3, 4], &[2, 3, 4]),
        ([2, 3, 4], &[4]),
        ([2, 3, 4], &[3, 1]),
        ([2, 3, 1], &[1, 4]),
        ([1, 3, 1], &[2, 1, 4]),
        ([2, 1, 2], &[]),
    ];
    let ops =
        [Tensor::add, Tensor::sub, Tensor::mul, Tensor::div, Tensor::pow, Tensor::minimum, Tensor::maximum];
    for (a, b) in shapes {
        let (a, b) = (random(a, 0.5, 3.0), random(b, 0.6, 2.0));
        for f in ops {
            check(&[a.clone(), b.clone()], |x| f(&x[0], &x[1]));
            check(&[b.clone(), a.clone()], |x| f(&x[0], &x[1]));
        }
    }
}

#[test]
fn one_tracked_operand_is_enough() {
    let (x, fixed) = ([random([2, 3], 0.5, 2.0)], random([3], 0.5, 2.0));
    for f in [Tensor::add, Tensor::sub, Tensor::mul, Tensor::div, Tensor::pow] {
        check(&x, |x| f(&x[0], &fixed));
        check(&x, |x| f(&fixed, &x[0]));
        check(&x, |x| f(&x[0], &x[0]));
    }
}

#[test]
fn ties_share_the_gradient_of_minimum_and_maximum() {
    for f in [Tensor::minimum, Tensor::maximum] {
        let a = tensor(&[1.0], [1]).requires_grad();
        let b = tensor(&[1.0], [1]).requires_grad();
        f(&a, &b).unwrap().backward().unwrap();
        assert_eq!((a.grad().unwrap().item().unwrap(), b.grad().unwrap().item().unwrap()), (0.5, 0.5));
    }
}

/// At a base of 0 the logarithm in the formula is infinite, the gradient is not.
#[test]
fn powers_of_zero() {
    let a = tensor(&[0.0, 0.0], [2]).requires_grad();
    let b = tensor(&[2.0, 0.0], [2]).requires_grad();
    let y = a.pow(&b).unwrap();
    assert_is(&y, [2], &[0.0, 1.0]);
    y.sum_all().unwrap().backward().unwrap();
    assert_is(&a.grad().unwrap(), [2], &[0.0, 0.0]);
    assert_is(&b.grad().unwrap(), [2], &[0.0, 0.0]);
}

#[test]
fn arithmetic_errors() {
    assert_error(counted([2, 3]).add(&counted([4])), "add: [2, 3] and [4] do not broadcast");
    let wrong = "mul: one tensor is f64, another f32; convert one with `.to_dtype(..)`";
    assert_error(counted([2]).mul(&f32s(&[1.0, 2.0], [2])), wrong);
    let labels = "tanh: expected f32 or f64, got u32; convert it with `.to_dtype(..)`";
    assert_error(u32s(&[1, 2]).tanh(), labels);
}

#[test]
fn converting() {
    let x = tensor(&[-1.5, 2.7, f64::NAN, 1e20], [4]);
    assert_eq!(x.to_dtype(DType::U32).unwrap().to_vec::<u32>().unwrap(), [0, 2, 0, u32::MAX]);
    assert_eq!(x.to_dtype(DType::F32).unwrap().to_vec::<f32>().unwrap()[1], 2.7);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = random([7, 300, 101], -2.0, 2.0).to_dtype(DType::F32).unwrap();
    let weight = random([300, 1], 0.5, 1.5).to_dtype(DType::F32).unwrap();
    assert_same_on_any_threads(|| -> Result<Vec<Tensor>> {
        let (x, weight) = (x.requires_grad(), weight.requires_grad());
        let y = (&x.tanh()? / &weight)?;
        y.mean_all()?.backward()?;
        Ok(vec![y, x.grad().unwrap(), weight.grad().unwrap()])
    });
}
