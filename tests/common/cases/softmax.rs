//! Softmax and its logarithm.

use voxgrad_kernels::ops::softmax::{self as kernel, Softmax};

use super::{Case, case};
use crate::common::Ladder;
use crate::common::input::{between, uniform};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(&[usize], isize); 9] = [
        (&[3, 5], 1),
        (&[3, 5], 0),
        (&[2, 3, 4], 1),
        (&[2, 3, 4, 5], -1),
        (&[1, 1], 1),
        (&[33], 0),
        (&[0, 4], 1),
        (&[128, 1000], 1),
        (&[64, 10, 33], 1),
    ];
    for (x, dim) in shapes {
        // An exponential, an addition, a subtraction, a comparison and a division per element.
        let numel = x.iter().product::<usize>() as u64;
        let timed = |case: Case| if numel > 10_000 { case.large(5 * numel) } else { case };
        let (what, inputs) = (format!("{x:?}, dimension {dim}"), [between(-4.0, 4.0, x)]);
        cases.push(timed(case("softmax", &what, inputs.clone(), move |t| t[0].softmax(dim))));
        cases.push(timed(case("log_softmax", &what, inputs, move |t| t[0].log_softmax(dim))));
    }
    cases
}

/// Rows that lie side by side and rows that do not, short and long.
pub fn ladders() -> Vec<Ladder> {
    let mut ladders = Vec::new();
    for (outer, dim, inner) in
        [(3, 5, 1), (2, 3, 7), (1, 1, 1), (2, 0, 3), (128, 1000, 1), (64, 10, 33), (70, 2, 500), (3, 5000, 2)]
    {
        for log in [0, 1] {
            let p = Softmax { outer, dim, inner, log };
            let shape = [outer, dim, inner].map(|size| size as usize);
            let flops = 5 * shape.iter().product::<usize>() as u64;
            let what = format!("{}{shape:?}", if log == 1 { "log, " } else { "" });
            let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
            let x = between(-4.0, 4.0, &shape);
            ladders.push(Ladder::new("softmax", &what, rungs, [x.clone()], flops, move |rung, t| {
                Ok(vec![kernel::forward_rung(rung, &p, &t[0])?])
            }));
            let backward =
                Ladder::new("softmax_backward", &what, rungs, [x, uniform(&shape)], flops, move |rung, t| {
                    Ok(vec![kernel::backward_rung(rung, &p, &t[0], &t[1])?])
                });
            ladders.push(backward.prepared(move |mut t| {
                t[0] = kernel::forward_rung(0, &p, &t[0])?;
                Ok(t)
            }));
        }
    }
    ladders
}
