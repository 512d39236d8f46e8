//! LUNA: finds lung nodules in CT scans, "Deep Learning with PyTorch", chapters 9 to 12.
//!
//! `cargo run --release --example luna -- train` shows both halves of the lesson, on scans that it draws
//! itself where there are none.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use voxgrad::models::luna::ask::{self, ClassifySettings, LookSettings};
use voxgrad::models::luna::dataset::Split;
use voxgrad::models::luna::{
    self, Augment, CacheSettings, DrawSettings, Init, ScanSettings, Settings, Training,
};
use voxgrad::models::trainer::{Console, exit_code, stop_on_ctrl_c};

/// Find lung nodules in CT scans.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw CT scans of chests that nobody has, with tables as LUNA16 has them
    #[command(allow_negative_numbers = true)]
    Phantom(PhantomArguments),
    /// Cut the crops of all candidates, and keep them on disk
    #[command(allow_negative_numbers = true)]
    PrepCache(ScanArguments),
    /// Train: both halves of the lesson, or one training with --balanced or --unbalanced
    #[command(allow_negative_numbers = true)]
    Train(Box<TrainArguments>),
    /// Rank the candidates of one scan
    Classify(ClassifyArguments),
    /// Draw nodules in three planes, and what a network says of all candidates
    #[command(allow_negative_numbers = true)]
    Look(LookArguments),
}

#[derive(Args)]
struct PhantomArguments {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    scans: usize,
    /// The folder for scans and tables
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Rows of a scan in the table of candidates
    #[arg(long, value_name = "N", default_value_t = DrawSettings::default().candidates)]
    candidates: usize,
    /// The scans come from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct ScanArguments {
    /// The folder of LUNA16's scans and tables [default: luna in $VOXGRAD_DATA or in the user's cache
    /// directory, else drawn scans]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many scans to draw where there are none
    #[arg(long, value_name = "N", default_value_t = ScanSettings::default().phantoms)]
    scans: usize,
    /// Drawn scans, initial values, orders and changes of crops come from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where crops are kept, about 150 kB each [default: voxgrad/luna_crops in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The most GiB that may be kept there; 0 keeps nothing
    #[arg(long, value_name = "GIB", default_value_t = CacheSettings::default().limit_gib)]
    cache_limit: f64,
    /// Threads that make crops; 0 makes them when they are needed
    #[arg(long, value_name = "N", default_value_t = ScanSettings::default().num_workers)]
    num_workers: usize,
}

#[derive(Args)]
struct TrainArguments {
    /// What TensorBoard's two folders are called besides trn and val
    comment: Option<String>,
    /// One training: as many nodules as others
    #[arg(long, conflicts_with = "unbalanced")]
    balanced: bool,
    /// One training: each candidate once an epoch, as chapter 11 has it
    #[arg(long)]
    unbalanced: bool,
    /// All of the changes of crops below
    #[arg(long)]
    augmented: bool,
    /// Mirror crops
    #[arg(long)]
    augment_flip: bool,
    /// Move what they show
    #[arg(long)]
    augment_offset: bool,
    /// Scale it
    #[arg(long)]
    augment_scale: bool,
    /// Turn it about the body's axis
    #[arg(long)]
    augment_rotate: bool,
    /// Add noise
    #[arg(long)]
    augment_noise: bool,
    /// Epochs [default: as many as show the lesson]
    #[arg(long)]
    epochs: Option<usize>,
    /// Crops per step
    #[arg(long, default_value_t = Settings::default().batch_size)]
    batch_size: usize,
    /// The learning rate
    #[arg(long, default_value_t = Settings::default().lr)]
    lr: f64,
    /// The learning rate rises to --lr and falls to 0, as in the lesson's second half
    #[arg(long)]
    one_cycle: bool,
    /// Initial biases: zeros, or what the book's code comes to
    #[arg(long, value_name = "zeros|book", default_value_t = Settings::default().init)]
    init: Init,
    /// Samples of a balanced epoch [default: the number of candidates, at most 200000]
    #[arg(long, value_name = "N")]
    samples_per_epoch: Option<usize>,
    /// What is held out for validation: whole scans, or single candidates as in the book
    #[arg(long, value_name = "series|stride", default_value_t = Settings::default().split)]
    split: Split,
    /// Hold out every N-th
    #[arg(long, value_name = "N", default_value_t = Settings::default().val_stride)]
    val_stride: usize,
    /// Where to compute: auto, cpu, cuda, cuda:N, wgpu, or wgpu:NAME for the adapter of that name
    #[arg(long, default_value_t = Settings::default().device)]
    device: String,
    /// Where metrics, pictures and checkpoints go, a folder for each training; older runs there are moved
    /// aside
    #[arg(long, value_name = "DIR", default_value_os_t = Settings::default().out)]
    out: PathBuf,
    /// Go on with what is in --out where it stopped
    #[arg(long)]
    resume: bool,
    /// Show where the time of a few steps goes: a table of the ops, and a trace for chrome://tracing
    #[arg(long)]
    profile: bool,
    /// A folder for TensorBoard's two
    #[arg(long, value_name = "NAME")]
    tb_prefix: Option<String>,
    #[command(flatten)]
    scans: ScanArguments,
}

#[derive(Args)]
struct ClassifyArguments {
    /// The scan's .mhd file
    #[arg(long, value_name = "FILE")]
    scan: PathBuf,
    /// A table of candidates with the columns of LUNA16's candidates.csv; class may be missing
    #[arg(long, value_name = "CSV")]
    candidates: PathBuf,
    /// The network's weights
    #[arg(long, value_name = "FILE", default_value = "runs/luna/balanced/best.safetensors")]
    weights: PathBuf,
    /// Where to compute, as for train
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print only so many, 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top: usize,
}

#[derive(Args)]
struct LookArguments {
    /// Also show what the network of these weights says of all candidates
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How many nodules to draw, the largest ones
    #[arg(long, value_name = "N", default_value_t = 10)]
    nodules: usize,
    /// Where to compute, as for train
    #[arg(long, default_value = "auto")]
    device: String,
    /// The folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "runs/luna_look")]
    out: PathBuf,
    #[command(flatten)]
    scans: ScanArguments,
}

impl ScanArguments {
    fn settings(self) -> ScanSettings {
        let cache = CacheSettings { folder: self.cache, limit_gib: self.cache_limit };
        let ScanArguments { data, scans, seed, num_workers, .. } = self;
        ScanSettings { data, phantoms: scans, seed, cache, num_workers }
    }
}

impl TrainArguments {
    fn settings(self) -> Settings {
        Settings {
            training: match (self.balanced, self.unbalanced) {
                (false, false) => Training::Lesson,
                (balanced, _) => Training::One { balanced },
            },
            epochs: self.epochs,
            batch_size: self.batch_size,
            lr: self.lr,
            one_cycle: self.one_cycle,
            init: self.init,
            augment: Augment {
                all: self.augmented,
                flip: self.augment_flip,
                offset: self.augment_offset,
                scale: self.augment_scale,
                rotate: self.augment_rotate,
                noise: self.augment_noise,
            },
            samples_per_epoch: self.samples_per_epoch,
            split: self.split,
            val_stride: self.val_stride,
            device: self.device,
            scans: self.scans.settings(),
            out: self.out,
            resume: self.resume,
            profile: self.profile,
            tb_prefix: self.tb_prefix,
            comment: self.comment,
            estimates: true,
        }
    }
}

fn main() -> ExitCode {
    voxgrad::compute_here();
    let mut console = Console::stdout();
    let console = &mut console;
    exit_code(match Arguments::parse().command {
        Command::Phantom(PhantomArguments { scans, out, candidates, seed }) => {
            luna::draw(&DrawSettings { scans, out, candidates, seed }, console)
        }
        Command::PrepCache(arguments) => luna::prep_cache(&arguments.settings(), console),
        Command::Train(arguments) => luna::train(&arguments.settings(), console, stop_on_ctrl_c),
        Command::Classify(ClassifyArguments { scan, candidates, weights, device, top }) => {
            ask::classify(&ClassifySettings { scan, candidates, weights, device, top }, console)
        }
        Command::Look(LookArguments { weights, nodules, device, out, scans }) => {
            ask::look(&LookSettings { scans: scans.settings(), weights, device, out, nodules }, console)
        }
    })
}
