//! Runs reference cases made elsewhere: those in `conformance/cases`, and those of every folder
//! that `VOXGRAD_CONFORMANCE` lists (colon-separated), on every device present. Each folder holds an
//! `index.json` and safetensors files; an op or a parameter that the runner does not know is a failure.

#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/check.rs"]
mod check;
mod common;
#[path = "conformance/model.rs"]
mod model;
#[path = "conformance/op_case.rs"]
mod op_case;
#[path = "conformance/ops.rs"]
mod ops;
#[path = "conformance/training.rs"]
mod training;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use voxgrad_engine::{DType, Device};

use case::{Case, Result};
use check::Report;
use common::say;

/// The cases that belong to the repository. A test is run in the folder of its package.
const OWN: &str = "tests/conformance/cases";

/// The folders to run.
fn folders() -> Vec<PathBuf> {
    let listed = std::env::var("VOXGRAD_CONFORMANCE").unwrap_or_default();
    let listed: Vec<&str> = listed.split(':').filter(|folder| !folder.is_empty()).collect();
    if listed.is_empty() {
        common::require::skip("conformance", "VOXGRAD_CONFORMANCE lists no folder of more cases");
    }
    std::iter::once(OWN).chain(listed).map(PathBuf::from).collect()
}

#[test]
fn every_case_agrees() {
    let folders = folders();
    let runs = check::runs(&common::devices::present());
    let mut report = Report::default();
    let mut cases = 0;
    for folder in &folders {
        let read = case::read_folder(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        cases += read.len();
        for case in &read {
            let before = (report.parts, report.failures.len());
            for (dtype, device) in &runs {
                // A panic is one case's failure, too: the others still run.
                let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut report, case, *dtype, device)));
                let problem = match outcome {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "panicked".to_string(),
                };
                report.fail(case, &format!("{dtype} on {device}"), problem);
            }
            if before == (report.parts, report.failures.len()) {
                report.fail(case, "everywhere", "nothing was compared");
            }
        }
    }
    let (parts, failed) = (report.parts, report.failures.len());
    let on: Vec<String> = runs.iter().map(|(dtype, device)| format!("{dtype} on {device}")).collect();
    say(format!("conformance: {cases} cases, {parts} parts compared ({}), {failed} failures", on.join(", ")));
    assert!(report.failures.is_empty(), "{failed} failures:\n{}", report.failures.join("\n"));
    assert!(parts > 0, "nothing was compared");
}

/// From a fresh clone, too, each op is compared with values from elsewhere.
#[test]
fn every_op_has_a_case_here() {
    let cases = case::read_folder(Path::new(OWN)).unwrap();
    let missing: Vec<&str> = ops::names().filter(|name| cases.iter().all(|case| case.op != *name)).collect();
    assert!(missing.is_empty(), "no case of {}", missing.join(", "));
}

fn run(report: &mut Report, case: &Case, dtype: DType, device: &Device) -> Result<()> {
    match case.op.split_once('.') {
        Some(("optimiser", name)) => training::optimiser(report, case, name, dtype, device),
        Some(("schedule", name)) => training::schedule(report, case, name, dtype),
        _ if case.op == "model" => model::run(report, case, dtype, device),
        _ => op_case::run(report, case, dtype, device),
    }
}

/// A folder with one case of tanh, `params` and `out` as given.
fn folder_of_one(op: &str, params: serde_json::Value, out: f32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let case = serde_json::json!({
        "id": "one.001", "op": op, "params": params, "file": "one.safetensors", "inputs": ["in.x"],
        "output": "out", "grads": [], "f64": [], "f32_error": {"out": [1e-7, 1.0]},
    });
    let index = serde_json::json!({"torch": "none", "computed_in": "float64", "count": 1, "cases": [case]});
    std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    let arrays = [("one.001.in.x", [0.5f32, 0.0]), ("one.001.out", [0.5f32.tanh(), out])]
        .map(|(name, values)| (name, values.map(f32::to_le_bytes).concat()));
    let views = arrays.iter().map(|(name, bytes)| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], bytes).unwrap())
    });
    std::fs::write(folder.path().join("one.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    folder
}

/// What the runner says to that folder, run in f32 on the CPU.
fn verdict(op: &str, params: serde_json::Value, out: f32) -> Result<Vec<String>> {
    let folder = folder_of_one(op, params, out);
    let mut report = Report::default();
    for case in &case::read_folder(folder.path())? {
        run(&mut report, case, DType::F32, &Device::cpu())?;
    }
    Ok(report.failures)
}

#[test]
fn a_wrong_value_is_named_with_both_numbers() {
    assert!(verdict("tanh", serde_json::json!({}), 0.0).unwrap().is_empty());
    let failures = verdict("tanh", serde_json::json!({}), 0.25).unwrap();
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    for part in ["one.001", "f32 on cpu", "out [1]", "0e0", "2.5e-1", "within 1.16e-5"] {
        assert!(failure.contains(part), "{failure:?} does not say {part:?}");
    }
    assert_eq!(verdict("tanh", serde_json::json!({}), f32::NAN).unwrap().len(), 1);
}

#[test]
fn what_the_runner_does_not_know_is_a_failure() {
    let error = |op, params| verdict(op, params, 0.0).unwrap_err().to_string();
    assert!(error("tanhh", serde_json::json!({})).contains("\"tanhh\" is not in the op table"));
    assert!(error("optimiser.muon", serde_json::json!({})).contains("missing"));
    assert!(error("schedule.lambda", serde_json::json!({})).contains("missing"));
    assert!(error("tanh", serde_json::json!({"twist": 3})).contains("unknown parameters: twist"));
    assert!(error("gelu", serde_json::json!({"approximate": "tanh"})).contains("approximate"));
    assert!(error("softmax", serde_json::json!({"dim": "first"})).contains("dim"));
}
