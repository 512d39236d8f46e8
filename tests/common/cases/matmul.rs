//! Matrix products.

use voxgrad_kernels::ops::matmul::{self as kernel, Matmul};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::uniform;

/// Left and right, as PyTorch's matmul takes them: vectors, matrices, batches that broadcast.
const SHAPES: [(&[usize], &[usize]); 14] = [
    (&[1, 1], &[1, 1]),
    (&[3, 5], &[5, 7]),
    (&[17, 9], &[9, 5]),
    (&[1, 33], &[33, 1]),
    (&[5], &[5]),
    (&[5], &[5, 3]),
    (&[3, 5], &[5]),
    (&[2, 3, 4], &[2, 4, 5]),
    (&[2, 1, 3, 4], &[3, 4, 2]),
    (&[5, 2, 3], &[3, 4]),
    (&[2, 3], &[4, 3, 5]),
    (&[2, 3, 4], &[4]),
    (&[0, 3], &[3, 2]),
    (&[2, 0], &[0, 3]),
];
/// Sizes that divide no block, and a round one.
const LARGE: [(&[usize], &[usize]); 3] =
    [(&[129, 257], &[257, 65]), (&[512, 512], &[512, 512]), (&[8, 65, 127], &[8, 127, 66])];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, y) in SHAPES.iter().chain(&LARGE) {
        let matmul = case("matmul", format!("{x:?} {y:?}"), [uniform(x), uniform(y)], |t| t[0].matmul(&t[1]));
        cases.push(match x.iter().product::<usize>() {
            n if n > 10_000 => matmul.large(2 * n as u64 * y[y.len() - 1] as u64),
            _ => matmul,
        });
    }
    for (x, y) in [([1, 2, 3], [1, 3, 4]), ([4, 3, 5], [4, 5, 2]), ([0, 3, 5], [0, 5, 2])] {
        let inputs = [uniform(&x), uniform(&y)];
        cases.push(case("bmm", format!("{x:?} {y:?}"), inputs, |t| t[0].bmm(&t[1])));
    }
    let linear: [(&[usize], [usize; 2]); 7] = [
        (&[1, 1], [1, 1]),
        (&[3, 5], [7, 5]),
        (&[2, 3, 5], [4, 5]),
        (&[5], [3, 5]),
        (&[0, 5], [3, 5]),
        (&[64, 512], [32, 512]),
        (&[65, 1152], [33, 1152]),
    ];
    for (x, w) in linear {
        let timed = |case: Case| match x.iter().product::<usize>() {
            n if n > 10_000 => case.large(2 * (n * w[0]) as u64),
            _ => case,
        };
        let inputs = [uniform(x), uniform(&w), uniform(&[w[0]])];
        let with_bias =
            case("linear", format!("{x:?} {w:?}, bias"), inputs.clone(), |t| t[0].linear(&t[1], Some(&t[2])));
        cases.push(timed(with_bias));
        let name = format!("{x:?} {w:?}, no bias");
        cases.push(timed(case("linear", name, &inputs[..2], |t| t[0].linear(&t[1], None))));
    }
    cases
}

/// The kernel, with either factor stored transposed.
pub fn ladders() -> Vec<Ladder> {
    let sizes = [
        (1, 1, 1, 1),
        (1, 3, 7, 5),
        (2, 17, 33, 9),
        (3, 1, 65, 2),
        (1, 0, 3, 4),
        (1, 3, 4, 0),
        (1, 129, 65, 257),
        (1, 512, 512, 512),
        (8, 65, 66, 127),
        (1, 64, 32, 512),
        (1, 64, 1024, 1152),
        (1, 5, 7, 5000),
        (70, 20, 3, 70),
        // One row, one column, one term.
        (2, 1, 9, 5),
        (2, 9, 1, 5),
        (2, 9, 5, 1),
    ];
    sizes.into_iter().flat_map(products).collect()
}

/// The product of two matrices or two batches of them, with either factor stored transposed.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    let (batch, a, b) = match shapes {
        [a, b] if a.len() == 2 && b.len() == 2 => (1, &a[..], &b[..]),
        [a, b] if a.len() == 3 && b.len() == 3 && a[0] == b[0] => (a[0], &a[1..], &b[1..]),
        _ => return Err("a product takes two shapes: M,K and K,N, or B,M,K and B,K,N".into()),
    };
    if a[1] != b[0] {
        return Err(format!("{a:?} has {} columns, {b:?} has {} rows: they must be as many", a[1], b[0]));
    }
    Ok(products((batch, a[0], b[1], a[1])))
}

fn products((batch, m, n, k): (usize, usize, usize, usize)) -> Vec<Ladder> {
    let plain = Matmul::new(batch, m, n, k);
    let forms = [("a b", plain), ("a' b", plain.transpose_a()), ("a b'", plain.transpose_b())];
    let ladder = |(form, p): (&str, Matmul)| {
        let inputs = [uniform(&[batch, m, k]), uniform(&[batch, k, n]), uniform(&[n])];
        let what = format!("{form}, {batch} x [{m}, {k}] [{k}, {n}]");
        let flops = 2 * (batch * m * n * k) as u64;
        let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
        let ladder = Ladder::new("matmul", what, rungs, inputs, flops, move |rung, t| {
            Ok(vec![kernel::forward_rung(rung, &p, &t[0], &t[1], Some(&t[2]))?])
        });
        // The buffers hold the factors as they are stored.
        let a = if p.transpose_a == 1 { format!("t[0].view({batch}, {k}, {m}).mT") } else { "t[0]".into() };
        let b = if p.transpose_b == 1 { format!("t[1].view({batch}, {n}, {k}).mT") } else { "t[1]".into() };
        ladder.torch(match batch {
            1 => format!("torch.addmm(t[2], ({a})[0], ({b})[0])"),
            _ => format!("torch.baddbmm(t[2], {a}, {b})"),
        })
    };
    forms.into_iter().map(ladder).collect()
}
