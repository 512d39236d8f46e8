//! The table that `scripts/gpu.sh` leaves, and PyTorch's side of it.

mod common;
#[path = "../benches/report/markdown.rs"]
mod markdown;
#[path = "../benches/networks/mod.rs"]
mod networks;
#[path = "../benches/report/read.rs"]
mod read;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

/// What criterion leaves of one bench.
fn bench(folder: &Path, group: &str, function: &str, what: Option<&str>, flops: u64, ns: f64) {
    let dir =
        folder.join("criterion").join(format!("{group}{function}{what:?}").replace('/', "_")).join("new");
    fs::create_dir_all(&dir).unwrap();
    let benchmark = json!({
        "group_id": group, "function_id": function, "value_str": what,
        "throughput": {"ElementsAndBytes": {"elements": flops, "bytes": 1}},
    });
    fs::write(dir.join("benchmark.json"), benchmark.to_string()).unwrap();
    let estimates = json!({"mean": {"point_estimate": 9.0}, "median": {"point_estimate": ns}});
    fs::write(dir.join("estimates.json"), estimates.to_string()).unwrap();
}

#[test]
fn all_that_was_measured_is_in_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    fs::write(base.join("about.txt"), "card: NVIDIA X1\ndriver: 580.1: a colon\n").unwrap();
    fs::write(base.join("tests.tsv"), "a\tpassed\t7\t0\t1.5\nb\tfailed\t2\t1\t3\n").unwrap();
    fs::write(base.join("left_out.txt"), "wgpu: no Vulkan loader\n\n").unwrap();
    bench(base, "baseline, batch 64", "training step", None, 1, 400e3);
    bench(base, "baseline, batch 64", "training step, captured", None, 1, 100e3);
    bench(base, "conv2d", "forward", Some("odd"), 1, 12_340.0);
    bench(base, "conv2d rungs", "tiled", Some("odd"), 2_000_000, 1000.0);
    let row = |way: &str, tf32, group: &str, function: &str, what: &str, seconds| json!({"way": way, "tf32": tf32, "group": group, "function": function, "what": what, "seconds": seconds});
    let torch = json!({"torch": "2.11", "cuda": "13.0", "cudnn": 91900, "device": "X1", "left_out": ["tanh"], "rows": [
        row("eager", false, "baseline, batch 64", "training step", "", 8e-4),
        row("CUDA graph", false, "baseline, batch 64", "training step", "", 2e-4),
        row("CUDA graph", true, "baseline, batch 64", "training step", "", 1e-4),
        row("eager", false, "conv2d", "forward", "odd", 2.0 * 12.34e-6),
    ]});
    fs::write(base.join("torch.json"), torch.to_string()).unwrap();

    let results = read::folder(base).unwrap();
    let page = markdown::of(&results);
    for wanted in [
        "# NVIDIA X1\n\n- driver: 580.1: a colon\n- PyTorch: 2.11, CUDA 13.0, cuDNN 91900, on X1\n",
        "9 passed and 1 failed, in 2 programs",
        "| b | failed | 2 | 1 | 3.0 |\n| a | passed | 7 | 0 | 1.5 |\n",
        "## Left out\n\n- wgpu: no Vulkan loader\n- PyTorch: tanh\n",
        "| baseline, batch 64 | training step | 400 | 100 | 800 | - | - | 200 / 100 | 2.00 |\n",
        "| conv2d | odd | forward | 12.3 | 24.7 | - | - | - | 2.00 |\n",
        "| conv2d | odd | tiled | 1.00 | 2000.0 |\n",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    assert_eq!(serde_json::to_value(&results).unwrap()["times"].as_array().unwrap().len(), 4);
}

/// Whatever was finished is in the table: nothing at all, a bench that was stopped, a broken file.
#[test]
fn what_is_missing_is_left_out_and_what_is_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    assert_eq!(markdown::of(&read::folder(base).unwrap()), "# an unknown card\n\n");
    bench(base, "conv2d", "forward", Some("odd"), 1, 1.0);
    fs::remove_file(base.join("criterion/conv2dforwardSome(\"odd\")/new/estimates.json")).unwrap();
    assert!(read::folder(base).unwrap().times.is_empty());
    fs::write(base.join("tests.tsv"), "a\tpassed\tseven\t0\t1\n").unwrap();
    assert!(read::folder(base).unwrap_err().to_string().contains("seven"));
}

/// What PyTorch's side times: rows of the table of cases, and networks.
fn pytorch_times() -> Option<(Vec<String>, Vec<String>)> {
    let list = Command::new("python3").args(["-B", "benches/peers/torch_gpu.py", "--list"]).output();
    let Ok(list) = list else {
        common::say("skipped, needs python3: it could not be started");
        return None;
    };
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let lines = String::from_utf8(list.stdout).unwrap();
    Some(lines.lines().map(String::from).partition(|line| !line.starts_with("training step\t")))
}

/// The same networks under the same names, with as many parameters; `torch_gpu.py` counts its own.
#[test]
fn pytorch_times_the_same_networks() {
    let Some((_, theirs)) = pytorch_times() else { return };
    let ours = networks::all().into_iter().map(|network| {
        let parameters: usize = network.build().unwrap().parameters().iter().map(|p| p.numel()).sum();
        format!("training step\t{}\t{parameters}", network.group())
    });
    assert_eq!(theirs, ours.collect::<Vec<_>>());
}

/// PyTorch's rows stand beside ours by their names, so both tables of cases must hold the same.
#[test]
fn pytorch_times_the_same_cases() {
    let Some((theirs, _)) = pytorch_times() else { return };
    let of_case = |case: &common::Case| {
        let gradient = if case.differentiable { "True" } else { "False" };
        let shapes: Vec<String> = case.inputs.iter().map(|input| format!("{:?}", input.shape)).collect();
        format!("{}\t{}\t{gradient}\t{}", case.op, case.what, shapes.join("\t"))
    };
    let ours = common::cases::all();
    let ours: Vec<String> = ours.iter().filter(|case| case.flops.is_some()).map(of_case).collect();
    let missing: Vec<&String> = ours.iter().filter(|case| !theirs.contains(case)).collect();
    assert!(missing.is_empty(), "benches/peers/cases.py has no such cases:\n{missing:#?}");
    if common::cases::all_asked_for() {
        let more: Vec<&String> = theirs.iter().filter(|line| !ours.contains(line)).collect();
        assert!(
            more.is_empty(),
            "benches/peers/cases.py has cases that tests/common/cases/ has not:\n{more:#?}"
        );
    }
}
