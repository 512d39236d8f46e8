//! Event files, opened by TensorBoard's own reader. Needs Python with TensorBoard (`pip install
//! tensorboard`), `VOXGRAD_PYTHON` or else `python3`. Where python3 has none the test is left out; the
//! comparison with the bytes of TensorBoard's own writer (`src/tensorboard/tests.rs`) needs no Python.

#[path = "../../../tests/common/require.rs"]
mod require;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use voxgrad_models::curves::unit_edges;
use voxgrad_models::tensorboard::SummaryWriter;

/// What TensorBoard has of the run in `directory`; nothing where there is no TensorBoard.
fn read(directory: &Path) -> Option<Value> {
    let asked = std::env::var("VOXGRAD_PYTHON").ok();
    let python = asked.as_deref().unwrap_or("python3");
    let command = |args: &[&str]| Command::new(python).arg("-B").args(args).output();
    if asked.is_none() && !command(&["-c", "import tensorboard"]).is_ok_and(|output| output.status.success())
    {
        require::say(format!("skipped, needs TensorBoard: {python} has none"));
        return None;
    }
    let output = command(&["tests/tensorboard/read.py", directory.to_str().unwrap()]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn tensorboard_reads_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let scored: Vec<(f64, bool)> = (0..1024).map(|i| (f64::from(i) / 1024.0, i % 4 == 3)).collect();
    let negatives: Vec<f64> = scored.iter().filter(|(_, positive)| !positive).map(|(p, _)| *p).collect();
    {
        let mut writer = SummaryWriter::create(dir.path()).unwrap();
        for step in 1..=5 {
            writer.scalar("correct/pos", 0.125 * step as f64, step * 1000).unwrap();
            writer.scalar("a tag with spaces: ü", -1.0, step).unwrap();
        }
        writer.histogram("is_neg", &negatives, &unit_edges(4), 3000).unwrap();
        writer.pr_curve("pr", &scored, 3000).unwrap();
        writer.flush().unwrap();
    }
    // The run was stopped after step 3000 was saved, and goes on from there.
    let mut writer = SummaryWriter::resume(dir.path(), 3001).unwrap();
    writer.scalar("correct/pos", 0.75, 4000).unwrap();
    // Killed within a record: all before it is there.
    let bytes = std::fs::read(writer.path()).unwrap();
    writer.scalar("correct/pos", 9.0, 5000).unwrap();
    let cut = std::fs::File::options().write(true).open(writer.path()).unwrap();
    cut.set_len(bytes.len() as u64 + 5).unwrap();

    let Some(seen) = read(dir.path()) else { return };
    assert_eq!(
        seen["scalars"]["correct/pos"],
        json!([[1000, 0.125], [2000, 0.25], [3000, 0.375], [4000, 0.75]])
    );
    assert_eq!(seen["scalars"]["a tag with spaces: ü"].as_array().unwrap().len(), 5);
    // From the lowest value to the highest.
    assert_eq!(
        seen["histograms"]["is_neg"],
        json!([
            3000,
            [[0.0, 0.25, 192.0], [0.25, 0.5, 192.0], [0.5, 0.75, 192.0], [0.75, 1022.0 / 1024.0, 192.0]]
        ])
    );
    let curve = &seen["pr_curves"]["pr"];
    assert_eq!(curve[0], 3000);
    let at = |threshold: usize| (0..6).map(move |row| curve[1][row][threshold].as_f64().unwrap());
    assert_eq!(at(0).collect::<Vec<_>>(), [256.0, 768.0, 0.0, 0.0, 0.25, 1.0]);
    // Half of them reach 1/2, and a quarter of those is positive.
    assert_eq!(at(63).collect::<Vec<_>>(), [128.0, 384.0, 384.0, 128.0, 0.25, 0.5]);
}

#[test]
fn the_files_of_the_other_test_are_whole() {
    let Some(seen) = read(Path::new("tests/tensorboard/run")) else { return };
    let steps = seen["scalars"]["loss/all"].as_array().unwrap();
    let steps: Vec<u64> = steps.iter().map(|event| event[0].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 100, 200, 3_000_000_000], "step 300 was before the run went on from 200");
    assert_eq!(seen["histograms"]["nothing"], json!([100, []]));
}
