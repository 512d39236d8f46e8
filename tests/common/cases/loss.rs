//! Losses: every reduction, with weights, smoothing and ignored labels in every combination.

use voxgrad_engine::ops::{CrossEntropyOptions, Reduction};

use super::{Case, case};
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
