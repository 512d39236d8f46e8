//! Two tensors, element by element, stretched to a common shape.

use voxgrad_engine::{Result, Tensor};

use super::{Case, case};
use crate::common::input::{Input, away_from, between, distinct, uniform};

/// Pairs of shapes that broadcast.
const SHAPES: [(&[usize], &[usize]); 9] = [
    (&[3, 5, 7], &[3, 5, 7]),
    (&[4, 1], &[1, 5]),
    (&[2, 3, 4], &[4]),
    (&[3, 1], &[2, 3, 4]),
    (&[2, 1, 5, 1], &[3, 1, 7]),
    (&[], &[2, 3]),
    (&[1], &[1, 1]),
    (&[], &[]),
    (&[0, 3], &[3]),
];
const LARGE: &[usize] = &[64, 16, 32, 32];

type Fill = fn(&[usize]) -> Input;
type Op = fn(&Tensor, &Tensor) -> Result<Tensor>;

pub fn cases() -> Vec<Case> {
    let any: Fill = uniform;
    let positive: Fill = |shape| between(0.2, 2.0, shape);
    let not_zero: Fill = |shape| away_from(&[0.0], 0.2, shape);
    let (one, other): (Fill, Fill) = (|shape| distinct(0, shape), |shape| distinct(1, shape));
    let table: [(&'static str, Fill, Fill, Op); 11] = [
        ("add", any, any, |x, y| x.add(y)),
        ("sub", any, any, |x, y| x.sub(y)),
        ("mul", any, any, |x, y| x.mul(y)),
        ("div", any, not_zero, |x, y| x.div(y)),
        ("pow", positive, any, |x, y| x.pow(y)),
        ("minimum", one, other, |x, y| x.minimum(y)),
        ("maximum", one, other, |x, y| x.maximum(y)),
        ("operator +", any, any, |x, y| x + y),
        ("operator -", any, any, |x, y| x - y),
        ("operator *", any, any, |x, y| x * y),
        ("operator /", any, not_zero, |x, y| x / y),
    ];
    let mut cases = Vec::new();
    for (op, fill_x, fill_y, run) in table {
        let mut push = |x: &[usize], y: &[usize]| {
            cases.push(case(op, format!("{x:?} {y:?}"), [fill_x(x), fill_y(y)], move |t| run(&t[0], &t[1])));
        };
        SHAPES.iter().for_each(|(x, y)| push(x, y));
        push(LARGE, LARGE);
        // A bias per channel: the backward pass sums 64 x 32 x 32 gradients into each.
        push(LARGE, &[16, 1, 1]);
        let numel = LARGE.iter().product::<usize>() as u64;
        cases.iter_mut().rev().take(2).for_each(|case| case.flops = Some(numel));
    }
    cases.push(case("mul", "with itself", [uniform(&[3, 4])], |t| t[0].mul(&t[0])));
    cases
}
