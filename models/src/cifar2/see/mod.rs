//! What a convolution is and what it sees: `cargo run --release --example see_convolutions` only reads
//! the command line for it.

mod kernels;
mod pictures;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Shape, Tensor, checkpoint, no_grad};

use super::nets::Net;
use super::run::run_for;
use super::settings::Config;
use super::{Settings, table};
use crate::data::cifar2::{self, Cifar2};
use crate::trainer::{self, Console, Outcome};
use crate::{Error, Result};

pub use kernels::{apply_kernel, convolution_by_hand};
use pictures::Example;

/// What the program is told on the command line.
#[derive(Debug, Clone)]
pub struct SeeSettings {
    /// The baseline's weights, a `.safetensors` or a `.pt`; or nothing for those of the first of `runs`
    /// that trained the baseline.
    pub weights: Option<PathBuf>,
    /// Where runs may lie.
    pub runs: Vec<PathBuf>,
    /// How long to train where there are no weights.
    pub epochs: usize,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Where the data is, or nothing to look in the usual places.
    pub data: Option<PathBuf>,
    /// Where the pictures go.
    pub out: PathBuf,
}

impl Default for SeeSettings {
    fn default() -> SeeSettings {
        SeeSettings {
            weights: None,
            runs: [vec![Settings::default().out], table::runs_of_baseline()].concat(),
            epochs: 5,
            device: "auto".into(),
            data: None,
            out: "runs/see_convolutions".into(),
        }
    }
}

/// Prints what a convolution does to a small matrix and to the size of an image, and draws into
/// `settings.out` what kernels make of an airplane and a bird, `kernels.png`; the filters that the
/// baseline has learned, `filters.png`; and what each of its layers makes of either image,
/// `airplane.png` and `bird.png`. Where there are no weights it trains some first; `stop` is as for
/// `run`.
///
/// # Errors
/// For weights of another network, with all that differs; for data, a device or a directory that can't
/// be used; for whatever goes wrong in the training.
pub fn see(
    settings: &SeeSettings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let out = &settings.out;
    let device = Device::by_name(&settings.device)?;
    std::fs::create_dir_all(out)
        .map_err(|e| Error::Run(format!("--out {}: it cannot be written: {e}", out.display())))?;
    console.say(&convolution_by_hand()?);

    let model = Net::new()?;
    let weights = match weights(settings) {
        Some(weights) => weights,
        None => match train(settings, console, stop)? {
            Outcome::Finished => best(&training(out)),
            stopped => return Ok(stopped),
        },
    };
    load(&model, &weights)?;
    model.to(&device)?;
    model.eval();
    console.say(&format!("Weights: {}", weights.display()));

    let data = cifar2::load(settings.data.as_deref(), Settings::default().seed, console.has_bar())?;
    console.say(&format!("Data: {}\n", data.describe()));
    let examples = no_grad(|| examples(&data, &model, &device))?;

    console.say(&kernels::sizes(&examples[0].input)?);
    console.say(&format!("The network:\n{}", model.summary(examples[0].input.shape())?));
    for Example { class, probability, trace, .. } in &examples {
        let sure = 100.0 * probability;
        console.say(&format!("The {class} that it is surest of, {sure:.0}%, step by step:\n{trace}"));
    }
    pictures::draw_kernels(&out.join("kernels.png"), &examples)?;
    pictures::draw_filters(&out.join("filters.png"), &model.conv1.weight, "conv1")?;
    for example in &examples {
        pictures::draw_maps(&out.join(format!("{}.png", example.class)), example)?;
    }
    let names = "kernels.png, filters.png, airplane.png and bird.png";
    console.say(&format!("Pictures: {names} in {}", out.display()));
    Ok(Outcome::Finished)
}

/// The weights that were asked for, or else those of a run of the baseline.
fn weights(settings: &SeeSettings) -> Option<PathBuf> {
    let runs = settings.runs.iter().filter(|run| epochs_of_baseline(run).is_some());
    let of_run = || runs.map(|run| best(run)).find(|path| path.is_file());
    settings.weights.clone().or_else(of_run)
}

/// Where the weights of a run are.
fn best(run: &Path) -> PathBuf {
    run.join("best.safetensors")
}

/// How many epochs a run of the baseline was to have; `None` for any other directory.
fn epochs_of_baseline(run: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(run.join("config.json")).ok()?;
    let config: Config = serde_json::from_str(&text).ok()?;
    (config.model == Settings::default().model).then_some(config.epochs)
}

/// Where [`train`] trains.
fn training(out: &Path) -> PathBuf {
    out.join("training")
}

/// Trains the baseline, or goes on where such a training was stopped. One that is done stays as it is.
fn train(
    settings: &SeeSettings,
    console: &mut Console,
    stop: impl FnOnce() -> Result<Arc<AtomicBool>>,
) -> Result<Outcome> {
    let out = training(&settings.out);
    let saved = epochs_of_baseline(&out).zip(trainer::saved(&out).ok().flatten());
    let (epochs, resume) = match saved {
        Some((epochs, done)) if done.len() >= epochs => return Ok(Outcome::Finished),
        Some((epochs, _)) => (epochs, true),
        None => (settings.epochs, false),
    };
    console.say(&match resume {
        true => format!("Going on with the training in {}, of {epochs} epochs", out.display()),
        false => format!(
            "No weights of the baseline in {}: training it, --epochs {epochs}. They see more after \
             `cargo run --release --example birds_vs_airplanes`, or with --weights",
            settings.runs.iter().map(|run| run.display().to_string()).collect::<Vec<_>>().join(" or ")
        ),
    });
    let (device, data) = (settings.device.clone(), settings.data.clone());
    let training = Settings { epochs, device, data, out, resume, ..Settings::default() };
    run_for(&training, "The same command goes on from here", console, stop).map_err(|error| match error {
        Error::Run(message) if resume => {
            let out = training.out.display();
            Error::Run(format!("{message}. Without {out} it is trained from the beginning"))
        }
        error => error,
    })
}

fn load(model: &Net, weights: &Path) -> Result<()> {
    let (state, _) = checkpoint::load(weights)?;
    model
        .load_state_dict(&state)
        .map_err(|e| Error::file(weights, format!("{e}\nThe baseline's are needed here: --weights FILE")))
}

/// Of each class the validation image that the network is surest of, and its way through the network.
fn examples(data: &Cifar2, model: &Net, device: &Device) -> Result<Vec<Example>> {
    let images = data.images();
    let mut surest: Vec<Option<(usize, f64)>> = vec![None; data.class_names.len()];
    let mut index = 0;
    for batch in DataLoader::new(data.val.clone(), 100)?.device(device).epoch(0) {
        let probabilities = model.forward(&batch?.inputs)?.softmax(1)?.to_f64_vec()?;
        for probabilities in probabilities.chunks(data.class_names.len()) {
            let class = images.labels()[index] as usize;
            let probability = probabilities[class];
            if surest[class].is_none_or(|(_, best)| probability > best) {
                surest[class] = Some((index, probability));
            }
            index += 1;
        }
    }
    let example = |(class, surest): (&&'static str, Option<(usize, f64)>)| {
        let Some((index, probability)) = surest else {
            return Err(Error::Run(format!("there is no {class} among the validation images")));
        };
        let (input, _) = data.val.sample(index)?;
        let shape: Vec<usize> = [1].into_iter().chain(images.size()).collect();
        let input = Tensor::new(input, Shape::from(shape), device)?;
        let (trace, pixels) = (model.trace(&input), images.pixels(index)?.to_vec());
        Ok(Example { class, probability, pixels, size: images.size(), input, trace })
    };
    data.class_names.iter().zip(surest).map(example).collect()
}
