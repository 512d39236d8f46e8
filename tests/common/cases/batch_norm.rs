//! Batch normalisation in 1d, 2d and 3d, in training and in evaluation.

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::batch_norm::{self as kernel, BatchNorm, Channels};

use super::{Case, Shaped, case, case_with};
use crate::common::Ladder;
use crate::common::input::{Input, between, uniform};

const SHAPES: [&[usize]; 9] = [
    &[8, 5],
    &[4, 3, 7],
    &[2, 3, 5, 6],
    &[1, 4, 3, 3],
    &[3, 1, 4, 5],
    &[2, 2, 3, 2, 4],
    &[64, 16, 32, 32],
    &[7, 33, 19, 13],
    &[2, 1, 32, 48, 48],
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for x in SHAPES {
        let numel = x.iter().product::<usize>() as u64;
        // Per element: the sum, the sum of squares, and subtract, multiply, multiply, add.
        let timed = |case: Case| if numel > 10_000 { case.large(8 * numel) } else { case };
        let channel = &x[1..2];
        let inputs = [
            uniform(x),
            between(0.5, 1.5, channel),
            uniform(channel),
            uniform(channel).fixed(),
            between(0.5, 2.0, channel).fixed(),
        ];
        for training in [true, false] {
            let what = format!("{x:?}{}", if training { ", training" } else { ", evaluation" });
            let tracked = case_with("batch_norm", &what, inputs.clone(), move |t| {
                // Copies, so that every run starts from the same statistics.
                let (mean, var) = (t[3].detach(), t[4].detach());
                let stats = Some((&mean, &var));
                let y = t[0].batch_norm(stats, Some(&t[1]), Some(&t[2]), training, 0.1, 1e-5)?;
                Ok(vec![y, mean, var])
            });
            cases.push(timed(tracked));
        }
        let plain = case("batch_norm", format!("{x:?}, no weight, no statistics"), &inputs[..1], |t| {
            t[0].batch_norm(None, None, None, true, 0.1, 1e-3)
        });
        cases.push(timed(plain));
    }
    cases
}

/// The statistics, the forward and the backward kernel.
pub fn ladders() -> Vec<Ladder> {
    SHAPES.into_iter().flat_map(kernels).collect()
}

/// Those of one shape.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] if x.len() >= 2 => Ok(kernels(x)),
        _ => Err("batch normalisation takes one shape: N,C, or N,C,H,W, or N,C,D,H,W".into()),
    }
}

fn kernels(x: &[usize]) -> Vec<Ladder> {
    let mut ladders = Vec::new();
    let numel = x.iter().product::<usize>() as u64;
    let p = BatchNorm {
        samples: x[0] as u32,
        channels: x[1] as u32,
        inner: x[2..].iter().product::<usize>() as u32,
        of_batch: 1,
    };
    let channel = &x[1..2];
    let (values, mean, bias) = (uniform(x), uniform(channel), uniform(channel));
    let (var, weight) = (between(0.5, 2.0, channel), between(0.5, 1.5, channel));
    let mut push = |name, inputs: Vec<Input>, flops, torch, run: fn(usize, &BatchNorm, &[_]) -> _| {
        let (what, rungs) = (format!("{x:?}"), [kernel::RUNGS, kernel::GPU_RUNGS]);
        let run = move |rung, t: &[_]| run(rung, &p, t);
        ladders.push(Ladder::new(name, what, rungs, inputs, flops * numel, run).torch(torch));
    };
    let others: Vec<usize> = (0..x.len()).filter(|&d| d != 1).collect();
    let statistics = format!("torch.var_mean(t[0], {others:?}, correction=0)");
    push("batch_norm_statistics", vec![values.clone()], 4, statistics, |rung, p, t| {
        let (mean, var) = kernel::statistics_rung(rung, p, &t[0])?;
        Ok(vec![mean, var])
    });
    let inputs = vec![values.clone(), mean, var, weight, bias];
    let forward = "F.batch_norm(t[0], t[1], t[2], t[3], t[4], training=False)".to_string();
    push("batch_norm", inputs.clone(), 4, forward, |rung, p, t| {
        Ok(vec![kernel::forward_rung(rung, p, &channels(t), &t[0])?])
    });
    // What PyTorch calls the saved deviation is here the variance: it costs the same.
    let backward = "torch.ops.aten.native_batch_norm_backward(\
                    t[5], t[0], t[3], None, None, t[1], t[2], True, 1e-5, [True, True, True])";
    push("batch_norm_backward", [inputs, vec![values]].concat(), 10, backward.into(), |rung, p, t| {
        let all = kernel::backward_rung(rung, p, &channels(t), &t[0], &t[5], true)?;
        Ok([all.dx, Some(all.dweight), Some(all.dbias)].into_iter().flatten().collect())
    });
    ladders
}

fn channels(t: &[Storage]) -> Channels<'_> {
    Channels { mean: &t[1], var: &t[2], weight: Some(&t[3]), bias: Some(&t[4]), eps: 1e-5 }
}
