//! Dropout: the same seed drops the same elements on every device.

use voxgrad_engine::{Result, Tensor, manual_seed};
use voxgrad_kernels::ops::dropout::{self as kernel, Dropout};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{Input, uniform};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, p) in [(&[3, 5, 7][..], 0.5), (&[1, 33], 0.1), (&[4, 6], 0.0), (&[2, 3], 1.0), (&[0, 3], 0.5)] {
        cases.push(seeded("dropout", format!("{x:?}, p {p}"), [uniform(x)], move |t| t.dropout(p)));
    }
    for (x, p) in [(&[2, 3, 4, 5][..], 0.4), (&[2, 5, 2, 3, 4], 0.5), (&[0, 3, 2, 2], 0.5), (&[3, 7, 2], 0.3)]
    {
        let what = format!("{x:?}, p {p}");
        cases.push(seeded("dropout_channels", what, [uniform(x)], move |t| t.dropout_channels(p)));
    }
    let large = [uniform(&[64, 16, 32, 32])];
    let numel = 64 * 16 * 32 * 32;
    cases.push(seeded("dropout", "an activation", large.clone(), |t| t.dropout(0.4)).large(numel));
    cases.push(seeded("dropout_channels", "an activation", large, |t| t.dropout_channels(0.4)).large(numel));
    cases
}

/// A case that draws the same numbers at every run.
fn seeded(
    op: &'static str,
    what: impl Into<String>,
    x: [Input; 1],
    run: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Case {
    case(op, what, x, move |t| {
        manual_seed(7);
        run(&t[0])
    })
}

pub fn ladders() -> Vec<Ladder> {
    let sizes = [(0, 1), (1, 1), (3000, 1), (2500, 3), (2500, 1000), (1 << 20, 1), (1 << 20, 1024)];
    sizes.into_iter().map(ladder).collect()
}

/// That of single elements.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] => Ok(vec![ladder((x.iter().product::<usize>() as u32, 1))]),
        _ => Err("dropout takes one shape".into()),
    }
}

fn ladder((len, group): (u32, u32)) -> Ladder {
    let params = Dropout::new(len, group, 0x0123_4567_89AB_CDEF, 1 << 35 | 5);
    let what = format!("{len} elements in groups of {group}");
    let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
    let ladder =
        Ladder::new("dropout", what, rungs, [uniform(&[len as usize])], len.into(), move |rung, t| {
            Ok(vec![kernel::forward_rung(rung, &params, 0.4, &t[0])?])
        });
    ladder.torch(if group == 1 { "F.dropout(t[0], 0.4)" } else { "" })
}
