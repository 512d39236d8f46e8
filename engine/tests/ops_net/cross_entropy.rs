use voxgrad_engine::Tensor;
use voxgrad_engine::ops::{CrossEntropyOptions, Reduction};

use crate::*;

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

/// The definition, written down once more: scores `[outer, classes, inner]`.
fn reference(
    x: &[f64],
    [outer, classes, inner]: [usize; 3],
    labels: &[u32],
    options: &CrossEntropyOptions,
    scores_are_logits: bool,
) -> Vec<f64> {
    let weight = options.weight.as_ref().map_or(vec![1.0; classes], values);
    let (mut losses, mut total) = (Vec::new(), 0.0);
    for row in 0..outer * inner {
        let label = labels[row] as usize;
        if labels[row] == options.ignore_index.unwrap_or(-100) as u32 {
            losses.push(0.0);
            continue;
        }
        let scores = |c: usize| x[(row / inner * classes + c) * inner + row % inner];
        let log_sum = (0..classes).map(|c| scores(c).exp()).sum::<f64>().ln();
        let logp = |c: usize| if scores_are_logits { scores(c) - log_sum } else { scores(c) };
        let smooth: f64 = (0..classes).map(|c| weight[c] * logp(c)).sum();
        let e = options.label_smoothing;
        losses.push(-(1.0 - e) * weight[label] * logp(label) - e / classes as f64 * smooth);
        total += weight[label];
    }
    match options.reduction {
        Reduction::None => losses,
        Reduction::Sum => vec![losses.iter().sum()],
        Reduction::Mean => vec![losses.iter().sum::<f64>() / total],
    }
}

#[test]
fn every_combination_of_options_matches_the_definition() {
    // -100 as a u32 label.
    let ignored = -100i32 as u32;
    let mut combinations = 0;
    for (shape, sizes) in [(vec![6, 4], [6, 4, 1]), (vec![2, 4, 1, 3], [2, 4, 3]), (vec![4], [1, 4, 1])] {
        let x = Tensor::new(&numbers(sizes.iter().product(), 1), shape.clone(), &Device::cpu()).unwrap();
        let rows = sizes[0] * sizes[2];
        for (ignore_index, all_labels) in [
            (None, [1, 3, 0, ignored, 2, 1]),
            (Some(2), [0, 2, 1, 3, 2, 0]),
            (Some(-1), [1, u32::MAX, 2, 3, 2, 0]),
        ] {
            let label_shape = if shape.len() == 1 { vec![] } else { [&shape[..1], &shape[2..]].concat() };
            let target = Tensor::new(&all_labels[..rows], label_shape, &Device::cpu()).unwrap();
            for weight in [None, Some(tensor(&[0.5, 2.0, 0.0, 1.25], [4]))] {
                for (label_smoothing, reduction) in
                    [0.0, 0.1, 1.0].into_iter().flat_map(|e| REDUCTIONS.map(|reduction| (e, reduction)))
                {
                    let options = CrossEntropyOptions {
                        weight: weight.clone(),
                        ignore_index,
                        label_smoothing,
                        reduction,
                    };
                    let loss = x.cross_entropy(&target, &options).unwrap();
                    let wanted = reference(&values(&x), sizes, &all_labels, &options, true);
                    assert_close(&values(&loss), &wanted, 1e-12);
                    let shape = if reduction == Reduction::None { target.shape().clone() } else { [].into() };
                    assert_eq!(*loss.shape(), shape);
                    check_gradients([&x], |x| x[0].cross_entropy(&target, &options));
                    if label_smoothing == 0.0 {
                        let nll = |x: &Tensor| {
                            x.nll_loss(&target, options.weight.as_ref(), ignore_index, reduction)
                        };
                        let wanted = reference(&values(&x), sizes, &all_labels, &options, false);
                        assert_close(&values(&nll(&x).unwrap()), &wanted, 1e-12);
                        check_gradients([&x], |x| nll(&x[0]));
                    }
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, 162);
}

#[test]
fn nll_of_log_softmax_is_cross_entropy() {
    let (x, target) = (random([5, 7], 2), labels(&[0, 6, 3, 3, 1], [5]));
    let both = x.log_softmax(1).unwrap().nll_loss(&target, None, None, Reduction::Mean).unwrap();
    assert_close(&values(&both), &values(&x.cross_entropy(&target, &Default::default()).unwrap()), 1e-14);
}

#[test]
fn huge_logits_do_not_overflow() {
    let x = Tensor::new(&[1000.0f32, 0.0, -1000.0, 1000.0], [2, 2], &Device::cpu()).unwrap().requires_grad();
    let options = CrossEntropyOptions { reduction: Reduction::Sum, ..Default::default() };
    let loss = x.cross_entropy(&labels(&[1, 1], [2]), &options).unwrap();
    assert_eq!(loss.item().unwrap(), 1000.0);
    loss.backward().unwrap();
    assert_eq!(values(&x.grad().unwrap()), [1.0, -1.0, 0.0, 0.0]);
}

#[test]
fn the_mean_of_nothing_is_nan() {
    let x = random([2, 3], 3).requires_grad();
    let options = CrossEntropyOptions { ignore_index: Some(1), ..Default::default() };
    let loss = x.cross_entropy(&labels(&[1, 1], [2]), &options).unwrap();
    assert!(loss.item().unwrap().is_nan());
    let empty = random([0, 3], 3).requires_grad();
    let loss = empty.cross_entropy(&labels(&[], [0]), &options).unwrap();
    assert!(loss.item().unwrap().is_nan());
    loss.backward().unwrap();
    assert_eq!(empty.grad().unwrap().numel(), 0);
    let sum = CrossEntropyOptions { reduction: Reduction::Sum, ..options };
    assert_eq!(empty.cross_entropy(&labels(&[], [0]), &sum).unwrap().item().unwrap(), 0.0);
}

#[test]
fn misfits_are_named() {
    let x = random([2, 3], 4);
    let loss = |target: &Tensor, options: CrossEntropyOptions| x.cross_entropy(target, &options);
    let default = CrossEntropyOptions::default;
    assert_message(
        loss(&labels(&[0, 3], [2]), default()),
        "cross_entropy: label 3 in row 1 is not below the number of classes, 3",
    );
    assert_message(
        random([1, 3, 2, 2], 4).cross_entropy(&labels(&[0, 1, 7, 2], [1, 2, 2]), &default()),
        "cross_entropy: label 7 in row 0, position 2 is not below the number of classes, 3",
    );
    assert_message(
        loss(&labels(&[0, 1, 2], [3]), default()),
        "cross_entropy: expected scores [N, C, ...] and labels [N, ...], got [2, 3] and [3]",
    );
    assert_message(
        loss(&labels(&[0, 1], [2]), CrossEntropyOptions { weight: Some(random([2], 4)), ..default() }),
        "cross_entropy: weight [2] is not [3], one per class of [2, 3]",
    );
    assert_message(
        loss(&labels(&[0, 1], [2]), CrossEntropyOptions { ignore_index: Some(1 << 32), ..default() }),
        "cross_entropy: ignore_index 4294967296 is not a 32-bit label",
    );
    assert_message(
        x.nll_loss(&random([2], 4), None, None, Reduction::Sum),
        "nll_loss: expected u32 labels, got f64; convert it with `.to_dtype(..)`",
    );
}
