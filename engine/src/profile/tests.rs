use std::time::Duration;

use super::{Kind, Profile, Profiler, span};
use crate::nn::{Linear, Module};
use crate::optim::SGD;
use crate::{DType, Device, Tensor, TrainStep, manual_seed};

/// Three steps of a small network.
fn profiled() -> Profile {
    manual_seed(1);
    let model = Linear::new(8, 4).unwrap();
    let mut optimizer = SGD::new(model.parameters(), 0.1).unwrap();
    let profiler = Profiler::start().unwrap();
    assert!(Profiler::start().is_none());
    let mut step = TrainStep::capture();
    for _ in 0..3 {
        let x = span("loader", || Tensor::full(0.5, [5, 8], DType::F32, &Device::cpu())).unwrap();
        step.run(&mut optimizer, &[x], |x| model.forward(&x[0])?.tanh()?.sum_all()).unwrap();
    }
    profiler.finish(&model)
}

#[test]
fn the_table_adds_up() {
    let profile = profiled();
    let rows = profile.rows();
    assert_eq!(rows.iter().map(|row| row.time).sum::<Duration>(), profile.total);
    let calls = |phase, op| rows.iter().find(|row| row.phase == phase && row.op == op).map(|row| row.calls);
    for op in ["linear", "tanh", "sum"] {
        assert_eq!(calls("forward", op), Some(3), "{op}: {rows:?}");
        assert_eq!(calls("backward", op), Some(3), "{op}: {rows:?}");
    }
    // A weight and a bias each.
    assert_eq!(calls("optimizer", "sgd"), Some(6));
    assert_eq!(calls("optimizer", ""), Some(3));
    assert_eq!(calls("loader", "fill"), Some(3));
    let linear = rows.iter().find(|row| row.phase == "forward" && row.op == "linear").unwrap();
    assert_eq!(linear.flops, 3 * 2 * 5 * 8 * 4);
    let table = profile.to_string();
    assert!(table.lines().count() == rows.len() + 2 && table.contains("(host)"), "{table}");
}

#[test]
fn events_lie_in_one_another_in_order() {
    let profile = profiled();
    let ends = |event: &super::Event| event.began + event.host;
    let (mut phase, mut op) = (None, None);
    for (event, next) in profile.events.iter().zip(&profile.events[1..]) {
        assert!(event.began <= next.began, "{event:?} {next:?}");
        match event.kind {
            Kind::Phase => (phase, op) = (Some(event), None),
            Kind::Op => {
                let phase: &super::Event = phase.unwrap();
                assert!(ends(event) <= ends(phase) && event.phase == phase.name, "{event:?} in {phase:?}");
                op = Some(event);
            }
            Kind::Kernel if event.op != event.name => {
                let op: &super::Event = op.unwrap();
                assert!(ends(event) <= ends(op) && event.op == op.name, "{event:?} in {op:?}");
            }
            Kind::Kernel => {}
        }
    }
    let linear = profile.events.iter().filter(|event| event.kind == Kind::Op && event.name == "linear");
    let layers: Vec<&str> = linear.map(|event| event.phase).collect();
    assert_eq!(layers, ["forward", "backward", "forward", "backward", "forward", "backward"]);
}

#[test]
fn a_trace_has_the_steps_that_are_asked_for() {
    let profile = profiled();
    let text = profile.to_trace(2).to_string();
    let trace: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!((named("forward"), named("backward"), named("optimizer")), (2, 2, 2));
    assert_eq!(named("loader"), 2);
    let op = events.iter().find(|event| event["name"] == "linear").unwrap();
    assert_eq!(op["args"]["shapes"], "[5, 8], [4, 8], [4] -> [5, 4]");
    assert!(events.iter().skip(1).all(|event| event["ph"] == "X" && event["dur"].as_f64() >= Some(0.0)));
}

#[test]
fn nothing_is_kept_when_nobody_asks() {
    let x = Tensor::full(0.5, [5, 8], DType::F32, &Device::cpu()).unwrap();
    let profiler = Profiler::start().unwrap();
    drop(profiler);
    span("forward", || x.tanh()).unwrap();
    let model = Linear::new(1, 1).unwrap();
    let profile = Profiler::start().unwrap().finish(&model);
    assert!(profile.events.is_empty());
    // What another thread does is its own business.
    let profiler = Profiler::start().unwrap();
    std::thread::scope(|scope| scope.spawn(|| span("forward", || x.tanh()).unwrap()).join().unwrap());
    assert!(profiler.finish(&model).events.is_empty());
}
