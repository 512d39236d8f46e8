use voxgrad_engine::{manual_seed, random};

use crate::*;

#[test]
fn the_gradient_passes_where_the_value_passed() {
    manual_seed(7);
    let x = tensor(&[1.0; 1000], [10, 100]).requires_grad();
    for y in [x.dropout(0.3).unwrap(), x.dropout_channels(0.3).unwrap()] {
        x.zero_grad();
        y.backward_with(&tensor(&[1.0; 1000], [10, 100])).unwrap();
        assert_eq!(values(&x.grad().unwrap()), values(&y));
        let dropped = values(&y).iter().filter(|y| **y == 0.0).count();
        assert!((250..350).contains(&dropped), "{dropped}");
    }
}

#[test]
fn seed_and_call_decide_the_mask() {
    let x = tensor(&[1.0; 64], [64]);
    let draw = || values(&x.dropout(0.5).unwrap());
    manual_seed(1);
    let (first, second) = (draw(), draw());
    assert_ne!(first, second);
    manual_seed(1);
    let state = random::rng_state();
    assert_eq!(draw(), first);
    assert_eq!(draw(), second);
    random::set_rng_state(state);
    assert_eq!(draw(), first);
    manual_seed(2);
    assert_ne!(draw(), first);
}

#[test]
fn whole_channels_stay_or_go() {
    let y = tensor(&[1.0; 1200], [5, 8, 2, 3, 5]).dropout_channels(0.5).unwrap();
    let kept: Vec<f64> = values(&y).chunks(30).map(|channel| channel.iter().sum::<f64>() / 60.0).collect();
    assert!(kept.iter().all(|kept| *kept == 0.0 || *kept == 1.0), "{kept:?}");
    assert!(kept.contains(&0.0) && kept.contains(&1.0));
}

#[test]
fn only_probabilities_and_channels_are_taken() {
    let x = tensor(&[1.0; 4], [4]);
    assert_message(x.dropout(1.01), "dropout: the probability is 1.01, must be in 0..=1");
    assert_message(x.dropout_channels(0.5), "dropout_channels: expected [N, C, ...], got [4]");
    assert_eq!(values(&x.dropout(1.0).unwrap()), [0.0; 4]);
    assert_eq!(random([0, 3, 2], 1).dropout_channels(0.5).unwrap().numel(), 0);
    assert_eq!(random([2, 3, 0], 1).dropout_channels(0.5).unwrap().numel(), 0);
}
