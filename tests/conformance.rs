//! Runs reference cases made elsewhere: every folder that `VOXGRAD_CONFORMANCE` lists
//! (colon-separated), on every device present. Each folder holds an `index.json` and safetensors
//! files; an op or a parameter that the runner does not know is a failure.

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

/// The folders to run: those of the environment, or the sample next to the repository.
fn folders() -> Vec<PathBuf> {
    if let Ok(list) = std::env::var("VOXGRAD_CONFORMANCE") {
        return list.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    }
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/sample");
    if sample.is_dir() { vec![sample] } else { Vec::new() }
}

#[test]
fn every_case_agrees() {
    let folders = folders();
    if folders.is_empty() {
        say("conformance: skipped, no folder is listed in VOXGRAD_CONFORMANCE");
        return;
    }
    let runs = check::runs(&common::devices::present());
    let mut report = Report::default();
    let mut cases = 0;
    for folder in &folders {
        let read = case::read_folder(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        cases += read.len();
        for case in &read {
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
        }
    }
    let (parts, failed) = (report.parts, report.failures.len());
    let on: Vec<String> = runs.iter().map(|(dtype, device)| format!("{dtype} on {device}")).collect();
    say(format!("conformance: {cases} cases, {parts} parts compared ({}), {failed} failures", on.join(", ")));
    assert!(report.failures.is_empty(), "{failed} failures:\n{}", report.failures.join("\n"));
    assert!(parts > 0, "nothing was compared");
}

fn run(report: &mut Report, case: &Case, dtype: DType, device: &Device) -> Result<()> {
    match case.op.split_once('.') {
        Some(("optimiser", name)) => training::optimiser(report, case, name, dtype, device),
        Some(("schedule", name)) => training::schedule(report, case, name, dtype),
        _ if case.op == "model" => model::run(report, case, dtype, device),
        _ => op_case::run(report, case, dtype, device),
    }
}
