//! Thoracic surgery: a small network by compile and fit, and what its accuracy hides.
//!
//! `cargo run --release --example thoracic -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::keras::OPTIMIZERS;
use voxgrad::models::thoracic::{self, LOSSES, Settings};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Train a network to tell who survives the year after an operation on lung cancer.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    #[arg(long, help = format!("What training makes small: {}", losses()), default_value_t = Settings::default().loss)]
    loss: String,
    #[arg(long, help = format!("The optimizer: {}", optimizers()), default_value_t = Settings::default().optimizer)]
    optimizer: String,
    /// Bring each attribute to mean 0 and standard deviation 1 first
    #[arg(long)]
    standardise: bool,
    /// How often the network sees each patient
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// Patients per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// The directory that holds thoracic/ or ThoracicSurgery3.csv [default: $VOXGRAD_DATA, else the user's
    /// cache directory, else patients are drawn]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Initial values, the patients for validation and the order of the others come from it
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
    /// Where metrics, pictures and checkpoints go; an older run there is moved aside
    #[arg(long, value_name = "DIR", default_value_os_t = Settings::default().out)]
    out: PathBuf,
    /// Go on with the run in --out where it stopped
    #[arg(long)]
    resume: bool,
    /// Show where the time of a few steps goes: a table of the ops, and a trace for chrome://tracing
    #[arg(long)]
    profile: bool,
}

/// The names of all losses that fit.
fn losses() -> String {
    LOSSES.map(|loss| loss.to_string()).join(", ")
}

/// The names of all optimizers.
fn optimizers() -> String {
    OPTIMIZERS.map(|(name, _)| name).join(", ")
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let arguments = Arguments::parse();
    let settings = Settings {
        loss: arguments.loss,
        optimizer: arguments.optimizer,
        standardise: arguments.standardise,
        epochs: arguments.epochs,
        batch_size: arguments.batch_size,
        device: arguments.device,
        data: arguments.data,
        seed: arguments.seed,
        out: arguments.out,
        resume: arguments.resume,
        profile: arguments.profile,
    };
    exit_code(thoracic::run(&settings, &mut Console::stdout(), stop_on_ctrl_c))
}
