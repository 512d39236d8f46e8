//! Birds vs airplanes: trains one of the book's networks on CIFAR-2.
//!
//! `cargo run --release --example birds_vs_airplanes -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::cifar2::{self, MODELS, Quirks, Settings};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Train a network to tell birds from airplanes, on CIFAR-2.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    #[arg(long, help = format!("The network: {}", models()), default_value_t = Settings::default().model)]
    model: String,
    /// Residual blocks, of res-deep [default: 100]
    #[arg(long, value_name = "N")]
    n_blocks: Option<usize>,
    /// How often the network sees each training image
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// The learning rate [default: 0.01, of res-deep 0.003]
    #[arg(long)]
    lr: Option<f64>,
    /// As printed of res-deep: one residual block N times, instead of N blocks
    #[arg(long)]
    shared_blocks: bool,
    /// As printed of all but the baseline: the images in the same order in every epoch
    #[arg(long)]
    no_shuffle: bool,
    /// As printed of all: measure without switching to evaluation mode
    #[arg(long)]
    no_eval_mode: bool,
    /// Everything that the printed run of the model does differently from what one should do
    #[arg(long)]
    as_printed: bool,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// The directory that holds cifar-10-batches-bin/ or cifar2/ [default: $VOXGRAD_DATA, else the
    /// user's cache directory, else a download]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Initial values and the order of the images come from it
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
    /// Print the network's layers, shapes, parameters and multiply-adds, and end
    #[arg(long)]
    summary: bool,
}

/// The names of all networks.
fn models() -> String {
    MODELS.each_ref().map(|variant| variant.name).join(", ")
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let arguments = Arguments::parse();
    let settings = Settings {
        model: arguments.model,
        n_blocks: arguments.n_blocks,
        quirks: Quirks {
            shared_blocks: arguments.shared_blocks,
            no_shuffle: arguments.no_shuffle,
            no_eval_mode: arguments.no_eval_mode,
        },
        as_printed: arguments.as_printed,
        epochs: arguments.epochs,
        batch_size: arguments.batch_size,
        lr: arguments.lr,
        device: arguments.device,
        data: arguments.data,
        seed: arguments.seed,
        out: arguments.out,
        resume: arguments.resume,
        profile: arguments.profile,
    };
    let mut console = Console::stdout();
    exit_code(match arguments.summary {
        true => cifar2::summary(&settings, &mut console),
        false => cifar2::run(&settings, &mut console, stop_on_ctrl_c),
    })
}
