//! The kernel lab: every rung of an op's ladder on one set of shapes, how fast it is, how fast it could be, and how
//! far its numbers are from those in f64.
//!
//! `cargo run --release --example kernel_lab` lists the ops; `-- conv2d` tries one, `-- --help` says what else.

#[path = "../../tests/common/mod.rs"]
mod common;
mod rungs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::{Ladder, cases};
use voxgrad::Device;
use voxgrad::models::trainer::{Console, Outcome, exit_code};
use voxgrad::models::{Error, Result};

/// Time the kernels of an op, rung by rung, and hold them against what the machine can do.
#[derive(Parser)]
struct Arguments {
    /// The kernel, such as conv2d or softmax_backward; without it all are listed
    op: Option<String>,
    /// Where to compute: cpu, cuda, cuda:N, wgpu, wgpu:NAME, or several with commas between
    #[arg(long, value_name = "DEVICE", value_delimiter = ',', default_value = "cpu")]
    device: Vec<String>,
    /// The inputs' shapes, such as 64,16,32,32 8,16,3,3 [default: the op's largest in the table of cases]
    #[arg(long, value_name = "SIZES", num_args = 1.., conflicts_with = "case")]
    shape: Vec<String>,
    /// One of the table of cases, by a part of its name
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Only this rung, by its number in the list
    #[arg(long, value_name = "N")]
    rung: Option<usize>,
    /// Time the same in another engine, too
    #[arg(long)]
    against: Option<Peer>,
    /// Where the pictures go
    #[arg(long, value_name = "DIR", default_value = "runs/kernel_lab")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// PyTorch, on the CPU
    Torch,
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    exit_code(run(&Arguments::parse(), &mut Console::stdout()).map(|()| Outcome::Finished))
}

fn run(arguments: &Arguments, console: &mut Console) -> Result<()> {
    let Some(op) = &arguments.op else {
        list(console);
        return Ok(());
    };
    let ladder = choose(op, arguments)?;
    let devices = arguments.device.iter().map(|name| Ok(Device::by_name(name)?));
    for device in devices.collect::<Result<Vec<_>>>()? {
        let torch = arguments.against.is_some();
        rungs::measure(&ladder, &device, arguments.rung, torch, &arguments.out, console)?;
    }
    Ok(())
}

/// The names of all kernels, and of their rungs.
fn list(console: &mut Console) {
    let mut line = |kernel: &str, cpu: &str, gpu: &str| console.say(&format!("{kernel:<28}{cpu:<36}{gpu}"));
    let mut shown: Vec<&str> = Vec::new();
    line("kernel", "rungs on the CPU", "on a GPU");
    for ladder in cases::ladders() {
        if !shown.contains(&ladder.kernel) {
            shown.push(ladder.kernel);
            line(ladder.kernel, &numbered(ladder.rungs_of(false)), &numbered(ladder.rungs_of(true)));
        }
    }
    console.say(
        "\n`kernel_lab KERNEL` times one. The other ops have one rung; `cargo bench --bench ops` times all.",
    );
}

fn numbered(rungs: &[&str]) -> String {
    rungs.iter().enumerate().map(|(i, rung)| format!("{i} {rung}")).collect::<Vec<_>>().join(", ")
}

/// The ladder that is asked for.
fn choose(op: &str, arguments: &Arguments) -> Result<Ladder> {
    let of_op = || cases::ladders().into_iter().filter(|ladder| ladder.kernel == op);
    if of_op().next().is_none() {
        let mut names: Vec<&str> = cases::ladders().iter().map(|ladder| ladder.kernel).collect();
        names.dedup();
        return Err(Error::Usage(format!("{op}: there is no kernel of that name; use {}", names.join(", "))));
    }
    if !arguments.shape.is_empty() {
        let shapes = arguments.shape.iter().map(|text| shape(text)).collect::<Result<Vec<_>>>()?;
        let refused = |why| Error::Usage(format!("--shape {}: {why}", arguments.shape.join(" ")));
        return cases::shaped(op, &shapes).map_err(refused);
    }
    let wanted = arguments.case.as_deref().unwrap_or_default();
    let found = of_op().filter(|ladder| ladder.what.contains(wanted)).max_by_key(|ladder| ladder.flops);
    found.ok_or_else(|| {
        let names: Vec<String> = of_op().map(|ladder| ladder.what).collect();
        Error::Usage(format!(
            "--case {wanted}: {op} has none with that in its name; it has\n  {}",
            names.join("\n  ")
        ))
    })
}

/// `64,16,32,32`, with commas or x between.
fn shape(text: &str) -> Result<Vec<usize>> {
    let sizes: Option<Vec<usize>> =
        text.split([',', 'x']).map(|size| size.trim().parse().ok().filter(|&size| size > 0)).collect();
    let usage = |why: &str| Error::Usage(format!("--shape {text}: {why}"));
    let sizes =
        sizes.ok_or_else(|| usage("sizes are whole numbers from 1 up, with commas between: 64,16,32,32"))?;
    let numel = sizes.iter().try_fold(1u32, |all, &size| all.checked_mul(u32::try_from(size).ok()?));
    numel.filter(|&n| n <= 1 << 30).ok_or_else(|| usage("that is more than 2^30 elements"))?;
    Ok(sizes)
}
