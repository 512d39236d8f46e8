//! The kernel lab: its command line, and the table of where the rungs stand. What `KERNEL_LOG` prints on the CPU.

mod common;
#[path = "training/program.rs"]
mod program;

use std::path::Path;
use std::process::Command;

use common::source::sources;
use common::{cases, devices};
use program::{ended, program};
use voxgrad_engine::{DType, Device, Tensor};

fn lab(arguments: &[&str], out: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(program("kernel_lab"));
    ended(command.args(arguments).arg("--out").arg(out))
}

#[test]
fn every_rung_stands_in_a_file() {
    let mut devices = devices::present();
    devices.push(Device::Cpu);
    for ladder in cases::ladders() {
        for device in &devices {
            let (files, rungs) = (sources(ladder.kernel, device), ladder.rungs_on(device));
            let kernel = ladder.kernel;
            assert_eq!(
                files.len(),
                rungs.len(),
                "tests/common/source.rs: {kernel} on {device} has {rungs:?}"
            );
            for file in files {
                assert!(Path::new(&file).is_file(), "{kernel}: {file}");
            }
        }
    }
}

/// A kernel with shapes that somebody gives is the one of the table with those of the table.
#[test]
fn shapes_make_ladders() {
    let shaped = |op: &str, shapes: &[&[usize]]| {
        cases::shaped(op, &shapes.iter().map(|shape| shape.to_vec()).collect::<Vec<_>>())
    };
    let mut seen = Vec::new();
    for ladder in cases::ladders() {
        let op = ladder.kernel;
        if seen.contains(&op) {
            continue;
        }
        seen.push(op);
        let found = match op.split('_').next().unwrap() {
            "conv2d" => shaped(op, &[&[2, 3, 6, 5], &[4, 3, 3, 3]]),
            "conv3d" => shaped(op, &[&[2, 3, 3, 6, 5], &[4, 3, 1, 3, 3]]),
            "matmul" => shaped(op, &[&[3, 4], &[4, 5]]),
            "grid" => shaped(op, &[&[1, 2, 3, 4, 5]]),
            _ => shaped(op, &[&[2, 3, 4, 6]]),
        };
        let found = found.unwrap_or_else(|error| panic!("{op}: {error}"));
        assert_eq!(found.kernel, op);
        let buffers = found.buffers(DType::F32, &Device::Cpu).unwrap();
        assert!(!found.run(usize::MAX, &buffers).unwrap().is_empty(), "{op}");
        let error =
            shaped(op, &[&[2], &[3], &[4]]).err().unwrap_or_else(|| panic!("{op} takes three shapes"));
        assert!(error.contains("shape"), "{op}: {error}");
    }
    assert!(!seen.is_empty() || !cases::all_asked_for());
    let error = shaped("conv2d", &[&[2, 3, 6, 5], &[4, 2, 3, 3]]).err().unwrap();
    assert!(error.contains("input has 3 channels, weight expects 2"), "{error}");
    let error = shaped("max_pool", &[&[2, 3, 1, 5]]).err().unwrap();
    assert!(error.contains("a window of 2 needs 2 places"), "{error}");
}

#[test]
fn the_lab_measures_a_ladder() {
    let out = tempfile::tempdir().unwrap();
    let (code, said) = lab(&["softmax", "--shape", "64,100"], out.path());
    assert_eq!(code, Some(0), "{said}");
    for rung in ["0 plain", "1 vectorised"] {
        let line = said.lines().find(|line| line.starts_with(rung)).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains('%') && line.contains("kernels/src/ops/softmax/"), "{line}");
    }
    assert!(said.contains("operations a byte, so the bytes bind"), "{said}");
    assert!(out.path().join("softmax_cpu.png").is_file());
    let (code, said) = lab(&["softmax", "--shape", "64,100", "--rung", "1"], out.path());
    assert!(code == Some(0) && said.contains("1 vectorised") && !said.contains("0 plain"), "{said}");
    let (code, said) = lab(&[], out.path());
    assert!(code == Some(0) && said.contains("matmul") && said.contains("0 plain, 1 tiled"), "{said}");
}

#[test]
fn without_pytorch_a_line_says_so() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("kernel_lab"));
    command.args(["tanh", "--shape", "100", "--against", "torch", "--out"]).arg(out.path());
    let (code, said) = ended(command.env("VOXGRAD_PYTHON", out.path().join("no-python")));
    let line =
        said.lines().find(|line| line.starts_with("PyTorch: no time")).unwrap_or_else(|| panic!("{said}"));
    assert!(code == Some(0) && line.contains("no-python can't be run"), "{said}");
}

#[test]
fn wrong_arguments_say_what_there_is() {
    let out = tempfile::tempdir().unwrap();
    let no_file = out.path().join("file");
    std::fs::write(&no_file, "").unwrap();
    for (arguments, wanted) in [
        (&["conv"][..], "conv: there is no kernel of that name; use tanh, "),
        (&["tanh", "--shape", "3,0"], "--shape 3,0: sizes are whole numbers from 1 up"),
        (&["tanh", "--shape", "3,x"], "--shape 3,x: sizes are whole numbers from 1 up"),
        (&["tanh", "--shape", "99999999999"], "--shape 99999999999: that is more than 2^30 elements"),
        (&["tanh", "--shape", "65536,65536"], "--shape 65536,65536: that is more than 2^30 elements"),
        (&["matmul", "--shape", "2,3", "4,5"], "--shape 2,3 4,5: [2, 3] has 3 columns, [4, 5] has 4 rows"),
        (&["tanh", "--case", "purple"], "--case purple: tanh has none with that in its name; it has\n  [1]"),
        (&["tanh", "--shape", "5", "--rung", "7"], "--rung 7: tanh on cpu has 0 std, 1 vectorised, 2 wide"),
    ] {
        let (code, said) = lab(arguments, out.path());
        assert!(
            code == Some(2) && said.contains(&format!("error: {wanted}")),
            "{arguments:?}: {code:?} {said}"
        );
    }
    let (code, said) = lab(&["tanh", "--device", "abacus"], out.path());
    assert!(
        code == Some(1) && said.contains("abacus") && said.contains("there is no device of that name"),
        "{said}"
    );
    let (code, said) = lab(&["tanh", "--shape", "5"], &no_file);
    assert!(code == Some(1) && said.contains("it cannot be written"), "{said}");
}

/// What a child of [`kernel_log_shows_launches_on_the_cpu`] computes.
#[test]
fn a_few_kernels_run() {
    let x = Tensor::full(0.5, [3, 8], DType::F32, &Device::Cpu).unwrap();
    let y = x.matmul(&x.transpose(0, 1).unwrap()).unwrap().tanh().unwrap();
    assert_eq!(y.shape().to_vec(), [3, 3]);
}

#[test]
fn kernel_log_shows_launches_on_the_cpu() {
    let log = |level: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_few_kernels_run", "--nocapture"]).env("KERNEL_LOG", level);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let line = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}")).to_string()
    };
    assert!(!log("0").contains("tanh"));
    let launched = log("1");
    assert_eq!(line(&launched, "tanh"), "tanh buffers [9, 9]");
    assert!(
        line(&launched, "matmul").starts_with("matmul Matmul { batch: 1, m: 3, n: 3, k: 8"),
        "{launched}"
    );
    assert!(line(&launched, "matmul").ends_with(" buffers [24, 24, 9]"), "{launched}");
    assert!(
        launched.contains("fill buffers [24]") && launched.contains("read_strided Strided"),
        "{launched}"
    );
    let timed = log("2");
    assert!(line(&timed, "tanh").ends_with(" GB/s") && line(&timed, "tanh").contains(" us, "), "{timed}");
    assert!(line(&timed, "matmul").ends_with(" GFLOP/s"), "{timed}");
    let whole = log("3");
    assert!(whole.contains("// kernels/src/ops/matmul/mod.rs:"), "{whole}");
}
