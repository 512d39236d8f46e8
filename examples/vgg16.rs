//! VGG16: what is on a photograph, with weights that PyTorch has saved; or what the network is made of.
//!
//! `cargo run --release --example vgg16 -- --help`
//!
//! Weights that know ImageNet's thousand classes come from Python, by
//! `torch.save(torchvision.models.vgg16(weights="DEFAULT").state_dict(), "vgg16.pth")`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::trainer::{Console, exit_code};
use voxgrad::models::vgg::{self, Settings};

/// Say what is on a photograph with VGG16. Without --image: show the network's layers, the memory that
/// they take, and the time of a forward pass.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    /// A state dict of torchvision's vgg16 or vgg16_bn: .pt, .pth or .safetensors [default: random values]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The photograph, PNG or JPEG
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A text file with the names of the classes, one in each line [default: their numbers]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Normalise each batch after every convolution (of --weights, the file says so itself)
    #[arg(long)]
    batch_norm: bool,
    /// Take the maximum of each 7 x 7 map before the linear layers (of --weights, the file says so itself)
    #[arg(long)]
    global_max_pool: bool,
    /// The images that memory and time are told of
    #[arg(long, value_name = "N", default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// Random values come from it
    #[arg(long, value_name = "N", default_value_t = Settings::default().seed)]
    seed: u64,
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let arguments = Arguments::parse();
    let settings = Settings {
        weights: arguments.weights,
        image: arguments.image,
        labels: arguments.labels,
        batch_norm: arguments.batch_norm,
        global_max_pool: arguments.global_max_pool,
        batch_size: arguments.batch_size,
        device: arguments.device,
        seed: arguments.seed,
    };
    exit_code(vgg::run(&settings, &mut Console::stdout()))
}
