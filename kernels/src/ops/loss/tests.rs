use super::*;
use crate::split::same_bits_on_any_number_of_threads;

fn storage<T: crate::Element>(values: &[T]) -> Storage {
    Storage::from_slice(&Device::Cpu, values).unwrap()
}

fn wave(n: usize, step: f32) -> Storage {
    storage(&(0..n).map(|i| 0.5 + 0.49 * (i as f32 * step).sin()).collect::<Vec<_>>())
}

#[test]
fn threads_change_nothing() {
    let (x, t) = (wave(100_003, 0.3), wave(100_003, 0.7));
    let inputs = Inputs { x: &x, t: &t, weight: Some(&t), pos_weight: None };
    for kind in [Kind::Mse, Kind::L1, Kind::Huber { delta: 0.2 }, Kind::Bce, Kind::BceWithLogits] {
        same_bits_on_any_number_of_threads(|| {
            let loss = forward(kind, Reduction::Mean, &inputs).unwrap();
            let dx = backward(kind, Reduction::Mean, Side::Input, &inputs, &loss).unwrap();
            (loss.to_vec::<f32>().unwrap(), dx.to_vec::<f32>().unwrap())
        });
    }
}

#[test]
fn misfits_are_named() {
    let (x, t) = (wave(4, 0.3), wave(3, 0.7));
    let inputs = |t| Inputs { x: &x, t, weight: None, pos_weight: None };
    let message = |kind, t| forward(kind, Reduction::Sum, &inputs(t)).unwrap_err().to_string();
    assert_eq!(message(Kind::Mse, &t), "mse_loss: 4 and 3 elements");
    for delta in [0.0, -1.0, f64::NAN] {
        let expected = format!("huber_loss: delta is {delta}, must be above 0");
        assert_eq!(message(Kind::Huber { delta }, &x), expected);
    }
    let doubles = storage(&[1.0f64; 4]);
    assert!(message(Kind::L1, &doubles).starts_with("l1_loss: one tensor is f32, another f64"));
    let back = backward(Kind::Mse, Reduction::Mean, Side::Input, &inputs(&x), &x).unwrap_err();
    assert_eq!(back.to_string(), "mse_loss: 4 gradients for 1 losses");
}
