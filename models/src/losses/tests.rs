use voxgrad_engine::gradcheck::gradcheck;

use super::*;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::new(values, shape.to_vec(), &Device::cpu()).unwrap()
}

fn classes(values: &[u32]) -> Tensor {
    Tensor::new(values, [values.len()], &Device::cpu()).unwrap()
}

fn of(loss: Loss, outputs: &Tensor, targets: &Tensor) -> f64 {
    loss.of(outputs, targets).unwrap().item().unwrap()
}

fn assert_close(is: f64, wanted: f64) {
    assert!((is - wanted).abs() < 1e-12, "{is}, not {wanted}");
}

#[test]
fn losses_are_the_numbers_of_their_formulas() {
    let (o, t) = (tensor(&[1.0, 3.0, 0.5], &[3]), tensor(&[2.0, 1.0, -0.5], &[3]));
    assert_close(of(Loss::MeanSquared, &o, &t), (1.0 + 4.0 + 1.0) / 3.0);
    assert_close(of(Loss::MeanAbsolute, &o, &t), (1.0 + 2.0 + 1.0) / 3.0);
    assert_close(of(Loss::MeanAbsolutePercentage, &o, &t), (0.5 + 2.0 + 2.0) / 3.0);
    // log(2/3), log(4/2), log(1.5/0.5)
    let squares = [2.0f64 / 3.0, 2.0, 3.0].map(|ratio| ratio.ln().powi(2));
    assert_close(of(Loss::MeanSquaredLogarithmic, &o, &t), squares.iter().sum::<f64>() / 3.0);

    let o = tensor(&[0.9, 0.2], &[2, 1]);
    let by_hand = -(0.9f64.ln() + 0.8f64.ln()) / 2.0;
    assert_close(of(Loss::BinaryCrossEntropy, &o, &tensor(&[1.0, 0.0], &[2, 1])), by_hand);
    assert_close(of(Loss::BinaryCrossEntropy, &o, &classes(&[1, 0])), by_hand);
    // sigmoid(log 9) = 0.9, sigmoid(log 1/4) = 0.2
    let logits = tensor(&[9f64.ln(), 0.25f64.ln()], &[2, 1]);
    assert_close(of(Loss::BinaryCrossEntropyWithLogits, &logits, &classes(&[1, 0])), by_hand);

    let o = tensor(&[0.7, 0.2, 0.1, 0.25, 0.5, 0.25], &[2, 3]);
    let by_hand = -(0.7f64.ln() + 0.25f64.ln()) / 2.0;
    let one_hot = tensor(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0], &[2, 3]);
    assert_close(of(Loss::CategoricalCrossEntropy, &o, &one_hot), by_hand);
    assert_close(of(Loss::CategoricalCrossEntropy, &o, &classes(&[0, 2])), by_hand);
    // softmax(log p) = p
    assert_close(of(Loss::CrossEntropy, &o.log().unwrap(), &classes(&[0, 2])), by_hand);
}

#[test]
fn gradients_agree_with_finite_differences() {
    let o = tensor(&[0.3, 0.8, 0.45, 0.6, 0.15, 0.9], &[3, 2]);
    let t = tensor(&[0.9, 0.1, 0.7, 0.2, 0.35, 0.6], &[3, 2]);
    for (loss, _) in NAMES {
        let compared = match loss {
            Loss::CrossEntropy => {
                let o = std::slice::from_ref(&o);
                gradcheck(&loss.to_string(), o, |x| engine(loss.of(&x[0], &classes(&[0, 1, 1]))))
            }
            _ => gradcheck(&loss.to_string(), &[o.clone(), t.clone()], |x| engine(loss.of(&x[0], &x[1]))),
        };
        assert!(compared.unwrap() >= 6, "{loss}");
    }
}

/// The error as the engine's own.
fn engine(result: Result<Tensor>) -> voxgrad_engine::Result<Tensor> {
    result.map_err(|e| voxgrad_engine::Error::Data(e.to_string()))
}

#[test]
fn what_a_loss_is_not_defined_for_is_refused() {
    let refused = |loss: Loss, o: &[f64], t: &[f64]| {
        loss.of(&tensor(o, &[o.len()]), &tensor(t, &[t.len()])).unwrap_err().to_string()
    };
    assert_eq!(
        refused(Loss::MeanAbsolutePercentage, &[1.0, 2.0], &[1.0, 0.0]),
        "mean_absolute_percentage_error: target 1 is 0; dividing by it has no meaning"
    );
    let message = "mean_squared_logarithmic_error: target 0 is -2; it must be above -1";
    assert_eq!(refused(Loss::MeanSquaredLogarithmic, &[1.0], &[-2.0]), message);
    let message = "mean_squared_logarithmic_error: output 1 is -1; it must be above -1";
    assert_eq!(refused(Loss::MeanSquaredLogarithmic, &[0.0, -1.0], &[1.0, 1.0]), message);
    assert!(refused(Loss::BinaryCrossEntropy, &[1.5], &[1.0]).contains("1.5"));
    let message = "mean_squared_error: the outputs are [2], the targets [3]; they must be alike";
    assert_eq!(refused(Loss::MeanSquared, &[1.0, 2.0], &[1.0, 2.0, 3.0]), message);
    let two_by_three = tensor(&[0.0; 6], &[2, 3]);
    assert!(Loss::MeanSquared.of(&two_by_three, &tensor(&[0.0; 6], &[3, 2])).is_err());
    assert!(Loss::MeanSquared.of(&two_by_three, &classes(&[0, 1])).is_err());
    // A probability of 0 for what is true is bad, but finite.
    let sure = of(Loss::CategoricalCrossEntropy, &tensor(&[0.0, 1.0], &[1, 2]), &classes(&[0]));
    assert_close(sure, -SMALLEST.ln());
}

#[test]
fn every_loss_has_its_names() {
    for (loss, names) in NAMES {
        assert_eq!(loss.to_string(), names[0]);
        for name in names {
            assert_eq!(name.parse::<Loss>().unwrap(), loss);
            assert_eq!(name.to_uppercase().parse::<Loss>().unwrap(), loss);
        }
    }
    let message = "focal".parse::<Loss>().unwrap_err().to_string();
    assert!(
        message.starts_with("there is no loss \"focal\"; there are cross_entropy, categorical_"),
        "{message}"
    );
}
