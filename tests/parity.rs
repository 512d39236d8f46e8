//! Every op, forward and backward, in f32 on every device against f64 on the CPU.

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;

use common::compare::difference;
use common::{Case, Ladder, cases, devices, say};
use voxgrad_engine::{DType, Device, Result, Tensor};
use voxgrad_kernels::{Storage, philox};

/// The normalised mean square error that is always allowed.
const NMSE: f64 = 1e-7;

#[test]
fn every_op_agrees_with_f64() {
    let devices = devices::present();
    let (mut cases, mut tensors, mut failures) = (0, 0, Vec::new());
    for case in cases::all() {
        let name = case.name();
        let expected = match results(&case, DType::F64, &Device::cpu()) {
            Ok(expected) => expected,
            Err(error) => {
                failures.push(format!("{name}: in f64 on the CPU: {error}"));
                continue;
            }
        };
        for device in &devices {
            cases += 1;
            match results(&case, DType::F32, device) {
                Ok(got) => {
                    tensors += got.len();
                    failures.extend(
                        disagreements(case.tolerance, &got, &expected)
                            .iter()
                            .map(|d| format!("{name} on {device}: {d}")),
                    );
                }
                Err(error) => failures.push(format!("{name}: on {device}: {error}")),
            }
        }
    }
    let names: Vec<String> = devices.iter().map(Device::to_string).collect();
    let failed = failures.len();
    say(format!(
        "parity: {cases} cases, {tensors} tensors compared on {}, {failed} failures",
        names.join(", ")
    ));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tensors > 0, "nothing was compared");
}

#[test]
fn every_rung_agrees_with_the_plain_one() {
    let mut runs = vec![(DType::F64, Device::cpu())];
    runs.extend(devices::present().into_iter().map(|device| (DType::F32, device)));
    let (mut compared, mut failures) = (0, Vec::new());
    for ladder in cases::ladders() {
        let plain = rung(&ladder, 0, DType::F64, &Device::cpu());
        for (dtype, device) in &runs {
            // Plain in f64 is what the others are compared with.
            let first = usize::from(*dtype == DType::F64);
            for (number, name) in ladder.rungs_on(device).iter().enumerate().skip(first) {
                let got = rung(&ladder, number, *dtype, device);
                compared += 1;
                let what = format!("{}, rung {name}, {dtype} on {device}", ladder.name());
                match (&plain, got) {
                    (Ok(plain), Ok(got)) => {
                        let tolerance = if *dtype == DType::F64 { 1e-11 } else { 1e-4 };
                        failures.extend(
                            disagreements(tolerance, &got, plain).iter().map(|d| format!("{what}: {d}")),
                        );
                    }
                    (Err(error), _) => failures.push(format!("{what}: plain in f64: {error}")),
                    (_, Err(error)) => failures.push(format!("{what}: {error}")),
                }
            }
        }
    }
    say(format!("parity: {compared} runs of rungs compared, {} failures", failures.len()));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Not every op has several rungs.
    assert!(compared > 0 || !cases::all_asked_for(), "nothing was compared");
}

/// The largest rungs that are run in several orders, by their floating-point operations.
const SMALL: u64 = 1 << 22;

/// CUDA says of no thread that it runs before another. The simulator can turn the order round and mix it: where
/// threads share memory, or give each other numbers, a barrier that is missing gives other bits.
#[test]
fn threads_in_any_order_give_the_same_bits() {
    let Some(device) = devices::find("cuda") else { return };
    if std::env::var_os("VOXGRAD_TEST_CHILD").is_some() {
        return say_bits(&device);
    }
    if !device.to_string().contains("cudasim") {
        return; // a GPU has its own way
    }
    let run = |order: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "threads_in_any_order_give_the_same_bits", "--nocapture"]);
        let output = command.env("VOXGRAD_TEST_CHILD", "1").env("CUDASIM_ORDER", order).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter(|line| line.starts_with("bits of ")).map(str::to_string).collect::<Vec<_>>()
    };
    let forward = run("forward");
    assert!(!forward.is_empty() || !cases::all_asked_for(), "nothing was compared");
    for order in ["backward", "shuffled:1"] {
        let other = run(order);
        assert_eq!(forward.len(), other.len());
        let differ: Vec<&String> =
            forward.iter().zip(&other).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
        assert!(differ.is_empty(), "{order}: {differ:#?}");
    }
    say(format!("parity: {} results are the same in three orders of threads", forward.len()));
}

/// Prints a sum of the bits of every small case and rung.
fn say_bits(device: &Device) {
    let say = |name: String, results: Result<Vec<Named>>| {
        let mut sum = DefaultHasher::new();
        for result in results.unwrap_or_else(|error| panic!("{name}: {error}")) {
            result.values.iter().for_each(|value| value.to_bits().hash(&mut sum));
        }
        println!("bits of {name}: {:016x}", sum.finish());
    };
    for case in cases::all().iter().filter(|case| case.flops.is_none()) {
        say(case.name(), results(case, DType::F32, device));
    }
    for ladder in cases::ladders().iter().filter(|ladder| ladder.flops <= SMALL) {
        for (number, name) in ladder.rungs_on(device).iter().enumerate() {
            say(format!("{}, rung {name}", ladder.name()), rung(ladder, number, DType::F32, device));
        }
    }
}

/// What one rung of a kernel gives.
fn rung(ladder: &Ladder, number: usize, dtype: DType, device: &Device) -> Result<Vec<Named>> {
    let outputs = ladder.run(number, &ladder.buffers(dtype, device)?)?;
    let named = |(i, output): (usize, &Storage)| {
        let values = match output.dtype() {
            DType::F32 => output.to_vec::<f32>()?.into_iter().map(f64::from).collect(),
            DType::F64 => output.to_vec()?,
            DType::U32 => output.to_vec::<u32>()?.into_iter().map(f64::from).collect(),
        };
        Ok(Named { name: format!("output {i}"), shape: vec![output.len()], values })
    };
    outputs.iter().enumerate().map(named).collect()
}

/// One result of a case, by name.
struct Named {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Named {
    fn new(name: String, x: &Tensor) -> Result<Named> {
        Ok(Named { name, shape: x.shape().to_vec(), values: x.to_f64_vec()? })
    }
}

/// The outputs of a case, then the gradient of every differentiable input.
fn results(case: &Case, dtype: DType, device: &Device) -> Result<Vec<Named>> {
    let inputs = case.tensors(dtype, device)?;
    let outputs = case.run(&inputs)?;
    let mut results = Vec::new();
    for (i, output) in outputs.iter().enumerate() {
        results.push(Named::new(format!("output {i}"), output)?);
    }
    if case.differentiable {
        outputs[0].backward_with(&upstream(&outputs[0], dtype, device)?)?;
        for (i, input) in inputs.iter().enumerate().filter(|(_, input)| input.is_tracked()) {
            // An op that reads none of an input's elements owes it no gradient.
            let grad = input.grad().map_or_else(|| Tensor::zeros(input.shape(), dtype, device), Ok)?;
            results.push(Named::new(format!("the gradient of input {i}"), &grad)?);
        }
    }
    Ok(results)
}

/// The gradient that arrives at an output: the same numbers on every device.
fn upstream(output: &Tensor, dtype: DType, device: &Device) -> Result<Tensor> {
    let number = |i| 2.0 * philox::uniform(philox::random_u32(1, 2, i)) - 1.0;
    let numbers: Vec<f32> = (0..output.numel() as u64).map(number).collect();
    Tensor::new(&numbers, output.shape(), device)?.to_dtype(dtype)
}

/// Every way in which `got` is not `expected`, in words.
fn disagreements(tolerance: f64, got: &[Named], expected: &[Named]) -> Vec<String> {
    if got.len() != expected.len() {
        return vec![format!("there are {} results, in f64 {}", got.len(), expected.len())];
    }
    let disagreement = |(got, expected): (&Named, &Named)| {
        let name = &got.name;
        if got.shape != expected.shape {
            return Some(format!("{name} has the shape {:?}, in f64 {:?}", got.shape, expected.shape));
        }
        let apart = difference(&got.values, &expected.values);
        let allowed = tolerance * apart.scale;
        // Written so that a NaN on one side fails.
        let agree = apart.nmse <= NMSE && apart.largest <= allowed;
        (!agree).then(|| {
            let (at, ours, theirs) = (apart.at, got.values[apart.at], expected.values[apart.at]);
            format!(
                "{name} {:?}: NMSE {:.1e} (allowed {NMSE:e}), largest error at {at}: {ours:e}, in f64 {theirs:e} \
                 (allowed {allowed:.1e})",
                got.shape, apart.nmse
            )
        })
    };
    got.iter().zip(expected).filter_map(disagreement).collect()
}
