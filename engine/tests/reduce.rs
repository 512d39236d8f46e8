//! Sums, means, variances and extremes: small exact cases, gradients against finite differences,
//! empty tensors, long sums and threads.

mod common;

use common::*;
use voxgrad_engine::{DType, Result, Tensor};

#[test]
fn sums_and_means() {
    let x = counted([2, 3, 4]);
    assert_is(&x.sum(&[], false).unwrap(), [], &[276.0]);
    assert_is(&x.sum(&[], true).unwrap(), [1, 1, 1], &[276.0]);
    assert_is(&x.sum(&[-1], false).unwrap(), [2, 3], &[6.0, 22.0, 38.0, 54.0, 70.0, 86.0]);
    assert_is(&x.sum(&[1], true).unwrap(), [2, 1, 4], &[12.0, 15.0, 18.0, 21.0, 48.0, 51.0, 54.0, 57.0]);
    assert_is(&x.sum(&[0, 2], false).unwrap(), [3], &[60.0, 92.0, 124.0]);
    assert_is(&x.sum(&[0, 1], false).unwrap(), [4], &[60.0, 66.0, 72.0, 78.0]);
    assert_is(&x.mean(&[2, 0], false).unwrap(), [3], &[7.5, 11.5, 15.5]);
    assert_is(&x.mean_all().unwrap(), [], &[11.5]);
    assert_is(&counted([]).sum_all().unwrap(), [], &[0.0]);
    assert_error(x.sum(&[0, -3], false), "sum: dimension -3 of [2, 3, 4] is named twice in [0, -3]");
    assert_error(x.mean(&[3], false), "mean: there is no dimension 3 in [2, 3, 4]");
}

#[test]
fn reductions_of_nothing() {
    let none = tensor(&[], [2, 0, 3]);
    assert_is(&none.sum(&[1], false).unwrap(), [2, 3], &[0.0; 6]);
    assert_is(&none.sum(&[2], false).unwrap(), [2, 0], &[]);
    assert_is(&none.sum_all().unwrap(), [], &[0.0]);
    assert!(none.mean_all().unwrap().item().unwrap().is_nan());
    assert!(none.var(&[], 1, false).unwrap().item().unwrap().is_nan());
    assert_is(&none.max(&[2], false).unwrap().0, [2, 0], &[]);
    let message = "max: there is no element over [1] in [2, 0, 3]";
    assert_error(none.max(&[1], false).map(|(max, _)| max), message);
    let x = none.requires_grad();
    x.mean_all().unwrap().backward().unwrap();
    assert_is(&x.grad().unwrap(), [2, 0, 3], &[]);
}

#[test]
fn variance() {
    let x = tensor(&[1.0, 2.0, 4.0, 9.0], [2, 2]);
    assert_is(&x.var(&[1], 1, false).unwrap(), [2], &[0.5, 12.5]);
    assert_is(&x.var(&[0], 0, true).unwrap(), [1, 2], &[2.25, 12.25]);
    assert_is(&x.var(&[], 0, false).unwrap(), [], &[9.5]);
    assert!(tensor(&[1.0], [1]).var(&[], 1, false).unwrap().item().unwrap().is_nan());
}

#[test]
fn extremes_and_their_places() {
    let x = tensor(&[3.0, 9.0, 2.0, 9.0, 1.0, 1.0, 4.0, 0.0], [2, 2, 2]);
    let (max, at) = x.max(&[], false).unwrap();
    assert_is(&max, [], &[9.0]);
    assert_is(&at, [], &[1.0]);
    let (max, at) = x.max(&[2], false).unwrap();
    assert_is(&max, [2, 2], &[9.0, 9.0, 1.0, 4.0]);
    assert_is(&at, [2, 2], &[1.0, 1.0, 0.0, 0.0]);
    let (min, at) = x.min(&[0], true).unwrap();
    assert_is(&min, [1, 2, 2], &[1.0, 1.0, 2.0, 0.0]);
    assert_is(&at, [1, 2, 2], &[1.0, 1.0, 0.0, 1.0]);
    assert_is(&x.argmax(&[1], false).unwrap(), [2, 2], &[0.0, 0.0, 1.0, 0.0]);
    assert_eq!(x.argmax(&[], true).unwrap().dtype(), DType::U32);
    // Over dimensions that are not neighbours, places count row-major in [2, 2].
    let x = tensor(&[3.0, 1.0, 2.0, 0.0, 7.0, 8.0, 4.0, 5.0], [2, 2, 2]);
    let (max, at) = x.max(&[2, 0], false).unwrap();
    assert_is(&max, [2], &[8.0, 5.0]);
    assert_is(&at, [2], &[3.0, 3.0]);
    assert_is(&x.min(&[0, 2], true).unwrap().1, [1, 2, 1], &[1.0, 1.0]);
}

#[test]
fn a_nan_is_the_extreme() {
    let x = tensor(&[1.0, f64::NAN, 5.0, f64::NAN], [4]);
    for (y, at) in [x.max(&[], false).unwrap(), x.min(&[], false).unwrap()] {
        assert!(y.item().unwrap().is_nan());
        assert_is(&at, [], &[1.0]);
    }
    assert!(x.sum_all().unwrap().item().unwrap().is_nan());
}

#[test]
fn the_first_of_equal_extremes_gets_the_gradient() {
    let x = tensor(&[1.0, 7.0, 7.0, 7.0], [4]).requires_grad();
    x.max(&[], false).unwrap().0.backward().unwrap();
    assert_is(&x.grad().unwrap(), [4], &[0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn gradients() {
    let x = [random([2, 3, 2, 2], -2.0, 2.0)];
    for dims in [&[][..], &[0], &[3], &[1, 2], &[0, 2], &[1, 3], &[0, 1, 2, 3]] {
        for keepdim in [false, true] {
            check(&x, |x| x[0].sum(dims, keepdim));
            check(&x, |x| x[0].mean(dims, keepdim));
            check(&x, |x| x[0].var(dims, 1, keepdim));
            check(&x, |x| Ok(x[0].max(dims, keepdim)?.0));
            check(&x, |x| Ok(x[0].min(dims, keepdim)?.0));
        }
    }
}

/// Sizes around the blocks, strips and lanes of the fast sums, against a sum in f64.
#[test]
fn sums_of_every_shape() {
    for shape in
        [[1, 15, 1], [3, 257, 1], [2, 9_001, 1], [5, 3, 2], [2, 300, 513], [1, 70_001, 3], [70, 40, 30]]
    {
        let x = random(shape, -1.0, 1.0);
        let y = values(&x.sum(&[1], false).unwrap());
        let x = values(&x);
        let [_, dim, inner] = shape;
        for (o, y) in y.iter().enumerate() {
            let first = o / inner * dim * inner + o % inner;
            let wanted: f64 = (0..dim).map(|d| x[first + d * inner]).sum();
            assert!((y - wanted).abs() < 1e-9, "{shape:?} output {o}: {y}, not {wanted}");
        }
    }
}

/// A running f32 sum would stop growing at 2^24.
#[test]
fn long_sums_keep_their_digits() {
    let n = 20_000_000;
    let x = f32s(&vec![1.1; n], [n / 2, 2]);
    let wanted = f64::from(1.1f32) * n as f64;
    for sum in [x.sum_all().unwrap(), x.sum(&[0], false).unwrap().sum_all().unwrap()] {
        assert!((sum.item().unwrap() / wanted - 1.0).abs() < 1e-6, "{sum}, not {wanted}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = random([7, 300, 101], -2.0, 2.0).to_dtype(DType::F32).unwrap();
    assert_same_on_any_threads(|| -> Result<Vec<Tensor>> {
        let x = x.requires_grad();
        let largest = x.max(&[2], false)?.0;
        let var = x.var(&[0, 1], 1, false)?;
        (&largest.sum_all()? + &var.sum_all()?)?.backward()?;
        Ok(vec![
            x.sum(&[0, 2], false)?,
            x.sum(&[1], false)?,
            x.sum(&[2], false)?,
            x.sum_all()?,
            var,
            x.grad().unwrap(),
        ])
    });
}
