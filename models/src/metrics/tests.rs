use voxgrad_engine::Device;

use super::*;

#[test]
fn accuracy_counts_rows() {
    let cpu = Device::cpu();
    let logits = Tensor::new(&[0.1f32, 0.9, 3.0, -1.0, 0.0, 0.5], [3, 2], &cpu).unwrap();
    let targets = Tensor::new(&[1u32, 0, 0], [3], &cpu).unwrap();
    assert_eq!(accuracy(&logits, &targets).unwrap(), 2.0 / 3.0);
    let short = Tensor::new(&[1u32], [1], &cpu).unwrap();
    assert_eq!(
        accuracy(&logits, &short).unwrap_err().to_string(),
        "accuracy: 3 rows of logits for 1 targets"
    );
}

#[test]
fn everything_negative_is_accurate_and_useless() {
    let mut seen = ConfusionMatrix::new(2);
    for i in 0..1000 {
        seen.add(u32::from(i < 3), 0).unwrap();
    }
    assert_eq!(seen.accuracy(), 0.997);
    assert_eq!((seen.precision(1), seen.recall(1), seen.f1(1)), (0.0, 0.0, 0.0));
    assert_eq!((seen.precision(0), seen.recall(0)), (0.997, 1.0));
}

#[test]
fn f1_is_the_harmonic_mean() {
    let mut seen = ConfusionMatrix::new(3);
    seen.add_all(&[0, 0, 1, 1, 1, 2], &[0, 1, 1, 1, 2, 2]).unwrap();
    // class 1: called three times, right twice; there are three, two were found
    assert_eq!((seen.precision(1), seen.recall(1)), (2.0 / 3.0, 2.0 / 3.0));
    assert!((seen.f1(0) - 2.0 / 3.0).abs() < 1e-12, "2 * 1 * 0.5 / 1.5");
    assert_eq!(seen.total(), 6);
    assert_eq!(seen.most_confused(), Some((0, 1, 1)), "the first of two");
    assert_eq!(ConfusionMatrix::new(3).most_confused(), None);
    assert_eq!(
        seen.to_string().lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["1", "0", "2", "1"]
    );
}

#[test]
fn a_class_that_does_not_exist_is_an_error() {
    let mut seen = ConfusionMatrix::new(2);
    assert_eq!(seen.add(0, 2).unwrap_err().to_string(), "confusion matrix: class 2 is not below 2");
    assert!(seen.add_all(&[0], &[]).is_err());
    assert!(seen.accuracy().is_nan());
}

fn f32s(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::new(values, shape.to_vec(), &Device::cpu()).unwrap()
}

#[test]
fn outputs_of_every_form_become_classes() {
    let labels = Tensor::new(&[1u32, 0, 1], [3], &Device::cpu()).unwrap();
    // Three classes, the targets one-hot.
    let outputs = f32s(&[0.1, 0.7, 0.2, 0.5, 0.3, 0.2, 0.1, 0.1, 0.8], &[3, 3]);
    let one_hot = f32s(&[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[3, 3]);
    for targets in [&labels, &one_hot] {
        let seen = Predictions::of(&outputs, targets, 0.5).unwrap();
        assert_eq!((&seen.said[..], &seen.truth[..]), (&[1, 0, 2][..], &[1, 0, 1][..]));
        assert_eq!((seen.correct(), seen.len(), seen.scores.len()), (2, 3, 0));
    }
    // One probability per sample, and the same as logits; a half is not above a half.
    let (probabilities, logits) = (f32s(&[0.9, 0.5, 0.3], &[3, 1]), f32s(&[2.0, 0.0, -1.0], &[3]));
    for (outputs, threshold) in [(&probabilities, 0.5), (&logits, 0.0)] {
        for targets in [&labels, &f32s(&[1.0, 0.0, 1.0], &[3, 1])] {
            let seen = Predictions::of(outputs, targets, threshold).unwrap();
            assert_eq!((&seen.said[..], &seen.truth[..]), (&[1, 0, 0][..], &[1, 0, 1][..]));
            assert_eq!(seen.scores.len(), 3);
        }
    }
    let message = Predictions::of(&logits, &f32s(&[1.0], &[1]), 0.0).unwrap_err().to_string();
    assert_eq!(message, "accuracy: 3 outputs for 1 targets");
}

#[test]
fn batches_are_read_as_one() {
    let mut gathered = Gathered::with_scores();
    for (outputs, label) in [([0.25, 1.0], 1u32), ([2.0, -1.0], 1)] {
        let label = Tensor::new(&[label], [1], &Device::cpu()).unwrap();
        gathered.push(&f32s(&outputs, &[1, 2]), &label).unwrap();
    }
    let seen = gathered.read(0.5).unwrap();
    let wanted = Predictions { said: vec![1, 0], truth: vec![1, 1], scores: vec![0.75, -3.0] };
    assert_eq!((seen, gathered.batches()), (wanted, 2));
}

#[test]
fn metrics_are_the_numbers_of_their_formulas() {
    let of = |metric: &str, said: &[u32], truth: &[u32], scores: &[f64]| {
        let (said, truth, scores) = (said.to_vec(), truth.to_vec(), scores.to_vec());
        metric.parse::<Metric>().unwrap().of(&Predictions { said, truth, scores }).unwrap()
    };
    let (said, truth) = ([1, 1, 0, 0, 1], [1, 0, 0, 1, 1]);
    let two = |metric| of(metric, &said, &truth, &[]);
    assert_eq!((two("accuracy"), two("precision"), two("Recall")), (0.6, 2.0 / 3.0, 2.0 / 3.0));
    assert_eq!(two("f1_score"), 2.0 / 3.0);
    // Of three classes: precision 1/2, 1 and 1/2, recall 1, 1/3 and 1.
    let three = |metric| of(metric, &[0, 0, 1, 2, 2], &[0, 1, 1, 2, 1], &[]);
    assert!((three("precision") - (0.5 + 1.0 + 0.5) / 3.0).abs() < 1e-12);
    assert!((three("recall") - (1.0 + 1.0 / 3.0 + 1.0) / 3.0).abs() < 1e-12);
    // Pairs: 0.9 beats all three, 0.4 beats one and ties with one: (3 + 1.5) / 6.
    let auc = |truth: &[u32]| of("auc", &[0; 5], truth, &[0.1, 0.4, 0.9, 0.4, 0.6]);
    assert_eq!(auc(&[0, 1, 1, 0, 0]), 4.5 / 6.0);
    assert!(auc(&[1; 5]).is_nan() && of("accuracy", &[], &[], &[]).is_nan());
    let message = "kappa".parse::<Metric>().unwrap_err().to_string();
    assert_eq!(message, "there is no metric \"kappa\"; there are accuracy, precision, recall, f1, auc");
}
