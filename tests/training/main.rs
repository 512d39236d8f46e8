//! Whole training runs: stopping and going on, the files they leave, and the command line.

mod choices;
mod cifar10;
mod command_line;
#[path = "../common/devices.rs"]
mod devices;
mod lesson;
mod memory;
mod mnist;
mod profile;
mod program;
mod real_data;
#[path = "../common/require.rs"]
mod require;
mod resume;
mod table;
mod variants;

use std::path::Path;

use voxgrad::random::Rng;

/// Writes a small `cifar2/` of random images below `dir`, `per_file` of them in each of the five
/// training files and the test file. Airplanes are brighter than birds, most of them.
fn write_cifar2(dir: &Path, per_file: usize, seed: u64) {
    let folder = dir.join("cifar2");
    std::fs::create_dir_all(&folder).unwrap();
    let train = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for (stream, name) in train.chain(["test_batch.bin".to_string()]).enumerate() {
        let mut rng = Rng::new(seed, stream as u64);
        let mut bytes = Vec::new();
        for _ in 0..per_file {
            let bird = rng.below(2);
            bytes.push(2 * bird as u8);
            let bright = if bird == 1 { 90.0 } else { 110.0 };
            bytes.extend((0..3072).map(|_| (bright + 30.0 * rng.normal()) as u8));
        }
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The lines of a `metrics.jsonl` without the seconds, which differ from run to run.
fn metrics(out: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let line = |line| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value.as_object_mut().unwrap().remove("seconds").unwrap().as_f64().unwrap() >= 0.0);
        value
    };
    text.lines().map(line).collect()
}
