//! MNIST: trains a lecture's network to read handwritten digits, and compares runs.
//!
//! `cargo run --release --example mnist -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::mnist::{self, Settings};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Train a network to read handwritten digits, on MNIST.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    /// Behind each convolution: sigmoid, tanh, relu, leaky-relu, elu or maxout
    #[arg(long, value_name = "NAME", default_value_t = Settings::default().activation)]
    activation: String,
    /// How the weights are moved: sgd or adam
    #[arg(long, value_name = "NAME", default_value_t = Settings::default().optimizer)]
    optimizer: String,
    /// Batch normalisation behind each convolution, as recommended
    #[arg(long)]
    batch_norm: bool,
    /// Let the learning rate rise to --lr in the first epochs and fall to nearly nothing in the last
    #[arg(long)]
    one_cycle: bool,
    /// Turn, shift and brighten or darken the training images at random
    #[arg(long)]
    augment: bool,
    /// How often the network sees each training image, at most
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
    /// End after so many epochs in a row without a lower validation loss
    #[arg(long, value_name = "EPOCHS", default_value_t = Settings::default().patience)]
    patience: usize,
    /// Images per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// The learning rate [default: 0.001 of adam, 0.01 of sgd]
    #[arg(long)]
    lr: Option<f64>,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// The directory that holds mnist/ [default: $VOXGRAD_DATA, else the user's cache directory, else a
    /// download]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The split into training and validation, initial values and the order of the images come from it
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
    /// Where metrics, pictures and checkpoints go; an older run there is moved aside [default: runs/mnist,
    /// with --compare runs/mnist_compared]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out where it stopped
    #[arg(long)]
    resume: bool,
    /// Show where the time of a few steps goes: a table of the ops, and a trace for chrome://tracing
    #[arg(long)]
    profile: bool,
    /// Print the network's layers, shapes, parameters and multiply-adds, and end
    #[arg(long)]
    summary: bool,
    /// Draw the curves of these runs side by side, and end
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["resume", "summary"])]
    compare: Vec<PathBuf>,
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let arguments = Arguments::parse();
    let mut console = Console::stdout();
    if !arguments.compare.is_empty() {
        let out = arguments.out.unwrap_or("runs/mnist_compared".into());
        return exit_code(mnist::compare(&arguments.compare, &out, &mut console));
    }
    let settings = Settings {
        activation: arguments.activation,
        optimizer: arguments.optimizer,
        batch_norm: arguments.batch_norm,
        one_cycle: arguments.one_cycle,
        augment: arguments.augment,
        epochs: arguments.epochs,
        patience: arguments.patience,
        batch_size: arguments.batch_size,
        lr: arguments.lr,
        device: arguments.device,
        data: arguments.data,
        seed: arguments.seed,
        out: arguments.out.unwrap_or(Settings::default().out),
        resume: arguments.resume,
        profile: arguments.profile,
    };
    exit_code(match arguments.summary {
        true => mnist::summary(&settings, &mut console),
        false => mnist::run(&settings, &mut console, stop_on_ctrl_c),
    })
}
