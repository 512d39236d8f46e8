//! The example as a user runs it: exit codes, plain messages, Ctrl-C.

mod lessons;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use voxgrad::models::cifar2::{MODELS, Settings};

use crate::program::{ended, program};
use crate::{metrics, write_cifar2};

fn command(arguments: &[&str], base: &Path) -> Command {
    let mut command = Command::new(program("birds_vs_airplanes"));
    command.args(["--device", "cpu", "--data"]).arg(base.join("data")).arg("--out").arg(base.join("out"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str], base: &Path) -> (Option<i32>, String) {
    ended(&mut command(arguments, base))
}

#[test]
fn wrong_arguments_end_with_code_2_and_say_what_is_allowed() {
    let base = tempfile::tempdir().unwrap();
    for (arguments, wanted) in [
        (["--epochs", "0"], "--epochs 0: it must be a whole number from 1 up"),
        (["--batch-size", "0"], "--batch-size 0: it must be a whole number from 1 up"),
        (["--lr", "nan"], "--lr NaN: it must be a finite number above 0"),
        (["--lr", "-1"], "--lr -1: it must be a finite number above 0"),
        (["--lr", "inf"], "--lr inf: it must be a finite number above 0"),
        (
            ["--model", "big"],
            "--model big: there is none of that name; use baseline, width, l2, l1, weight-decay, dropout, \
             batch-norm, depth, res, res-deep",
        ),
        (["--n-blocks", "5"], "--n-blocks 5: baseline has no residual blocks; --model res-deep has"),
    ] {
        let (code, said) = run(&arguments, base.path());
        assert_eq!((code, said.trim()), (Some(2), format!("error: {wanted}").as_str()));
    }
    let (code, said) = run(&["--model", "res-deep", "--n-blocks", "0"], base.path());
    let wanted = "error: --n-blocks 0: it must be a whole number from 1 to 1000";
    assert_eq!((code, said.trim()), (Some(2), wanted));
    assert!(!base.path().join("out").exists());
}

#[test]
fn the_help_names_the_networks_and_the_defaults() {
    let Output { status, stdout, .. } =
        Command::new(program("birds_vs_airplanes")).arg("--help").output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success());
    let Settings { epochs, batch_size, out, .. } = Settings::default();
    let numbers = [epochs.to_string(), batch_size.to_string(), out.display().to_string()];
    for default in numbers {
        assert!(said.contains(&format!("[default: {default}]")), "{default}: {said}");
    }
    let names = MODELS.each_ref().map(|variant| variant.name).join(", ");
    assert!(said.contains(&format!("The network: {names}")), "{said}");
    let rates = [MODELS[0].lr, MODELS.last().unwrap().lr];
    assert!(said.contains(&format!("[default: {}, of res-deep {}]", rates[0], rates[1])), "{said}");
}

#[test]
fn the_table_has_a_command_line_too() {
    let base = tempfile::tempdir().unwrap();
    let table = |arguments: &[&str]| {
        let mut command = Command::new(program("cifar2_table"));
        command.args(["--device", "cpu", "--data"]).arg(base.path().join("data"));
        ended(command.arg("--out").arg(base.path().join("out")).args(arguments))
    };
    let (code, said) = table(&["--help"]);
    let names = MODELS.each_ref().map(|variant| variant.name).join(",");
    assert!(code == Some(0) && said.contains(&names) && said.contains("--seeds"), "{said}");
    let (code, said) = table(&["--models", "l2,big"]);
    assert!(code == Some(2) && said.starts_with("error: --models big: there is none of that name"), "{said}");
    let (code, said) = table(&["--resume"]);
    assert!(code == Some(1) && said.contains("holds no config.json, so there is nothing to go on"), "{said}");
    assert!(!base.path().join("out").exists());

    write_cifar2(&base.path().join("data"), 4, 0);
    let (code, said) = table(&["--models", "l2,l1", "--epochs", "1", "--seeds", "2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(base.path().join("out/table.md").exists());
}

#[test]
fn a_summary_is_printed_and_nothing_trained() {
    let base = tempfile::tempdir().unwrap();
    let (code, said) = run(&["--summary", "--model", "res-deep", "--n-blocks", "2"], base.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("layer ") && said.contains("resblocks.1.batch_norm"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("total ") && said.contains(" 85,090 "), "{said}");
    let (code, said) = run(&["--summary", "--model", "big"], base.path());
    assert!(code == Some(2) && said.starts_with("error: --model big"), "{said}");
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

/// A file that PyTorch has written.
fn pytorch(name: &str) -> PathBuf {
    Path::new("engine/tests/pytorch/files").join(name)
}

#[test]
fn inspect_lists_a_checkpoint_or_says_why_not() {
    let inspect = |file: &Path| ended(Command::new(program("inspect")).arg(file));
    let (code, said) = inspect(&pytorch("net.pt"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Format: PyTorch\nTensors: 8\nElements: 18,090\n"), "{said}");
    let (code, said) = inspect(&pytorch("model.pt"));
    assert!(code == Some(1) && said.starts_with("error: ") && said.contains("whole pickled model"), "{said}");
    let (code, said) = inspect(Path::new("no/such.pt"));
    assert!(code == Some(1) && said.starts_with("error: no/such.pt: "), "{said}");
    let (code, said) = ended(&mut Command::new(program("inspect")));
    assert!(code == Some(2) && said.contains("<FILE>"), "{said}");
}

#[test]
fn see_convolutions_has_a_command_line_too() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let see = |arguments: &[&str]| {
        let mut command = Command::new(program("see_convolutions"));
        command.args(["--device", "cpu", "--data"]).arg(base.path().join("data"));
        ended(command.arg("--out").arg(base.path().join("out")).args(arguments))
    };
    let (code, said) = see(&["--help"]);
    assert!(code == Some(0) && said.contains("--weights <FILE>") && said.contains("--epochs"), "{said}");
    let (code, said) = see(&["--weights", "no/such.pt"]);
    assert!(code == Some(1) && said.contains("error: no/such.pt: "), "{said}");
    let (code, said) = see(&["--weights", pytorch("layers.pt").to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("The baseline's are needed here: --weights"), "{said}");
    let (code, said) = see(&["--epochs", "-1"]);
    assert!(code == Some(2) && said.contains("--epochs"), "{said}");
    let (code, said) = see(&["--weights", pytorch("net.pt").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("net.pt\n") && base.path().join("out/bird.png").exists(), "{said}");
}

/// `inspect FILE | head -0`: nobody reads, and that is no failure.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let mut see = Command::new(program("see_convolutions"));
    see.args(["--device", "cpu", "--weights"]).arg(pytorch("net.pt"));
    see.arg("--data").arg(base.path().join("data")).arg("--out").arg(base.path().join("out"));
    let mut inspect = Command::new(program("inspect"));
    inspect.arg(pytorch("net.pt"));
    let mut devices = Command::new(program("devices"));
    devices.env("NODEVICE_SELECT", "1");
    let summary = command(&["--summary"], base.path());
    for mut command in [see, inspect, devices, summary] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let Output { status, stderr, .. } = command.stdout(writer).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert!(status.success() && said.is_empty(), "{command:?}: {status}, {said}");
    }
}

#[test]
fn failures_end_with_code_1_and_one_line() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let taken = base.path().join("file/run");
    for (arguments, wanted) in [
        (vec!["--resume"], "nothing to go on with"),
        (vec!["--epochs", "1"], "CIFAR-2 not found"),
        (vec!["--out", taken.to_str().unwrap()], "file/run: it cannot be written"),
    ] {
        let mut command = Command::new(program("birds_vs_airplanes"));
        // Mesa asks the desktop which GPU to use, and complains where there is none.
        command.env("NODEVICE_SELECT", "1");
        command.arg("--data").arg(base.path().join("data"));
        if !arguments.contains(&"--out") {
            command.arg("--out").arg(base.path().join("out"));
        }
        let Output { status, stderr, .. } = command.args(&arguments).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: ") && said.contains(wanted), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    }
}

/// Ctrl-C in a running training, then `--resume`: nothing is lost, and the files go on.
#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_resume_goes_on() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 20, 0);
    let out = base.path().join("out");
    let arguments = ["--epochs", "1000000", "--batch-size", "4"];
    let child =
        command(&arguments, base.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now();
    while !out.join("resume.safetensors").exists() {
        assert!(patience.elapsed() < Duration::from_secs(120), "no epoch was finished in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The shell's own kill: not every system has the program.
    let kill = Command::new("sh").args(["-c", r#"kill -INT "$0""#, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("Stopped in epoch") && said.contains("--resume"), "{said}");

    let done = metrics(&out).len();
    let more = (done + 2).to_string();
    let (code, said) = run(&["--epochs", &more, "--batch-size", "4", "--resume"], base.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Accuracy val: "), "{said}");
    let epochs: Vec<u64> = metrics(&out).iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, (1..=done as u64 + 2).collect::<Vec<_>>());
}
