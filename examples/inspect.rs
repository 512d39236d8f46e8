//! Lists the tensors of a checkpoint, a `.safetensors` or PyTorch's `.pt`: name, shape, type, and what
//! their elements are like.
//!
//! `cargo run --example inspect -- runs/birds_vs_airplanes/best.safetensors`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::checkpoint;
use voxgrad::models::trainer::Console;

/// List what is in a checkpoint file.
#[derive(Parser)]
struct Arguments {
    /// A .safetensors file, or a state dict saved by torch.save
    file: PathBuf,
}

fn main() -> ExitCode {
    match checkpoint::read(Arguments::parse().file).and_then(|checkpoint| checkpoint.describe()) {
        Ok(text) => Console::stdout().say(text.trim_end()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
