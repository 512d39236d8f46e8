use super::*;
use crate::device::gpus;
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

/// One part and many, with and without weights: all that a GPU gives is near what f64 gives.
#[test]
fn a_gpu_computes_the_same_losses() {
    for gpu in gpus() {
        for n in [0, 1, 300, 20_000, 300_000] {
            let inputs = [0.3, 0.7, 0.9, 1.3].map(|step| wave(n, step));
            let exact = inputs
                .each_ref()
                .map(|x| storage(&x.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect::<Vec<_>>()));
            let there = inputs.each_ref().map(|x| x.to_device(&gpu).unwrap());
            for kind in [Kind::Mse, Kind::L1, Kind::Huber { delta: 0.2 }, Kind::Bce, Kind::BceWithLogits] {
                for reduction in [Reduction::None, Reduction::Sum, Reduction::Mean] {
                    for weighted in [false, true] {
                        let with = |[x, t, w, p]: &[Storage; 4], dloss: &dyn Fn(usize) -> Storage| {
                            let (weight, pos_weight) =
                                (weighted.then(|| w.copy().unwrap()), weighted.then_some(p));
                            let inputs = Inputs { x, t, weight: weight.as_ref(), pos_weight };
                            let loss = forward(kind, reduction, &inputs).unwrap();
                            let dloss = dloss(loss.len());
                            let back = |side| backward(kind, reduction, side, &inputs, &dloss).unwrap();
                            [back(Side::Input), back(Side::Target), loss]
                        };
                        let theirs = with(&exact, &|len| storage(&vec![1.5f64; len]));
                        let ours =
                            with(&there, &|len| Storage::from_slice(&gpu, &vec![1.5f32; len]).unwrap());
                        for (ours, theirs) in ours.iter().zip(&theirs) {
                            let (a, b) = (ours.to_vec::<f32>().unwrap(), theirs.to_vec::<f64>().unwrap());
                            assert_eq!(a.len(), b.len());
                            let largest = b.iter().fold(1e-9, |most: f64, x| most.max(x.abs()));
                            for (&a, &b) in a.iter().zip(&b) {
                                let near = (f64::from(a) - b).abs() <= 2e-6 * largest;
                                assert!(
                                    near || a.is_nan() && b.is_nan(),
                                    "{kind:?}, {reduction:?}, {n}: {a}, {b}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
