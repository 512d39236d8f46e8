//! Sums, means, variances and maxima over dimensions.

use voxgrad_engine::{Result, Tensor};
use voxgrad_kernels::ops::reduce::{self as kernel, Extreme, Reduce};

use super::{Case, Shaped, case, case_with};
use crate::common::Ladder;
use crate::common::input::{Input, distinct, uniform};

/// Shapes and the dimensions reduced: none means all.
const SHAPES: [(&[usize], &[isize]); 10] = [
    (&[3, 5, 7], &[]),
    (&[3, 5, 7], &[0]),
    (&[3, 5, 7], &[1]),
    (&[3, 5, 7], &[-1]),
    (&[3, 5, 7], &[0, 2]),
    (&[2, 3, 4, 5], &[0, -1, 2]),
    (&[1, 6], &[0]),
    (&[4, 1], &[1]),
    (&[0, 3], &[1]),
    (&[33], &[0]),
];
/// A batch-norm's statistics, and a row per sample.
const LARGE: [(&[usize], &[isize]); 3] =
    [(&[64, 16, 32, 32], &[0, 2, 3]), (&[1024, 1025], &[1]), (&[64, 16, 32, 32], &[])];

type Fill = fn(&[usize]) -> Input;
type Op = fn(&Tensor, &[isize], bool) -> Result<Tensor>;
type WithIndices = fn(&Tensor, &[isize], bool) -> Result<(Tensor, Tensor)>;

pub fn cases() -> Vec<Case> {
    let any: Fill = uniform;
    let one_winner: Fill = |shape| distinct(0, shape);
    let with_value: [(&'static str, Op); 4] = [
        ("sum", |x, dims, keep| x.sum(dims, keep)),
        ("mean", |x, dims, keep| x.mean(dims, keep)),
        ("var", |x, dims, keep| x.var(dims, 0, keep)),
        ("var, correction 1", |x, dims, keep| x.var(dims, 1, keep)),
    ];
    let with_indices: [(&'static str, WithIndices); 2] =
        [("max", |x, dims, keep| x.max(dims, keep)), ("min", |x, dims, keep| x.min(dims, keep))];
    let mut cases = Vec::new();
    for (shape, dims) in SHAPES.iter().chain(&LARGE).copied() {
        let numel = shape.iter().product::<usize>() as u64;
        let timed = |case: Case| if numel > 10_000 { case.large(numel) } else { case };
        // A kept dimension changes the shape of the result and no number in it: small cases show that.
        for keep in if numel > 10_000 { vec![false] } else { vec![false, true] } {
            let what = format!("{shape:?} over {dims:?}{}", if keep { ", keepdim" } else { "" });
            for (op, run) in with_value {
                // One value has no variance around its mean when one is subtracted from the count.
                let alone = dims.iter().all(|&d| shape[d.rem_euclid(shape.len() as isize) as usize] == 1);
                if op.ends_with("correction 1") && alone && !dims.is_empty() {
                    continue;
                }
                cases.push(timed(case(op, &what, [any(shape)], move |x| run(&x[0], dims, keep))));
            }
            for (op, run) in with_indices {
                cases.push(timed(case_with(op, &what, [one_winner(shape)], move |x| {
                    let (values, indices) = run(&x[0], dims, keep)?;
                    Ok(vec![values, indices])
                })));
            }
            let argmax = case("argmax", &what, [one_winner(shape)], move |x| x[0].argmax(dims, keep));
            cases.push(timed(argmax.without_gradient()));
        }
    }
    cases.push(case("sum_all", "", [uniform(&[3, 5])], |x| x[0].sum_all()));
    cases.push(case("mean_all", "", [uniform(&[3, 5])], |x| x[0].mean_all()));
    cases.push(case("sum", "a scalar", [uniform(&[])], |x| x[0].sum(&[], false)));
    cases.push(case("sum", "of nothing", [uniform(&[2, 0])], |x| x[0].sum(&[1], false)));
    cases
}

/// Sums over dimensions of every kind, and extremes along one.
pub fn ladders() -> Vec<Ladder> {
    let mut ladders = Vec::new();
    let sums: [(&'static [usize], &'static [bool]); 12] = [
        (&[33], &[true]),
        (&[3, 5, 7], &[true, false, true]),
        (&[3, 5, 7], &[false, true, false]),
        (&[2, 3, 4, 5, 6], &[true, false, true, false, true]),
        (&[2, 0, 3], &[false, true, false]),
        (&[64, 10], &[true, false]),
        (&[300, 700], &[true, false]),
        (&[1024, 1025], &[false, true]),
        (&[9000, 24], &[true, false]),
        (&[64, 16, 32, 32], &[true, false, true, true]),
        (&[2, 3, 73_000], &[true, false, true]),
        (&[64, 16, 32, 32], &[true; 4]),
    ];
    ladders.extend(sums.into_iter().map(|(shape, reduced)| sum(shape, reduced)));
    let sizes =
        [(3, 5, 7), (20, 1, 3), (1, 33, 1), (7, 1000, 1), (2, 300, 37), (1, 300_000, 1), (64, 256, 64)];
    ladders.extend(sizes.into_iter().flat_map(extremes));
    ladders
}

/// The sum of all, and the extremes along the last dimension.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] if !x.is_empty() => {
            let dim = x[x.len() - 1] as u32;
            let mut ladders = vec![sum(x, &vec![true; x.len()])];
            ladders.extend(extremes((x.iter().product::<usize>() as u32 / dim, dim, 1)));
            Ok(ladders)
        }
        _ => {
            Err("a reduction takes one shape; sum goes over all of it, max and min along the last dimension"
                .into())
        }
    }
}

fn sum(shape: &[usize], reduced: &[bool]) -> Ladder {
    let over: Vec<usize> = (0..shape.len()).filter(|&d| reduced[d]).collect();
    let rungs = [kernel::SUM_RUNGS, kernel::GPU_RUNGS];
    let numel = shape.iter().product::<usize>() as u64;
    let (what, torch) = (format!("{shape:?} over {over:?}"), format!("t[0].sum({over:?})"));
    let (x, shape, reduced) = (uniform(shape), shape.to_vec(), reduced.to_vec());
    let run =
        move |rung, t: &[_]| Ok(kernel::sum_dims_rung(rung, &t[0], &shape, &reduced)?.into_iter().collect());
    Ladder::new("sum", what, rungs, [x], numel, run).torch(torch)
}

/// With the gradients of their values.
fn extremes((outer, dim, inner): (u32, u32, u32)) -> Vec<Ladder> {
    let p = Reduce { outer, dim, inner };
    let sizes = [outer, dim, inner];
    let x = distinct(0, &sizes.map(|size| size as usize));
    let numel = u64::from(outer) * u64::from(dim) * u64::from(inner);
    let ladder = |(name, which): (&'static str, Extreme)| {
        let rungs = [kernel::EXTREME_RUNGS, kernel::GPU_RUNGS];
        let run = move |rung, t: &[_]| {
            let (y, index) = kernel::extreme_rung(rung, which, &p, &t[0])?;
            let dx = kernel::extreme_backward(&p, &index, &y)?;
            Ok(vec![y, index, dx])
        };
        Ladder::new(name, format!("{sizes:?}"), rungs, [x.clone()], numel, run)
    };
    [("max", Extreme::Max), ("min", Extreme::Min)].map(ladder).into()
}
