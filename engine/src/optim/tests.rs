use std::sync::Arc;

use voxgrad_kernels::Storage;

use super::*;
use crate::{DType, Device};

const GRADS: [f64; 6] = [0.5, -1.0, 0.25, 2.0, 0.0, -0.75];

fn parameter(value: f64) -> Tensor {
    Tensor::full(value, [1], DType::F64, &Device::cpu()).unwrap().requires_grad()
}

fn set_grad(p: &Tensor, grad: f64) {
    let grad = Storage::from_slice(&Device::cpu(), &[grad]).unwrap();
    p.node().unwrap().set_grad(Some(Arc::new(grad)));
}

/// The parameter after each of the steps along `GRADS`, starting from 1.
fn path(make: impl FnOnce(Vec<Tensor>) -> Result<Box<dyn Optimizer>>) -> Vec<f64> {
    let p = parameter(1.0);
    let mut optimizer = make(vec![p.clone()]).unwrap();
    let step = |g| {
        set_grad(&p, g);
        optimizer.step().unwrap();
        p.item().unwrap()
    };
    GRADS.map(step).to_vec()
}

fn boxed<O: Optimizer + 'static>(optimizer: Result<O>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(optimizer?))
}

/// The path of a textbook's rule `(t, w, g, memory) -> w`.
fn textbook(rule: impl Fn(i32, f64, f64, &mut [f64; 3]) -> f64) -> Vec<f64> {
    let (mut w, mut memory) = (1.0, [0.0; 3]);
    let step = |(i, g)| {
        w = rule(i as i32 + 1, w, g, &mut memory);
        w
    };
    GRADS.into_iter().enumerate().map(step).collect()
}

#[track_caller]
fn assert_close(got: Vec<f64>, wanted: Vec<f64>) {
    assert!(got.windows(2).any(|w| w[0] != w[1]), "nothing moved: {got:?}");
    for (a, b) in got.iter().zip(&wanted) {
        assert!((a - b).abs() < 1e-12, "{got:?} is not {wanted:?}");
    }
}

#[test]
fn sgd_is_its_formula() {
    assert_close(path(|p| boxed(SGD::new(p, 0.1))), textbook(|_, w, g, _| w - 0.1 * g));
    assert_close(
        path(|p| boxed(SGD::new(p, 0.1)?.momentum(0.9)?.dampening(0.3)?.weight_decay(0.2))),
        textbook(|t, w, g, [b, ..]| {
            let g = g + 0.2 * w;
            *b = if t == 1 { g } else { 0.9 * *b + 0.7 * g };
            w - 0.1 * *b
        }),
    );
    assert_close(
        path(|p| boxed(SGD::new(p, 0.1)?.momentum(0.9)?.nesterov(true))),
        textbook(|t, w, g, [b, ..]| {
            *b = if t == 1 { g } else { 0.9 * *b + g };
            w - 0.1 * (g + 0.9 * *b)
        }),
    );
}

#[test]
fn adam_is_its_formula() {
    let adam = |decay: f64, decoupled: bool, amsgrad: bool| {
        textbook(move |t, w, g, [m, v, largest]| {
            let g = if decoupled { g } else { g + decay * w };
            let w = if decoupled { w - 0.1 * decay * w } else { w };
            *m = 0.4 * *m + 0.6 * g;
            *v = 0.7 * *v + 0.3 * g * g;
            *largest = if amsgrad { largest.max(*v) } else { *v };
            let (m, v) = (*m / (1.0 - 0.4f64.powi(t)), *largest / (1.0 - 0.7f64.powi(t)));
            w - 0.1 * m / (v.sqrt() + 1e-3)
        })
    };
    let settings = |p| Adam::new(p, 0.1)?.betas(0.4, 0.7)?.eps(1e-3);
    assert_close(path(|p| boxed(settings(p))), adam(0.0, false, false));
    assert_close(path(|p| boxed(settings(p)?.weight_decay(0.5))), adam(0.5, false, false));
    assert_close(path(|p| boxed(Ok(settings(p)?.amsgrad(true)))), adam(0.0, false, true));
    let settings = |p| AdamW::new(p, 0.1)?.betas(0.4, 0.7)?.eps(1e-3);
    assert_close(path(|p| boxed(settings(p))), adam(0.01, true, false));
    assert_close(path(|p| boxed(settings(p)?.weight_decay(0.5))), adam(0.5, true, false));
}

#[test]
fn rmsprop_is_its_formula() {
    for (momentum, centered) in [(0.0, false), (0.0, true), (0.5, false), (0.5, true)] {
        let settings = |p| RMSprop::new(p, 0.1)?.alpha(0.6)?.eps(0.1)?.weight_decay(0.2);
        assert_close(
            path(|p| boxed(settings(p)?.centered(centered).momentum(momentum))),
            textbook(|_, w, g, [v, m, b]| {
                let g = g + 0.2 * w;
                *v = 0.6 * *v + 0.4 * g * g;
                *m = 0.6 * *m + 0.4 * g;
                let spread = if centered { *v - *m * *m } else { *v };
                *b = momentum * *b + g / (spread.sqrt() + 0.1);
                w - 0.1 * *b
            }),
        );
    }
}

#[test]
fn adagrad_is_its_formula() {
    assert_close(
        path(|p| {
            let settings = Adagrad::new(p, 0.1)?.lr_decay(0.5)?.weight_decay(0.2)?.eps(0.1)?;
            boxed(settings.initial_accumulator_value(0.3))
        }),
        textbook(|t, w, g, [s, ..]| {
            let g = g + 0.2 * w;
            *s += g * g;
            w - 0.1 / (1.0 + f64::from(t - 1) * 0.5) * g / ((0.3 + *s).sqrt() + 0.1)
        }),
    );
}

type Make = fn(Vec<Tensor>) -> Result<Box<dyn Optimizer>>;
const ALL: [Make; 6] = [
    |p| boxed(SGD::new(p, 0.1)),
    |p| boxed(SGD::new(p, 0.1)?.momentum(0.9)),
    |p| boxed(Ok(Adam::new(p, 0.1)?.amsgrad(true))),
    |p| boxed(AdamW::new(p, 0.1)),
    |p| boxed(RMSprop::new(p, 0.1)?.centered(true).momentum(0.9)),
    |p| boxed(Adagrad::new(p, 0.1)?.lr_decay(0.1)?.initial_accumulator_value(0.1)),
];

#[test]
fn a_resumed_optimizer_takes_the_same_steps() {
    for make in ALL {
        let whole = path(make);
        let (first, second) = (parameter(1.0), parameter(0.0));
        let mut optimizer = make(vec![first.clone()]).unwrap();
        for g in &GRADS[..3] {
            set_grad(&first, *g);
            optimizer.step().unwrap();
        }
        second.set(&first).unwrap();
        let state = optimizer.state().unwrap();
        set_grad(&first, 100.0);
        optimizer.step().unwrap();
        let mut resumed = make(vec![second.clone()]).unwrap();
        resumed.load_state(&state).unwrap();
        for (g, wanted) in GRADS.iter().zip(&whole).skip(3) {
            set_grad(&second, *g);
            resumed.step().unwrap();
            assert_eq!(second.item().unwrap(), *wanted);
        }
    }
}

#[test]
fn parameters_without_a_gradient_stay() {
    for make in ALL {
        let (still, moving) = (parameter(3.0), parameter(3.0));
        let mut optimizer = make(vec![still.clone(), moving.clone()]).unwrap();
        set_grad(&moving, 1.0);
        optimizer.step().unwrap();
        assert_eq!(still.item().unwrap(), 3.0);
        assert!(moving.item().unwrap() < 3.0);
        let state = optimizer.state().unwrap();
        assert!(state.iter().all(|(name, _)| name.ends_with(".1")), "{state:?}");
        optimizer.zero_grad();
        let before = moving.item().unwrap();
        optimizer.step().unwrap();
        assert_eq!(moving.item().unwrap(), before);
    }
}

#[test]
fn a_snapshot_of_the_weights_does_not_move_with_them() {
    let p = parameter(1.0);
    let snapshot = p.detach();
    set_grad(&p, 1.0);
    SGD::new(vec![p.clone()], 0.5).unwrap().step().unwrap();
    assert_eq!((p.item().unwrap(), snapshot.item().unwrap()), (0.5, 1.0));
}

#[test]
fn a_state_that_does_not_fit_names_everything_and_changes_nothing() {
    let p = parameter(1.0);
    let make = || SGD::new(vec![p.clone(), parameter(2.0)], 0.1).unwrap().momentum(0.9).unwrap();
    let mut optimizer = make();
    set_grad(&p, 1.0);
    optimizer.step().unwrap();
    let state = optimizer.state().unwrap();
    let scalar = |x: f64| Tensor::full(x, [], DType::F64, &Device::cpu()).unwrap();
    let broken = [
        ("step.0".to_string(), scalar(0.5)),
        ("momentum_buffer.0".to_string(), scalar(1.0)),
        ("step.1".to_string(), scalar(2.0)),
        ("exp_avg.1".to_string(), scalar(1.0)),
        ("step.1".to_string(), scalar(3.0)),
    ];
    let message = optimizer.load_state(&broken).unwrap_err().to_string();
    for part in [
        "does not fit this SGD",
        "step.0 is 0.5, not a count",
        "momentum_buffer.0 is [], its parameter [1]",
        "momentum_buffer.1 [1] is missing",
        "exp_avg.1 [] is unexpected",
        "step.1 is given twice",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    for ((name, now), (wanted_name, wanted)) in optimizer.state().unwrap().iter().zip(&state) {
        assert_eq!((name, now.item().unwrap()), (wanted_name, wanted.item().unwrap()));
    }
}

#[test]
fn settings_out_of_range_are_errors() {
    let p = || vec![parameter(1.0)];
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        let message = SGD::new(p(), bad).unwrap_err().to_string();
        assert!(message.contains("SGD: lr is"), "{message}");
        SGD::new(p(), 0.1).unwrap().set_lr(bad).unwrap_err();
        SGD::new(p(), 0.1).unwrap().momentum(bad).unwrap_err();
        Adam::new(p(), 0.1).unwrap().betas(0.9, bad).unwrap_err();
        AdamW::new(p(), 0.1).unwrap().weight_decay(bad).unwrap_err();
        RMSprop::new(p(), 0.1).unwrap().alpha(bad).unwrap_err();
        Adagrad::new(p(), 0.1).unwrap().eps(bad).unwrap_err();
        OneCycleLR::new(bad, 10).unwrap_err();
    }
    Adam::new(p(), 0.1).unwrap().betas(1.0, 0.9).unwrap_err();
    let nesterov = SGD::new(p(), 0.1).unwrap().nesterov(true).unwrap_err().to_string();
    assert!(nesterov.contains("momentum"), "{nesterov}");
    let dampened = SGD::new(p(), 0.1).unwrap().momentum(0.9).unwrap().nesterov(true).unwrap();
    dampened.dampening(0.1).unwrap_err();
    SGD::new(vec![], 0.1).unwrap_err();
    let twice = parameter(1.0);
    SGD::new(vec![twice.clone(), twice.clone()], 0.1).unwrap_err();
    SGD::new(vec![twice.softmax(0).unwrap()], 0.1).unwrap_err();
    StepLR::new(0.1, 0, 0.5).unwrap_err();
    CosineAnnealingLR::new(0.1, 0).unwrap_err();
    OneCycleLR::new(0.1, 0).unwrap_err();
    OneCycleLR::new(0.1, 5).unwrap().pct_start(1.5).unwrap_err();
    OneCycleLR::new(0.1, 5).unwrap().div_factor(0.0).unwrap_err();
}

#[test]
fn schedules_pass_their_known_points() {
    #[track_caller]
    fn check(schedule: &dyn Schedule, points: &[(usize, f64)]) {
        for &(step, lr) in points {
            assert!((schedule.lr(step) - lr).abs() < 1e-12, "step {step}: {} is not {lr}", schedule.lr(step));
        }
    }
    check(&StepLR::new(1.0, 10, 0.5).unwrap(), &[(0, 1.0), (9, 1.0), (10, 0.5), (25, 0.25)]);
    let milestones = MultiStepLR::new(1.0, &[30, 5, 5], 0.1).unwrap();
    check(&milestones, &[(4, 1.0), (5, 0.01), (29, 0.01), (30, 0.001)]);
    check(&ExponentialLR::new(2.0, 0.5).unwrap(), &[(0, 2.0), (3, 0.25)]);
    let cosine = CosineAnnealingLR::new(1.0, 10).unwrap().eta_min(0.2).unwrap();
    check(&cosine, &[(0, 1.0), (5, 0.6), (10, 0.2), (20, 1.0)]);
    // 0.3 * 50 steps rise: the peak is step 14; the last one is 49.
    let cycle = OneCycleLR::new(1.0, 50).unwrap();
    check(&cycle, &[(0, 0.04), (7, 0.52), (14, 1.0), (49, 4e-6), (1000, 4e-6)]);
    let cycle = cycle.linear().three_phase(true).pct_start(0.4).unwrap();
    check(&cycle, &[(0, 0.04), (19, 1.0), (38, 0.04), (49, 4e-6)]);
    check(&OneCycleLR::new(1.0, 1).unwrap(), &[(0, 4e-6)]);
}
