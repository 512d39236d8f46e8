//! Softmax and its logarithm.

use super::{Case, case};
use crate::common::input::between;

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
