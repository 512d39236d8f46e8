//! Arithmetic on a GPU against the same on the CPU.

use super::*;
use crate::device::gpus;

fn on(device: &Device, values: &[f32]) -> Storage {
    Storage::from_slice(device, values).unwrap()
}

fn assert_same(what: &str, got: &Storage, wanted: &Storage, tolerance: f32) {
    let (got, wanted) = (got.to_vec::<f32>().unwrap(), wanted.to_vec::<f32>().unwrap());
    assert_eq!(got.len(), wanted.len());
    for (i, (&got, &wanted)) in got.iter().zip(&wanted).enumerate() {
        let same = got == wanted || (got - wanted).abs() <= tolerance * wanted.abs();
        assert!(same || got.is_nan() && wanted.is_nan(), "{what}, element {i}: {got}, expected {wanted}");
    }
}

/// A row of groups is full at 65,535 of them.
#[test]
fn a_grid_of_several_rows_reaches_every_element() {
    for gpu in gpus() {
        let n = 65_535 * 256 + 1_000;
        let a: Vec<f32> = (0..n).map(|i| (i % 1_000_003) as f32).collect();
        let (a, b) = (on(&gpu, &a), on(&gpu, &[3.0]));
        let y = binary(Binary::Sub, (&a, &[n]), (&b, &[1])).unwrap().to_vec::<f32>().unwrap();
        let wrong = y.iter().enumerate().find(|(i, y)| **y != (i % 1_000_003) as f32 - 3.0);
        assert_eq!((y.len(), wrong), (n, None));
    }
}

/// NaN, zeros, ties, negative bases: every pair, with `a` along rows and `b` along columns.
#[test]
fn awkward_operands_give_what_they_give_on_the_cpu() {
    for gpu in gpus() {
        let values = [f32::NAN, -2.5, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 7.25, 1e-30, -1e30];
        let n = values.len();
        let dy: Vec<f32> = (0..n * n).map(|i| (i as f32 * 0.7).sin()).collect();
        let all = [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Pow,
            Binary::Minimum,
            Binary::Maximum,
        ];
        for op in all {
            let run = |device: &Device| {
                let (x, dy) = (on(device, &values), on(device, &dy));
                let (a, b) = ((&x, &[n, 1][..]), (&x, &[n][..]));
                let y = binary(op, a, b).unwrap();
                let backward = |side| binary_backward(op, side, a, b, &dy).unwrap();
                [y, backward(Side::Left), backward(Side::Right)]
            };
            for (part, (got, wanted)) in
                ["y", "da", "db"].iter().zip(run(&gpu).iter().zip(&run(&Device::Cpu)))
            {
                assert_same(&format!("{op:?}, {part}"), got, wanted, 1e-5);
            }
        }
    }
}

/// The functions of math.wgsl against f64, over all exponents: the errors that they state. What is below
/// the smallest normal number a GPU may take for 0.
#[test]
fn functions_keep_to_their_errors_on_a_gpu() {
    for gpu in gpus() {
        let tiny = f64::from(f32::MIN_POSITIVE);
        let mut x: Vec<f32> = (0..=f32::INFINITY.to_bits()).step_by(40_009).map(f32::from_bits).collect();
        x.extend((-1000..1000).map(|i| i as f32 * 0.0137));
        x.retain(|x| *x == 0.0 || f64::from(*x) >= tiny);
        let x: Vec<f32> = x.iter().flat_map(|&x| [x, -x]).chain([f32::NAN]).collect();
        type Exact = fn(f64) -> f64;
        let exact: [(Unary, f64, Exact); 5] = [
            (Unary::Exp, 2.0, f64::exp),
            (Unary::Log, 3.0, f64::ln),
            (Unary::Tanh, 3.0, f64::tanh),
            (Unary::Sigmoid, 3.0, |x| 1.0 / (1.0 + (-x).exp())),
            (Unary::Elu, 3.0, |x| if x > 0.0 { x } else { x.exp_m1() }),
        ];
        for (f, ulps, exact) in exact {
            let y = unary(f, [1.0, 0.0], &on(&gpu, &x)).unwrap().to_vec::<f32>().unwrap();
            for (&x, &y) in x.iter().zip(&y) {
                let wanted = exact(f64::from(x));
                let rounded = wanted as f32;
                if y == rounded || y.is_nan() && wanted.is_nan() {
                    continue;
                }
                let place = wanted.abs().max(tiny).log2().floor() - 23.0;
                let error = (f64::from(y) - wanted).abs() / place.exp2();
                let lost = wanted.abs() < tiny && f64::from(y).abs() <= tiny;
                let huge = wanted.abs() > f64::from(f32::MAX) && y.abs() >= f32::MAX;
                assert!(error <= ulps || lost || huge, "{f:?}({x}) is {y}, in f64 {wanted}: {error} ulps");
            }
        }
        for f in [Unary::Relu, Unary::LeakyRelu, Unary::Softplus, Unary::Clamp, Unary::Gelu, Unary::Abs] {
            let y = unary(f, [0.5, 3.0], &on(&gpu, &[f32::NAN])).unwrap().to_vec::<f32>().unwrap();
            assert!(y[0].is_nan(), "{f:?}(NaN) is {}", y[0]);
        }
    }
}
