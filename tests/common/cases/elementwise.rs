//! Ops that treat every element alike.

use voxgrad_engine::{Result, Tensor};
use voxgrad_kernels::ops::elementwise::{self as kernel, Saved, Unary};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{Input, away_from, between, uniform};

/// Sizes that divide no block, a scalar, one element, a batch of nothing.
const SHAPES: [&[usize]; 5] = [&[3, 5, 7], &[2, 1, 33], &[], &[1], &[0, 3]];
/// A batch of the baseline network's first activation.
const LARGE: &[usize] = &[64, 16, 32, 32];
/// More elements than one row of 65,535 groups of 256 covers.
const HUGE: &[usize] = &[65_535 * 256 + 257];

type Fill = fn(&[usize]) -> Input;
type Op = fn(&Tensor) -> Result<Tensor>;

pub fn cases() -> Vec<Case> {
    let any: Fill = uniform;
    let wide: Fill = |shape| between(-3.0, 3.0, shape);
    let positive: Fill = |shape| between(0.1, 3.0, shape);
    let not_zero: Fill = |shape| away_from(&[0.0], 0.05, shape);
    let table: [(&'static str, &str, Fill, Op); 32] = [
        ("neg", "", any, |x| x.neg()),
        ("abs", "", not_zero, |x| x.abs()),
        ("exp", "", any, |x| x.exp()),
        ("log", "", positive, |x| x.log()),
        ("sqrt", "", positive, |x| x.sqrt()),
        ("square", "", any, |x| x.square()),
        ("tanh", "", wide, |x| x.tanh()),
        ("sigmoid", "", wide, |x| x.sigmoid()),
        ("relu", "", not_zero, |x| x.relu()),
        ("leaky_relu", "slope 0.01", not_zero, |x| x.leaky_relu(0.01)),
        ("leaky_relu", "slope 0.2", not_zero, |x| x.leaky_relu(0.2)),
        ("elu", "alpha 1", not_zero, |x| x.elu(1.0)),
        ("elu", "alpha 0.3", not_zero, |x| x.elu(0.3)),
        ("gelu", "", wide, |x| x.gelu()),
        ("softplus", "beta 1", wide, |x| x.softplus(1.0, 20.0)),
        (
            "softplus",
            "beta 2, beyond the threshold",
            |s| away_from(&[0.5], 0.05, s),
            |x| x.softplus(2.0, 1.0),
        ),
        ("clamp", "both", |s| away_from(&[-0.5, 1.0], 0.05, s), |x| x.clamp(Some(-0.5), Some(1.0))),
        ("clamp", "min", |s| away_from(&[0.25], 0.05, s), |x| x.clamp(Some(0.25), None)),
        ("clamp", "max", |s| away_from(&[0.25], 0.05, s), |x| x.clamp(None, Some(0.25))),
        ("add_scalar", "", any, |x| x.add_scalar(1.5)),
        ("sub_scalar", "", any, |x| x.sub_scalar(1.5)),
        ("mul_scalar", "", any, |x| x.mul_scalar(-2.5)),
        ("div_scalar", "", any, |x| x.div_scalar(3.0)),
        ("pow_scalar", "2", any, |x| x.pow_scalar(2.0)),
        ("pow_scalar", "3", not_zero, |x| x.pow_scalar(3.0)),
        ("pow_scalar", "0", any, |x| x.pow_scalar(0.0)),
        ("pow_scalar", "0.5", positive, |x| x.pow_scalar(0.5)),
        ("pow_scalar", "-1.5", positive, |x| x.pow_scalar(-1.5)),
        ("operator +", "a number", any, |x| x + 0.5),
        ("operator *", "a number", any, |x| x * 0.5),
        ("operator -", "a number", any, |x| x - 0.5),
        ("operator /", "a number", any, |x| x / 0.5),
    ];
    let mut cases = Vec::new();
    for (op, options, fill, run) in table {
        let name =
            |shape: &[usize]| format!("{options}{}{shape:?}", if options.is_empty() { "" } else { ", " });
        for shape in SHAPES {
            cases.push(case(op, name(shape), [fill(shape)], move |x| run(&x[0])));
        }
        let numel = LARGE.iter().product::<usize>() as u64;
        cases.push(case(op, name(LARGE), [fill(LARGE)], move |x| run(&x[0])).large(numel));
    }
    let huge = [uniform(HUGE)];
    cases.push(case("tanh", "more groups than one row", huge, |x| x[0].tanh()).large(HUGE[0] as u64));
    cases
}

/// The functions that networks are full of, on sizes that divide no register and on a large one.
pub fn ladders() -> Vec<Ladder> {
    [&[1usize][..], &[1003], LARGE].into_iter().flat_map(kernels).collect()
}

/// Those of one shape.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] => Ok(kernels(x)),
        _ => Err("a function of one element takes one shape".into()),
    }
}

/// Counted is one floating-point operation an element, whatever the function takes.
fn kernels(shape: &[usize]) -> Vec<Ladder> {
    let functions: [(&str, &str, Unary, &str); 4] = [
        ("tanh", "tanh_backward", Unary::Tanh, "tanh"),
        ("exp", "exp_backward", Unary::Exp, "exp"),
        ("relu", "relu_backward", Unary::Relu, "relu"),
        ("gelu", "gelu_backward", Unary::Gelu, ""),
    ];
    let mut ladders = Vec::new();
    for (name, backward, function, torch) in functions {
        let (what, numel) = (format!("{shape:?}"), shape.iter().product::<usize>() as u64);
        let (x, rungs) = (away_from(&[0.0], 0.05, shape), [kernel::UNARY_RUNGS, &["plain"]]);
        let run = move |rung, t: &[_]| Ok(vec![kernel::unary_rung(rung, function, [0.0; 2], &t[0])?]);
        let torch = if torch.is_empty() { format!("F.{name}(t[0])") } else { format!("torch.{torch}(t[0])") };
        ladders.push(Ladder::new(name, &what, rungs, [x.clone()], numel, run).torch(torch));
        let run = move |rung, t: &[_]| {
            let saved = Some(&t[0]).filter(|_| function.saves() != Saved::Nothing);
            Ok(vec![kernel::unary_backward_rung(rung, function, [0.0; 2], saved, &t[1])?])
        };
        ladders.push(Ladder::new(backward, what, rungs, [x, uniform(shape)], numel, run));
    }
    ladders
}
