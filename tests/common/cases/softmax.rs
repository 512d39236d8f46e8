//! Softmax and its logarithm.

use voxgrad_kernels::ops::softmax::{self as kernel, Softmax};

use super::{Case, Shaped, case};
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
    let sizes = [
        (3, 5, 1),
        (2, 3, 7),
        (1, 1, 1),
        (2, 0, 3),
        (128, 1000, 1),
        (64, 10, 33),
        (70, 2, 500),
        (3, 5000, 2),
    ];
    sizes.into_iter().flat_map(kernels).collect()
}

/// Those of the last dimension.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] if !x.is_empty() => {
            let dim = x[x.len() - 1] as u32;
            Ok(kernels((x.iter().product::<usize>() as u32 / dim, dim, 1)))
        }
        _ => Err("softmax takes one shape; it goes along the last dimension".into()),
    }
}

fn kernels((outer, dim, inner): (u32, u32, u32)) -> Vec<Ladder> {
    let mut ladders = Vec::new();
    for log in [0, 1] {
        let p = Softmax { outer, dim, inner, log };
        let shape = [outer, dim, inner].map(|size| size as usize);
        let flops = 5 * shape.iter().product::<usize>() as u64;
        let what = format!("{}{shape:?}", if log == 1 { "log, " } else { "" });
        let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
        let x = between(-4.0, 4.0, &shape);
        let name = if log == 1 { "log_softmax" } else { "softmax" };
        let forward = Ladder::new("softmax", &what, rungs, [x.clone()], flops, move |rung, t| {
            Ok(vec![kernel::forward_rung(rung, &p, &t[0])?])
        });
        ladders.push(forward.torch(format!("F.{name}(t[0], 1)")));
        let backward =
            Ladder::new("softmax_backward", &what, rungs, [x, uniform(&shape)], flops, move |rung, t| {
                Ok(vec![kernel::backward_rung(rung, &p, &t[0], &t[1])?])
            });
        let prepared = backward.prepared(move |mut t| {
            t[0] = kernel::forward_rung(0, &p, &t[0])?;
            Ok(t)
        });
        let torch = format!("torch.ops.aten._{name}_backward_data(t[1], t[0], 1, t[0].dtype)");
        ladders.push(prepared.torch(torch));
    }
    ladders
}
