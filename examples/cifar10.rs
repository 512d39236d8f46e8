//! CIFAR-10: trains a course's convolutional network to tell ten classes apart.
//!
//! `cargo run --release --example cifar10 -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::cifar10::{self, Settings};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Train a network to tell ten classes of photographs apart, on CIFAR-10.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    /// Mirror, shift and brighten or darken the training images at random
    #[arg(long)]
    augment: bool,
    /// Let the learning rate rise to --lr and fall again, once in all epochs
    #[arg(long)]
    one_cycle: bool,
    /// How often the network sees each training image
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// The learning rate, of Adam
    #[arg(long, default_value_t = Settings::default().lr)]
    lr: f64,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// The directory that holds cifar-10-batches-bin/ or its files [default: $VOXGRAD_DATA, else the
    /// user's cache directory, else a download]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The split into training and validation, initial values and the order of the images come from it
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

fn main() -> ExitCode {
    voxgrad::compute_here();
    let arguments = Arguments::parse();
    let settings = Settings {
        augment: arguments.augment,
        one_cycle: arguments.one_cycle,
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
        true => cifar10::summary(&settings, &mut console),
        false => cifar10::run(&settings, &mut console, stop_on_ctrl_c),
    })
}
