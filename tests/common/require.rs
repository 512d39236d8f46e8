//! What this machine may lack: a test without it says so, or fails when `VOXGRAD_REQUIRE` names it.
#![allow(dead_code)]

/// All that `VOXGRAD_REQUIRE` takes: the kinds of devices, NVIDIA's compiler, real data, more reference
/// cases.
const NAMES: [&str; 6] = ["cpu", "wgpu", "cuda", "nvrtc", "data", "conformance"];

/// Prints a line that is seen even where the test harness swallows the output of a passing test.
pub fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says that what needs `name` is left out, and why; fails when `VOXGRAD_REQUIRE` (for example
/// `cpu,data`) names it.
pub fn skip(name: &str, why: impl std::fmt::Display) {
    let required = std::env::var("VOXGRAD_REQUIRE").unwrap_or_default();
    let required: Vec<&str> = required.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = required.iter().find(|name| !NAMES.contains(name)) {
        panic!("VOXGRAD_REQUIRE names {unknown:?}; it takes a comma-separated list of {NAMES:?}");
    }
    assert!(!required.contains(&name), "VOXGRAD_REQUIRE asks for {name}: {why}");
    say(format!("skipped, needs {name}: {why}"));
}
