//! Every CUDA C++ kernel through NVIDIA's own compiler, which needs no GPU: no errors, no warnings, no
//! registers spilled to memory. `VOXGRAD_NVRTC` is the path of a libnvrtc.so; `scripts/nvrtc.sh` fetches
//! one. What each kernel needs is printed, and written as a table to the file `VOXGRAD_NVRTC_TABLE`.

mod library;
mod usage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;

use super::SOURCES;
use crate::device::Source;
use crate::device::cuda::compile;
use library::Nvrtc;
use usage::Usage;

/// The GPUs compiled for: RTX 20, A100, H100, B200 and their kin; the last if the compiler knows it.
const ARCHITECTURES: [i32; 4] = [75, 80, 90, 100];

/// Every kernel of `source`, compiled as for a device, or what is wrong with it.
fn compile(nvrtc: &Nvrtc, source: &Source, architecture: i32) -> Result<Vec<Usage>, String> {
    let text = compile::text(source);
    let mut options = compile::options(architecture);
    options.push("--ptxas-options=-v".into());
    let (compiled, log) = nvrtc.compile(&format!("{}.cu", source.name), &text, &options);
    let kernels = usage::read(&log);
    let spilling: Vec<&str> = kernels.iter().filter(|k| k.spills > 0).map(|k| &*k.kernel).collect();
    if !compiled {
        return Err(log);
    }
    if log.contains("warning") {
        return Err(format!("warnings:\n{log}"));
    }
    if !spilling.is_empty() {
        return Err(format!("registers are spilled to memory in {}:\n{log}", spilling.join(", ")));
    }
    // The word stands in comments too, but not in front of a type.
    let entries = text.matches("__global__ __launch_bounds__").count();
    if kernels.len() != entries {
        return Err(format!(
            "{entries} entry points, {} kernels in the compiler's log:\n{log}",
            kernels.len()
        ));
    }
    Ok(kernels)
}

#[test]
fn every_kernel_compiles_for_every_architecture() {
    let Some(path) = std::env::var_os("VOXGRAD_NVRTC") else {
        let required = std::env::var("VOXGRAD_REQUIRE").is_ok_and(|names| names.contains("nvrtc"));
        assert!(!required, "VOXGRAD_REQUIRE asks for nvrtc: VOXGRAD_NVRTC names no libnvrtc.so");
        return say("skipped, needs nvrtc: VOXGRAD_NVRTC names no libnvrtc.so");
    };
    let nvrtc = Nvrtc::open(Path::new(&path)).unwrap_or_else(|error| panic!("VOXGRAD_NVRTC: {error}"));
    let known = nvrtc.architectures();
    let architectures: Vec<i32> =
        ARCHITECTURES.into_iter().filter(|sm| *sm < 100 || known.contains(sm)).collect();

    let started = Instant::now();
    let tasks: Vec<(&Source, i32)> =
        SOURCES.iter().flat_map(|source| architectures.iter().map(|&sm| (*source, sm))).collect();
    let results: Vec<_> = tasks.par_iter().map(|(source, sm)| compile(&nvrtc, source, *sm)).collect();

    let mut kernels = Vec::new();
    // Most errors are the same for every architecture: said once.
    let mut failures = BTreeMap::<_, Vec<i32>>::new();
    for ((source, sm), result) in tasks.iter().zip(results) {
        match result {
            Ok(usages) => kernels.extend(usages.into_iter().map(|usage| (source.name, *sm, usage))),
            Err(log) => failures.entry((source.name, log)).or_default().push(*sm),
        }
    }
    let said = |((name, log), sm): (&(&str, String), &Vec<i32>)| format!("{name}.cu for {sm:?}: {log}\n");
    let said: Vec<String> = failures.iter().map(said).collect();
    assert!(said.is_empty(), "{} failures\n\n{}", said.len(), said.join("\n"));

    let (major, minor) = nvrtc.version();
    let table = usage::table(&kernels, &architectures);
    println!("{table}");
    let mut summary = format!(
        "nvrtc {major}.{minor}: {} sources, {} kernels for {architectures:?} without a warning or a spill in {:.1} s",
        SOURCES.len(),
        kernels.len() / architectures.len(),
        started.elapsed().as_secs_f64()
    );
    if let Some(file) = std::env::var_os("VOXGRAD_NVRTC_TABLE").map(std::path::PathBuf::from) {
        std::fs::write(&file, format!("# The kernels, compiled by NVRTC {major}.{minor}\n\n{table}"))
            .unwrap();
        write!(summary, "; registers and shared memory are listed in {}", file.display()).unwrap();
    }
    say(&summary);
}

/// Prints a line that is seen even where the test harness swallows the output of a passing test.
fn say(line: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
