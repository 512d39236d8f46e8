//! Birds vs airplanes: trains one of the book's networks on CIFAR-2.
//!
//! `cargo run --release --example birds_vs_airplanes -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::cifar2::{self, MODELS, Settings};
use voxgrad::models::trainer::{Console, EXIT_INTERRUPTED, Outcome, stop_on_ctrl_c};
use voxgrad::models::{Error, Result};

/// Train a network to tell birds from airplanes, on CIFAR-2.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    #[arg(long, help = format!("The network: {}", models()), default_value_t = Settings::default().model)]
    model: String,
    /// How often the network sees each training image
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// The learning rate
    #[arg(long, default_value_t = Settings::default().lr)]
    lr: f64,
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
}

/// The names of all networks.
fn models() -> String {
    let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn main() -> ExitCode {
    match train(Arguments::parse()) {
        Ok(Outcome::Finished) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped { .. }) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn train(arguments: Arguments) -> Result<Outcome> {
    let Arguments { model, epochs, batch_size, lr, device, data, seed, out, resume } = arguments;
    let settings = Settings { model, epochs, batch_size, lr, device, data, seed, out, resume };
    cifar2::run(&settings, &mut Console::stdout(), stop_on_ctrl_c)
}
