//! `--profile`: its table, its trace, and that it changes nothing else.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{ended, program};
use crate::{metrics, write_cifar2};

/// Trains on 5 x 80 images, 8 a step, half of them each class: about 50 steps an epoch.
fn train(base: &Path, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program("birds_vs_airplanes"));
    command.args(["--device", "cpu", "--batch-size", "8", "--data"]).arg(base.join("data"));
    ended(command.arg("--out").arg(base.join(name)).args(arguments))
}

/// The lines of the table: phase, op, and the numbers.
fn table(said: &str) -> Vec<Vec<String>> {
    let lines = said.lines().skip_while(|line| !line.starts_with("phase ")).skip(1);
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_string).collect()
    };
    lines.map(cells).take_while(|row| row.len() > 1).collect()
}

#[test]
fn a_profile_shows_where_the_time_of_some_steps_went() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 80, 3);
    let (code, said) = train(base.path(), "profiled", &["--epochs", "2", "--profile"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Profile of 50 steps, from step 11 on"), "{said}");
    assert!(said.contains("trace.json, for chrome://tracing"), "{said}");

    let rows = table(&said);
    let milliseconds = |row: &Vec<String>| {
        row.iter()
            .find_map(|cell| cell.split_once('.')?.1.len().eq(&3).then(|| cell.parse::<f64>().unwrap()))
            .unwrap()
    };
    let (all, parts): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[0] == "all");
    let sum: f64 = parts.iter().map(|row| milliseconds(row)).sum();
    assert!((sum - milliseconds(all[0])).abs() < 1e-3 * parts.len() as f64, "{sum}: {said}");
    let calls = |phase: &str, op: &str| {
        let row = parts.iter().find(|row| row[0] == phase && row[1] == op);
        row.unwrap_or_else(|| panic!("{phase} {op}: {said}"))[2].as_str()
    };
    for phase in ["forward", "backward"] {
        assert_eq!(
            [calls(phase, "conv2d_tanh_max_pool2d"), calls(phase, "tanh"), calls(phase, "linear")],
            ["100", "50", "100"]
        );
        assert_eq!(calls(phase, "(host)"), "50");
    }
    assert_eq!((calls("optimizer", "sgd"), calls("optimizer", "(host)")), ("400", "50"));

    let text = std::fs::read_to_string(base.path().join("profiled/trace.json")).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let events: Vec<&Value> =
        trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
    let layers: Vec<&str> = events
        .iter()
        .filter(|event| event["name"] == "conv2d_tanh_max_pool2d" && event["cat"] == "forward")
        .map(|event| event["args"]["layer"].as_str().unwrap())
        .collect();
    assert_eq!(layers, ["conv1", "conv2"].repeat(10));
    let backward = events
        .iter()
        .find(|event| event["name"] == "conv2d_tanh_max_pool2d" && event["cat"] == "backward")
        .unwrap();
    assert_eq!(backward["args"]["layer"], "conv2");
    // In order, and each within what holds it.
    let (ts, dur) =
        (|event: &Value| event["ts"].as_f64().unwrap(), |event: &Value| event["dur"].as_f64().unwrap());
    let mut open: Vec<f64> = Vec::new();
    for pair in events.windows(2) {
        assert!(ts(pair[0]) <= ts(pair[1]), "{pair:?}");
    }
    for event in &events {
        let (begin, end) = (ts(event), ts(event) + dur(event));
        open.retain(|&outer| outer > begin + 1e-3);
        assert!(open.last().is_none_or(|&outer| end <= outer + 1e-3), "{event} ends after {open:?}");
        open.push(end);
    }

    let (code, plain) = train(base.path(), "plain", &["--epochs", "2"]);
    assert!(code == Some(0) && !plain.contains("Profile") && !base.path().join("plain/trace.json").exists());
    assert_eq!(metrics(&base.path().join("plain")), metrics(&base.path().join("profiled")));
}

#[test]
fn a_training_that_is_too_short_for_a_profile_says_so() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 8, 3);
    let (code, said) = train(base.path(), "short", &["--profile", "--epochs", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("--profile: nothing to show, it begins with step 11"), "{said}");
    assert!(!base.path().join("short/trace.json").exists());
}
