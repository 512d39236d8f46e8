//! Every differentiable op and input against finite differences, in f64 on the CPU.

mod common;

use common::{Case, cases, say};
use voxgrad_engine::gradcheck::gradcheck;
use voxgrad_engine::{DType, Device, Tensor};

#[test]
fn every_backward_rule_agrees_with_finite_differences() {
    let small = cases::all().into_iter().filter(|case| case.differentiable && case.flops.is_none());
    let (mut cases, mut derivatives, mut failures) = (0, 0, Vec::new());
    for case in small {
        cases += 1;
        match check(&case) {
            Ok(compared) => derivatives += compared,
            Err(error) => failures.push(error),
        }
    }
    say(format!("gradcheck: {cases} cases, {derivatives} derivatives compared, {} failures", failures.len()));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(derivatives > 0, "nothing was compared");
}

/// Checks the differentiable inputs of a case; the others stay as they are.
fn check(case: &Case) -> Result<usize, String> {
    let name = case.name();
    let inputs = case.tensors(DType::F64, &Device::cpu()).map_err(|error| format!("{name}: {error}"))?;
    let moving: Vec<usize> = (0..inputs.len()).filter(|&i| case.inputs[i].differentiable).collect();
    let checked: Vec<Tensor> = moving.iter().map(|&i| inputs[i].clone()).collect();
    let function = |values: &[Tensor]| {
        let mut all = inputs.clone();
        moving.iter().zip(values).for_each(|(&i, value)| all[i] = value.clone());
        Ok(case.run(&all)?.swap_remove(0))
    };
    gradcheck(&name, &checked, function).map_err(|error| error.to_string())
}
