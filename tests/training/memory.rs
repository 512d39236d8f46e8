//! A GPU whose memory ends in the middle of a training: what is said, and that nothing saved is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use voxgrad::Device;
use voxgrad::models::cifar2::Settings;

use crate::lesson::{run, settings};
use crate::{devices, write_cifar2};

/// The folder of a run, for the test that is started as a process of its own.
const OUT: &str = "VOXGRAD_TEST_OUT";
const EPOCHS: usize = 3;
/// Of 20 images in batches of 8 there are two whole ones and a rest.
const WHOLE_BATCHES: u64 = 2;

/// What a training has come to.
struct Ended {
    /// The error, or nothing.
    message: Option<String>,
    /// Launches of a recorded step.
    graphs: u64,
}

/// A training on CUDA alone in its process: others' tensors would have its steps recorded anew, and its memory
/// is to end without theirs. It goes on with what is in `out`, if there is something.
fn train(out: &Path, epochs: usize, fail: Option<String>) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "memory::child", "--nocapture"]).env(OUT, out);
    command.env("VOXGRAD_TEST_EPOCHS", epochs.to_string()).envs(fail.map(|fail| ("CUDASIM_FAIL", fail)));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let after = |word: &str| said.lines().find_map(|line| Some(line.strip_prefix(word)?.to_string()));
    let graphs = after("graphs: ").unwrap_or_else(|| panic!("{said}"));
    Ended { message: after("error: "), graphs: graphs.parse().unwrap() }
}

#[test]
fn child() {
    let Some(out) = std::env::var_os(OUT).map(PathBuf::from) else { return };
    let epochs = std::env::var("VOXGRAD_TEST_EPOCHS").unwrap().parse().unwrap();
    let resume = out.join("resume.safetensors").exists();
    let base = out.parent().unwrap();
    let settings = Settings { device: "cuda".into(), out: out.clone(), epochs, resume, ..settings(base) };
    if let Err(error) = run(&settings).1 {
        println!("error: {error}");
    }
    let Ok(Device::Cuda(gpu)) = Device::by_name("cuda") else { panic!("opened before") };
    println!("graphs: {}", gpu.counters().submissions);
}

fn simulator() -> bool {
    devices::find("cuda").is_some_and(|device| device.to_string().contains("cudasim"))
}

/// On CUDA the trainer's steps are replays, once the second was recorded; the smaller rest of an epoch is none.
#[test]
fn a_training_replays_its_steps() {
    if devices::find("cuda").is_none() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let ended = train(&base.path().join("out"), EPOCHS, None);
    assert_eq!((ended.message, ended.graphs), (None, EPOCHS as u64 * WHOLE_BATCHES - 1));
}

/// From some allocation on there is no more memory: later and later, until the training is through. Wherever that
/// is, also while a step is recorded, the run goes on from what it saved to what it would have come to.
#[test]
fn no_memory_in_the_middle_of_a_training() {
    if !simulator() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    write_cifar2(&base.join("data"), 4, 0);
    let train_well = |out: &Path, epochs| assert_eq!(train(out, epochs, None).message, None);
    let (begun, whole) = (base.join("begun"), base.join("whole"));
    train_well(&begun, 1);
    train_well(&whole, 2);

    let files =
        ["config.json", "metrics.jsonl", "last.safetensors", "best.safetensors", "resume.safetensors"];
    let read = |out: &Path, name: &str| fs::read(out.join(name)).unwrap();
    let (mut eager, mut recorded) = (0, 0);
    for n in (3..).map(|i| 1 << i) {
        let out = base.join(format!("from {n}"));
        fs::create_dir(&out).unwrap();
        for name in files {
            fs::copy(begun.join(name), out.join(name)).unwrap();
        }
        let Ended { message, graphs } = train(&out, 2, Some(format!("alloc:{n}+")));
        let done = message.is_none();
        if let Some(message) = message {
            for word in ["out of memory on cuda:0", " bytes asked for, ", " bytes in use"] {
                assert!(message.contains(word), "from allocation {n} on: {message}");
            }
            for name in &files[1..] {
                assert!(read(&out, name) == read(&begun, name), "from allocation {n} on: {name}");
            }
            train_well(&out, 2);
        }
        *(if graphs == 0 { &mut eager } else { &mut recorded }) += 1;
        assert!(read(&out, "last.safetensors") == read(&whole, "last.safetensors"), "from allocation {n} on");
        if done {
            break;
        }
    }
    assert!(eager > 0 && recorded > 1, "{eager} ended before a graph was launched, {recorded} after");
}
