//! What a convolution is, and what the layers of a trained network see in an airplane and a bird.
//!
//! `cargo run --release --example see_convolutions -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::cifar2::{SeeSettings, see};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Show what a convolution is, and what the layers of a trained network see.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    /// The baseline's weights, a .safetensors or a .pt [default: those that birds_vs_airplanes or
    /// cifar2_table has trained last; where there are none, some are trained]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How long to train where there are no weights
    #[arg(long, default_value_t = SeeSettings::default().epochs)]
    epochs: usize,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = SeeSettings::default().device)]
    device: String,
    /// The directory that holds cifar-10-batches-bin/ or cifar2/ [default: $VOXGRAD_DATA, else the
    /// user's cache directory, else a download]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the pictures go
    #[arg(long, value_name = "DIR", default_value_os_t = SeeSettings::default().out)]
    out: PathBuf,
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let Arguments { weights, epochs, device, data, out } = Arguments::parse();
    let settings = SeeSettings { weights, epochs, device, data, out, ..SeeSettings::default() };
    exit_code(see(&settings, &mut Console::stdout(), stop_on_ctrl_c))
}
