use voxgrad_engine::Tensor;
use voxgrad_engine::ops::Reduction;

use crate::*;

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

/// Compares an op with the definition of one element, at every reduction, and its gradients with
/// finite differences.
fn check(
    [x, t]: [&Tensor; 2],
    element: impl Fn(usize, f64, f64) -> f64,
    op: impl Fn(&Tensor, &Tensor, Reduction) -> Result<Tensor>,
) {
    let pairs = values(x).into_iter().zip(values(t)).enumerate();
    let losses: Vec<f64> = pairs.map(|(i, (x, t))| element(i, x, t)).collect();
    let sum: f64 = losses.iter().sum();
    for reduction in REDUCTIONS {
        let y = op(x, t, reduction).unwrap();
        let wanted = match reduction {
            Reduction::None => losses.clone(),
            Reduction::Mean => vec![sum / losses.len() as f64],
            Reduction::Sum => vec![sum],
        };
        assert_eq!(y.shape().len(), if reduction == Reduction::None { x.ndim() } else { 0 });
        assert_close(&values(&y), &wanted, 1e-12);
        check_gradients([x, t], |both| op(&both[0], &both[1], reduction));
    }
}

fn probabilities<const N: usize>(shape: [usize; N], seed: u64) -> Tensor {
    let values: Vec<f64> =
        numbers(shape.iter().product(), seed).iter().map(|x| 1.0 / (1.0 + x.exp())).collect();
    tensor(&values, shape)
}

#[test]
fn distances_match_their_definitions() {
    let (x, t) = (random([3, 4], 1), random([3, 4], 2));
    check([&x, &t], |_, x, t| (x - t).powi(2), |x, t, r| x.mse_loss(t, r));
    check([&x, &t], |_, x, t| (x - t).abs(), |x, t, r| x.l1_loss(t, r));
    for delta in [0.3, 1.0] {
        let huber = |_, x: f64, t: f64| match (x - t).abs() {
            d if d <= delta => d * d / 2.0,
            d => delta * (d - delta / 2.0),
        };
        check([&x, &t], huber, |x, t, r| x.huber_loss(t, delta, r));
    }
}

#[test]
fn binary_cross_entropies_match_their_definitions() {
    let (logits, p, t) = (random([2, 3, 2], 3), probabilities([2, 3, 2], 4), probabilities([2, 3, 2], 5));
    let bce = |x: f64, t: f64| -t * x.ln() - (1.0 - t) * (1.0 - x).ln();
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    check([&p, &t], |_, x, t| bce(x, t), |x, t, r| x.binary_cross_entropy(t, None, r));
    check(
        [&logits, &t],
        |_, x, t| bce(logistic(x), t),
        |x, t, r| x.binary_cross_entropy_with_logits(t, None, None, r),
    );
    // Weights of the middle and of the last dimension.
    let (weight, pos_weight) = (tensor(&[0.5, 2.0, 3.0], [3, 1]), tensor(&[4.0, 0.25], [2]));
    let of = |weight: &Tensor, i: usize| values(weight)[i];
    check(
        [&p, &t],
        |i, x, t| of(&weight, i / 2 % 3) * bce(x, t),
        |x, t, r| x.binary_cross_entropy(t, Some(&weight), r),
    );
    check(
        [&logits, &t],
        |i, x, t| {
            let p = of(&pos_weight, i % 2);
            let x = logistic(x);
            of(&weight, i / 2 % 3) * (-p * t * x.ln() - (1.0 - t) * (1.0 - x).ln())
        },
        |x, t, r| x.binary_cross_entropy_with_logits(t, Some(&weight), Some(&pos_weight), r),
    );
}

#[test]
fn certainty_costs_a_hundred_at_most() {
    let x = tensor(&[0.0, 1.0, 0.0, 1.0], [4]).requires_grad();
    let t = tensor(&[1.0, 0.0, 0.0, 1.0], [4]);
    let loss = x.binary_cross_entropy(&t, None, Reduction::None).unwrap();
    assert_eq!(values(&loss), [100.0, 100.0, 0.0, 0.0]);
    loss.backward_with(&tensor(&[1.0; 4], [4])).unwrap();
    assert_eq!(values(&x.grad().unwrap()), [-1e12, 1e12, 0.0, 0.0]);
}

#[test]
fn huge_logits_do_not_overflow() {
    let x = Tensor::new(&[500.0f32, -500.0, 500.0, -500.0], [4], &Device::cpu()).unwrap().requires_grad();
    let t = Tensor::new(&[1.0f32, 0.0, 0.0, 1.0], [4], &Device::cpu()).unwrap();
    let loss = x.binary_cross_entropy_with_logits(&t, None, None, Reduction::None).unwrap();
    assert_eq!(values(&loss), [0.0, 0.0, 500.0, 500.0]);
    loss.backward_with(&Tensor::new(&[1.0f32; 4], [4], &Device::cpu()).unwrap()).unwrap();
    assert_eq!(values(&x.grad().unwrap()), [0.0, 0.0, 1.0, -1.0]);
}

#[test]
fn nan_stays_nan_and_the_mean_of_nothing_is_nan() {
    let (x, t) = (tensor(&[f64::NAN], [1]), tensor(&[0.5], [1]));
    for loss in [
        x.mse_loss(&t, Reduction::Mean),
        x.l1_loss(&t, Reduction::Mean),
        x.huber_loss(&t, 1.0, Reduction::Mean),
        x.binary_cross_entropy_with_logits(&t, None, None, Reduction::Mean),
        t.binary_cross_entropy(&x, None, Reduction::Mean),
    ] {
        assert!(loss.unwrap().item().unwrap().is_nan());
    }
    let empty = random([0, 2], 1).requires_grad();
    let loss = empty.mse_loss(&empty, Reduction::Mean).unwrap();
    assert!(loss.item().unwrap().is_nan());
    loss.backward().unwrap();
    assert_eq!(empty.grad().unwrap().numel(), 0);
    assert_eq!(empty.l1_loss(&empty, Reduction::Sum).unwrap().item().unwrap(), 0.0);
}

#[test]
fn misfits_are_named() {
    let (x, t) = (random([2, 3], 1), random([3, 2], 1));
    assert_message(
        x.mse_loss(&t, Reduction::Mean),
        "mse_loss: the input is [2, 3], the target [3, 2]; they must be alike",
    );
    let p = tensor(&[0.5, 1.5], [2]);
    assert_message(
        p.binary_cross_entropy(&p, None, Reduction::Mean),
        "binary_cross_entropy: element 1 of the input is 1.5, must be in 0..=1",
    );
    assert_message(x.huber_loss(&x, 0.0, Reduction::Mean), "huber_loss: delta is 0, must be above 0");
    assert_message(
        x.binary_cross_entropy_with_logits(&x, Some(&t), None, Reduction::Mean),
        "binary_cross_entropy_with_logits: [3, 2] and [2, 3] do not broadcast",
    );
    assert_message(
        x.binary_cross_entropy_with_logits(&x, None, Some(&random([4, 2, 3], 1)), Reduction::Mean),
        "binary_cross_entropy_with_logits: the weight [4, 2, 3] has more elements than the input [2, 3]",
    );
}
