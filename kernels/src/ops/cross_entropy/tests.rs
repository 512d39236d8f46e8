use super::*;
use crate::split::same_bits_on_any_number_of_threads;

fn storage(values: &[f32]) -> Storage {
    Storage::from_slice(&Device::Cpu, values).unwrap()
}

#[test]
fn threads_change_nothing() {
    let (outer, classes, inner) = (300, 10, 7);
    let p = CrossEntropy { outer, classes, inner, ignore_index: 3, log_probabilities: 0 };
    let x: Vec<f32> = (0..outer * classes * inner).map(|i| (i as f32 * 0.7).sin() * 5.0).collect();
    let weight: Vec<f32> = (0..classes).map(|c| 0.5 + c as f32).collect();
    let labels: Vec<u32> = (0..outer * inner).map(|i| i * 31 % classes).collect();
    let (x, weight) = (storage(&x), storage(&weight));
    let labels = Storage::from_slice(&Device::Cpu, &labels).unwrap();
    same_bits_on_any_number_of_threads(|| {
        let target = Target { labels: &labels, weight: Some(&weight), label_smoothing: 0.1 };
        let Forward { loss, total_weight } = forward(&p, Reduction::Mean, &x, &target).unwrap();
        let dx = backward(&p, &x, &target, total_weight.as_ref(), &storage(&[1.5])).unwrap();
        (loss.to_vec::<f32>().unwrap(), dx.to_vec::<f32>().unwrap())
    });
}

#[test]
fn misfits_are_named() {
    let p = CrossEntropy { outer: 2, classes: 2, inner: 1, ignore_index: 9, log_probabilities: 0 };
    let x = storage(&[1.0, 2.0, 3.0, 4.0]);
    let labels = Storage::from_slice(&Device::Cpu, &[0u32, 1]).unwrap();
    let message = |labels: &Storage, weight: Option<&Storage>, label_smoothing: f64| {
        let target = Target { labels, weight, label_smoothing };
        forward(&p, Reduction::Mean, &x, &target).err().unwrap().to_string()
    };
    let floats = storage(&[0.0, 1.0]);
    assert!(message(&floats, None, 0.0).starts_with("cross_entropy: expected u32 labels, got f32"));
    assert_eq!(message(&labels, Some(&x), 0.0), "cross_entropy: 4 weights for 2 classes");
    assert_eq!(message(&labels, None, 1.5), "cross_entropy: label_smoothing is 1.5, must be in 0..=1");
    assert_eq!(message(&labels, None, f64::NAN), "cross_entropy: label_smoothing is NaN, must be in 0..=1");
    assert_eq!(message(&x, None, 0.0), "cross_entropy: 4 scores and 4 labels are not [2, 2, 1] and [2, 1]");
    let (p, x) = (CrossEntropy { classes: 0, ..p }, storage(&[]));
    let target = Target { labels: &labels, weight: None, label_smoothing: 0.0 };
    let error = forward(&p, Reduction::Sum, &x, &target).err().unwrap().to_string();
    assert_eq!(error, "cross_entropy: [2, 0, 1] has no classes to choose from");
}
