//! Losses: every reduction, with weights, smoothing and ignored labels in every combination.

use voxgrad_engine::ops::{CrossEntropyOptions, Reduction};
use voxgrad_kernels::ops::cross_entropy::{self as kernel, CrossEntropy, Target};
use voxgrad_kernels::{DType, Result, Storage};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{Input, away_from, below, between, uniform};

const REDUCTIONS: [(&str, Reduction); 3] =
    [("none", Reduction::None), ("mean", Reduction::Mean), ("sum", Reduction::Sum)];

pub fn cases() -> Vec<Case> {
    let mut cases = class_losses();
    cases.extend(pairwise_losses());
    cases.extend(binary_losses());
    cases
}

fn class_losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, classes) in [(8, 4), (1, 3), (5, 1), (257, 1000)] {
        let inputs = [
            between(-3.0, 3.0, &[n, classes]),
            below(classes as u32, &[n]),
            between(0.3, 2.0, &[classes]).fixed(),
        ];
        let timed =
            |case: Case| if n * classes > 10_000 { case.large(5 * (n * classes) as u64) } else { case };
        for (name, reduction) in REDUCTIONS {
            for (weighted, ignore, label_smoothing) in
                combinations([false, true], [None, Some(0)], [0.0, 0.2])
            {
                // The mean over nothing is not a number: one sample must count.
                if ignore.is_some() && classes == 1 || n == 1 && ignore.is_some() {
                    continue;
                }
                let what = format!(
                    "[{n}, {classes}], {name}{}{}{}",
                    if weighted { ", weights" } else { "" },
                    if ignore.is_some() { ", ignoring 0" } else { "" },
                    if label_smoothing > 0.0 { ", smoothed" } else { "" },
                );
                if label_smoothing == 0.0 {
                    cases.push(timed(case("nll_loss", &what, inputs.clone(), move |t| {
                        t[0].nll_loss(&t[1], weighted.then_some(&t[2]), ignore, reduction)
                    })));
                }
                cases.push(timed(case("cross_entropy", &what, inputs.clone(), move |t| {
                    let weight = weighted.then(|| t[2].clone());
                    let options =
                        CrossEntropyOptions { weight, ignore_index: ignore, label_smoothing, reduction };
                    t[0].cross_entropy(&t[1], &options)
                })));
            }
        }
    }
    cases
}

/// All combinations of three settings.
fn combinations<A: Copy, B: Copy, C: Copy>(a: [A; 2], b: [B; 2], c: [C; 2]) -> Vec<(A, B, C)> {
    (0..8).map(|i| (a[i / 4], b[i / 2 % 2], c[i % 2])).collect()
}

/// Losses of a prediction and a target alike: a gradient flows to both.
fn pairwise_losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [&[3, 5][..], &[1], &[2, 3, 4], &[300, 301]] {
        let numel = shape.iter().product::<usize>() as u64;
        let timed = |case: Case| if numel > 10_000 { case.large(3 * numel) } else { case };
        // The target is small and the prediction keeps its distance from 0 and from delta.
        let inputs = |delta: f64| [away_from(&[0.0, delta, -delta], 0.1, shape), between(-0.05, 0.05, shape)];
        for (name, reduction) in REDUCTIONS {
            let what = format!("{shape:?}, {name}");
            let pair: [Input; 2] = [uniform(shape), uniform(shape)];
            cases.push(timed(case("mse_loss", &what, pair, move |t| t[0].mse_loss(&t[1], reduction))));
            cases.push(timed(case("l1_loss", &what, inputs(0.0), move |t| t[0].l1_loss(&t[1], reduction))));
            for delta in [1.0, 0.3] {
                let what = format!("{what}, delta {delta}");
                cases.push(timed(case("huber_loss", what, inputs(delta), move |t| {
                    t[0].huber_loss(&t[1], delta, reduction)
                })));
            }
        }
    }
    cases
}

fn binary_losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [&[3, 5][..], &[1, 1], &[300, 301]] {
        let numel = shape.iter().product::<usize>() as u64;
        let timed = |case: Case| if numel > 10_000 { case.large(4 * numel) } else { case };
        let target = between(0.0, 1.0, shape).fixed();
        let weight = between(0.3, 2.0, shape).fixed();
        let pos_weight = between(0.3, 2.0, &shape[shape.len() - 1..]).fixed();
        let probability = [between(0.1, 0.9, shape), target.clone(), weight.clone()];
        let logit = [between(-3.0, 3.0, shape), target, weight, pos_weight];
        for (name, reduction) in REDUCTIONS {
            for weighted in [false, true] {
                let what = format!("{shape:?}, {name}{}", if weighted { ", weights" } else { "" });
                cases.push(timed(case("binary_cross_entropy", &what, probability.clone(), move |t| {
                    t[0].binary_cross_entropy(&t[1], weighted.then_some(&t[2]), reduction)
                })));
                for positive in [false, true] {
                    let what = format!("{what}{}", if positive { ", positives weighted" } else { "" });
                    cases.push(timed(case(
                        "binary_cross_entropy_with_logits",
                        what,
                        logit.clone(),
                        move |t| {
                            let (weight, positive) = (weighted.then_some(&t[2]), positive.then_some(&t[3]));
                            t[0].binary_cross_entropy_with_logits(&t[1], weight, positive, reduction)
                        },
                    )));
                }
            }
        }
    }
    cases
}

/// Cross-entropy of few rows and many, of rows that lie side by side and of pixels.
pub fn ladders() -> Vec<Ladder> {
    let sizes = [
        (8, 4, 1),
        (1, 3, 1),
        (0, 3, 1),
        (64, 10, 1),
        (257, 1000, 1),
        (3, 5, 7),
        (40, 21, 50),
        (2, 2, 70_000),
    ];
    sizes.into_iter().flat_map(kernels).collect()
}

/// Those of the mean without anything special.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] if x.len() >= 2 => {
            let inner = x[2..].iter().product::<usize>() as u32;
            let plain = |ladder: &Ladder| ladder.what.ends_with(", mean");
            Ok(kernels((x[0] as u32, x[1] as u32, inner)).into_iter().filter(plain).collect())
        }
        _ => Err("cross_entropy takes one shape: N,C, or N,C and more".into()),
    }
}

fn kernels((outer, classes, inner): (u32, u32, u32)) -> Vec<Ladder> {
    let mut ladders = Vec::new();
    for (name, reduction) in REDUCTIONS {
        for (weighted, log_probabilities, label_smoothing) in
            [(false, 0, 0.0), (true, 0, 0.0), (false, 0, 0.2), (true, 0, 0.2), (true, 1, 0.2)]
        {
            let p = CrossEntropy { outer, classes, inner, ignore_index: 1, log_probabilities };
            let [n, c, i] = [outer, classes, inner].map(|size| size as usize);
            let what = format!(
                "[{n}, {c}, {i}], {name}{}{}{}",
                if weighted { ", weights" } else { "" },
                if label_smoothing > 0.0 { ", smoothed" } else { "" },
                if log_probabilities == 1 { ", log-probabilities" } else { "" },
            );
            let one_each = if reduction == Reduction::None { n * i } else { 1 };
            let inputs = [
                between(-3.0, 3.0, &[n, c, i]),
                between(0.0, f64::from(classes), &[n, i]),
                between(0.3, 2.0, &[c]),
                uniform(&[one_each]),
                between(2.0, 3.0, &[1]),
            ];
            let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
            let flops = 5 * (n * c * i) as u64;
            let target = move |t: &[Storage], run: &dyn Fn(&Target) -> Result<Vec<Storage>>| {
                run(&Target { labels: &t[1], weight: weighted.then_some(&t[2]), label_smoothing })
            };
            let forward =
                Ladder::new("cross_entropy", &what, rungs, inputs.clone(), flops, move |rung, t| {
                    target(t, &|target| {
                        let forward = kernel::forward_rung(rung, &p, reduction, &t[0], target)?;
                        Ok([Some(forward.loss), forward.total_weight].into_iter().flatten().collect())
                    })
                });
            ladders.push(forward.prepared(with_labels));
            let run = move |rung, t: &[Storage]| {
                let total_weight = (reduction == Reduction::Mean).then_some(&t[4]);
                target(t, &|target| {
                    Ok(vec![kernel::backward_rung(rung, &p, &t[0], target, total_weight, &t[3])?])
                })
            };
            let backward = Ladder::new("cross_entropy_backward", &what, rungs, inputs, flops, run);
            ladders.push(backward.prepared(with_labels));
        }
    }
    ladders
}

/// Input 1 rounded down to labels.
fn with_labels(mut t: Vec<Storage>) -> Result<Vec<Storage>> {
    let numbers = match t[1].dtype() {
        DType::F64 => t[1].to_vec::<f64>()?,
        _ => t[1].to_vec::<f32>()?.into_iter().map(f64::from).collect(),
    };
    let labels: Vec<u32> = numbers.into_iter().map(|x| x as u32).collect();
    t[1] = Storage::from_slice(&t[1].device(), &labels)?;
    Ok(t)
}
