//! The table of the book's CIFAR-2 chapter: trains all its networks and puts them side by side.
//!
//! `cargo run --release --example cifar2_table -- --help`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use voxgrad::models::cifar2::{self, MODELS, TableSettings};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Train all networks of the CIFAR-2 chapter and write its table: table.md, table.json, table.png.
///
/// Every run stays in --out, and the table shows all that are finished there. So it can be made in
/// pieces: `--models res-deep --n-blocks 10 --epochs 20 --resume` adds a row to the table in --out.
#[derive(Parser)]
#[command(allow_negative_numbers = true)]
struct Arguments {
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(help = format!("The networks, separated by commas [default: all: {}]", models()))]
    models: Vec<String>,
    /// Residual blocks, of res-deep [default: 100]
    #[arg(long, value_name = "N")]
    n_blocks: Option<usize>,
    /// Train them a second time with all that the book's printed runs do differently
    #[arg(long)]
    as_printed: bool,
    /// How often each network sees each training image
    #[arg(long, default_value_t = TableSettings::default().epochs)]
    epochs: usize,
    /// How often each network is trained, with other initial values and another order each time
    #[arg(long, default_value_t = TableSettings::default().seeds)]
    seeds: u64,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = TableSettings::default().device)]
    device: String,
    /// The directory that holds cifar-10-batches-bin/ or cifar2/ [default: $VOXGRAD_DATA, else the
    /// user's cache directory, else a download]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the table and its runs go; an older table there is moved aside
    #[arg(long, value_name = "DIR", default_value_os_t = TableSettings::default().out)]
    out: PathBuf,
    /// Go on with the table in --out where it stopped, or add to it
    #[arg(long)]
    resume: bool,
}

/// The names of all networks.
fn models() -> String {
    MODELS.each_ref().map(|variant| variant.name).join(",")
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let Arguments { models, n_blocks, as_printed, epochs, seeds, device, data, out, resume } =
        Arguments::parse();
    let settings = TableSettings { models, n_blocks, as_printed, epochs, seeds, device, data, out, resume };
    exit_code(cifar2::run_table(&settings, &mut Console::stdout(), stop_on_ctrl_c))
}
