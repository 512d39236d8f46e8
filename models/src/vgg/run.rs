//! The lesson from beginning to end: network, weights, photograph, classes.

use std::path::Path;
use std::time::Instant;

use voxgrad_engine::checkpoint;
use voxgrad_engine::nn::Module;
use voxgrad_engine::{DType, Device, Tensor, manual_seed, no_grad};

use super::{MemoryPlan, Photo, SIDE, Settings, Vgg16, Vgg16Options};
use crate::trainer::{Console, Outcome};
use crate::{Error, Result};

/// As many classes are named, the likeliest first.
const LIKELIEST: usize = 5;

/// Classifies `settings.image` with `settings.weights`. Without an image it prints the network's layers,
/// the memory that they take, and the time of a forward pass.
///
/// # Errors
/// For settings that do not go together, before anything else happens; for a file or a device that can't
/// be used.
pub fn run(settings: &Settings, console: &mut Console) -> Result<Outcome> {
    settings.check()?;
    let device = Device::by_name(&settings.device)?;
    // The small files first: a slip in them is told before the large one is read.
    let photo = settings.image.as_deref().map(Photo::read).transpose()?;
    let labels = settings.labels.as_deref().map(read_labels).transpose()?;
    console.say_setup(&device);
    let (net, options) = network(settings, console)?;
    net.to(&device)?;
    net.eval();
    let Some(photo) = photo else {
        describe(&net, settings.batch_size, &device, console)?;
        return Ok(Outcome::Finished);
    };
    let labels = labels.map(|labels| labels.of(options.classes)).transpose()?;
    let (columns, rows) = photo.size();
    let note = photo.note.map_or(String::new(), |note| format!(", {note}"));
    console.say(&format!("Image: {columns} x {rows} pixels{note}"));
    for (class, probability) in likeliest(&net, &photo.normalised(&device)?)? {
        let name = match labels.as_ref().and_then(|names| names.get(class)) {
            Some(name) => name.clone(),
            None => format!("class {class}"),
        };
        console.say(&format!("{:5.1}%  {name}", 100.0 * probability));
    }
    Ok(Outcome::Finished)
}

/// The classes that `net` finds the likeliest for the image `[1, 3, 224, 224]`, with their probabilities.
fn likeliest(net: &Vgg16, image: &Tensor) -> Result<Vec<(usize, f64)>> {
    let probabilities = no_grad(|| net.forward(image)?.softmax(1)?.to_f64_vec())?;
    let mut classes: Vec<(usize, f64)> = probabilities.into_iter().enumerate().collect();
    classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    classes.truncate(LIKELIEST);
    Ok(classes)
}

/// The network with the weights of a file, or with random ones.
fn network(settings: &Settings, console: &mut Console) -> Result<(Vgg16, Vgg16Options)> {
    let asked = Vgg16Options {
        batch_norm: settings.batch_norm,
        global_max_pool: settings.global_max_pool,
        ..Vgg16Options::default()
    };
    let (net, options) = match &settings.weights {
        None => {
            manual_seed(settings.seed);
            (Vgg16::drawn(&asked)?, asked)
        }
        Some(path) => load(path, &asked)?,
    };
    let batch_norm = if options.batch_norm { ", batch normalisation" } else { "" };
    let pooling = if options.global_max_pool { ", global max pooling" } else { "" };
    let parameters = net.num_parameters();
    console.say(&format!("Model: VGG16{batch_norm}{pooling}, {parameters} parameters"));
    console.say(&match &settings.weights {
        Some(path) => format!("Weights: {}", path.display()),
        None => format!("Weights: random, of seed {}", settings.seed),
    });
    Ok((net, options))
}

fn load(path: &Path, asked: &Vgg16Options) -> Result<(Vgg16, Vgg16Options)> {
    let (state, _) = checkpoint::load(path)?;
    let options = Vgg16Options::of(&state);
    for (option, wanted, there) in [
        ("--batch-norm", asked.batch_norm, options.batch_norm),
        ("--global-max-pool", asked.global_max_pool, options.global_max_pool),
    ] {
        if wanted && !there {
            let message = format!("{option}: the weights in {} are of a network without", path.display());
            return Err(Error::Usage(message));
        }
    }
    match Vgg16::from_state(&options, &state) {
        Ok(net) => Ok((net, options)),
        Err(error) => {
            let wanted = "A state dict of torchvision's vgg16 or vgg16_bn is needed here";
            Err(Error::file(path, format!("{wanted}: {error}")))
        }
    }
}

/// The names of classes, and the file they are from.
struct Labels<'a> {
    path: &'a Path,
    names: Vec<String>,
}

impl Labels<'_> {
    /// When there is one for each of the network's classes.
    fn of(self, classes: usize) -> Result<Vec<String>> {
        match self.names.len() {
            n if n == classes => Ok(self.names),
            n => {
                let message =
                    format!("{n} names, one in each line, for the {classes} classes of the weights");
                Err(Error::file(self.path, message))
            }
        }
    }
}

fn read_labels(path: &Path) -> Result<Labels<'_>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    // A file's words are no commands for the terminal.
    let name = |line: &str| line.trim().chars().filter(|c| !c.is_control()).collect();
    Ok(Labels { path, names: text.lines().map(name).collect() })
}

/// Prints what there is to know of the network without training it.
fn describe(net: &Vgg16, batch_size: usize, device: &Device, console: &mut Console) -> Result<()> {
    let summary = net.summary(&[1, 3, SIDE, SIDE])?;
    console.say(summary.to_string().trim_end());
    console.say("");
    console.say(&MemoryPlan::new(&summary, batch_size).to_string());
    console.say("");
    let images = Tensor::zeros([batch_size, 3, SIDE, SIDE], DType::F32, device)?;
    let mut seconds = 0.0;
    // The first one builds kernels and asks for memory.
    for _ in 0..2 {
        let began = Instant::now();
        no_grad(|| net.forward(&images))?;
        device.synchronize()?;
        seconds = began.elapsed().as_secs_f64();
    }
    let rate = batch_size as f64 * summary.multiply_adds as f64 / seconds / 1e9;
    console.say(&format!("A forward pass: {seconds:.3} s, {rate:.1} billion multiply-adds a second"));
    Ok(())
}
