//! The program that shows what a convolution sees, on a small data set.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use voxgrad_engine::checkpoint;
use voxgrad_engine::nn::Module;
use voxgrad_engine::random::Rng;
use voxgrad_models::Result;
use voxgrad_models::cifar2::nets::{Net, NetWidth};
use voxgrad_models::cifar2::{SeeSettings, see};
use voxgrad_models::data::cifar;
use voxgrad_models::trainer::{Console, Outcome};

/// Writes `cifar2/` with random images, of which birds are the darker ones.
fn write_cifar2(base: &Path) {
    let folder = base.join("cifar2");
    std::fs::create_dir_all(&folder).unwrap();
    for (stream, name) in cifar::FILES.into_iter().enumerate() {
        let mut rng = Rng::new(3, stream as u64);
        let mut bytes = Vec::new();
        for i in 0..20u8 {
            bytes.push(2 * (i % 2));
            bytes.extend(
                (1..cifar::RECORD).map(|_| (110.0 - 20.0 * f32::from(i % 2) + 30.0 * rng.normal()) as u8),
            );
        }
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn settings(base: &Path) -> SeeSettings {
    SeeSettings {
        weights: None,
        runs: vec![base.join("run"), base.join("table")],
        epochs: 1,
        device: "cpu".into(),
        data: Some(base.into()),
        out: base.join("see"),
    }
}

/// What it ended with and what it said.
fn run(settings: &SeeSettings, stop: bool) -> (Result<Outcome>, String) {
    run_until(settings, if stop { "" } else { "\0" })
}

/// Stops a training as soon as these words are said.
fn run_until(settings: &SeeSettings, words: &'static str) -> (Result<Outcome>, String) {
    let (said, stop) = (Said::default(), Arc::new(AtomicBool::new(words.is_empty())));
    let watch = Watch { said: said.clone(), words, stop: stop.clone() };
    let outcome = see(settings, &mut Console::to(watch), || Ok(stop));
    let said = said.0.lock().unwrap().clone();
    (outcome, String::from_utf8(said).unwrap())
}

struct Watch {
    said: Said,
    words: &'static str,
    stop: Arc<AtomicBool>,
}

impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if String::from_utf8_lossy(bytes).contains(self.words) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.said.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn size(path: &Path) -> (u32, u32) {
    image::load_from_memory(&std::fs::read(path).unwrap()).unwrap().into_rgb8().dimensions()
}

#[test]
fn it_trains_where_there_are_no_weights_and_draws_what_it_sees() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(base.path());
    let settings = settings(base.path());

    // Stopped in the training: nothing is drawn.
    let (outcome, said) = run(&settings, true);
    assert!(said.contains("training it, --epochs 1"), "{said}");
    assert!(matches!(outcome.unwrap(), Outcome::Stopped { .. }));
    assert!(!settings.out.join("kernels.png").exists());

    let (outcome, said) = run(&settings, false);
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    for part in [
        "  12  12  17\n",
        "Going on with the training in",
        "see/training/best.safetensors",
        "[1, 1, 30, 30]",
        "total                                   18,090        753,728",
        "The airplane that it is surest of",
        "The bird that it is surest of",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    // 16 filters in rows of 8; an image and 72 maps, in rows of 8.
    let (kernels, filters) =
        (size(&settings.out.join("kernels.png")), size(&settings.out.join("filters.png")));
    assert!(kernels.0 > 8 * 96 && filters.0 > 8 * 96, "{kernels:?} {filters:?}");
    let (airplane, bird) = (size(&settings.out.join("airplane.png")), size(&settings.out.join("bird.png")));
    assert_eq!(airplane, bird);
    assert!(bird.1 > 10 * 96, "{bird:?}");
    assert_ne!(
        std::fs::read(settings.out.join("airplane.png")).unwrap(),
        std::fs::read(settings.out.join("bird.png")).unwrap()
    );

    // Again: the weights are there.
    let (outcome, said) = run(&settings, false);
    outcome.unwrap();
    assert!(!said.contains("Epoch") && said.contains("see/training/best.safetensors"), "{said}");

    // Those of a run of the baseline come first, and those that are asked for before them.
    let config = std::fs::read_to_string(settings.out.join("training/config.json")).unwrap();
    for (place, model) in [("table", "baseline"), ("run", "width"), ("run", "baseline")] {
        let place = base.path().join(place);
        std::fs::create_dir_all(&place).unwrap();
        let config = config.replace("\"model\": \"baseline\"", &format!("\"model\": \"{model}\""));
        std::fs::write(place.join("config.json"), config).unwrap();
        let net: Box<dyn Module> = match model {
            "baseline" => Box::new(Net::new().unwrap()),
            _ => Box::new(NetWidth::new().unwrap()),
        };
        let weights = place.join("best.safetensors");
        checkpoint::save(&weights, &net.state_dict().unwrap(), &Default::default()).unwrap();
        let wanted = if model == "baseline" { weights } else { base.path().join("table/best.safetensors") };
        let (outcome, said) = run(&settings, false);
        outcome.unwrap();
        assert!(said.contains(&format!("Weights: {}\n", wanted.display())), "{said}");
    }
    let pytorch = "../engine/tests/pytorch/files/net.pt".into();
    let (outcome, said) = run(&SeeSettings { weights: Some(pytorch), ..settings }, false);
    outcome.unwrap();
    assert!(said.contains("net.pt\n"), "{said}");
}

/// A training that is stopped after its first epoch has weights, but is not done: it goes on by itself.
#[test]
fn a_stopped_training_goes_on() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(base.path());
    let stopped = SeeSettings { epochs: 3, ..settings(base.path()) };
    let (outcome, said) = run_until(&stopped, "Epoch 1,");
    assert!(matches!(outcome.unwrap(), Outcome::Stopped { epochs: 1, .. }), "{said}");
    assert!(said.contains("The same command goes on from here") && !said.contains("--resume"), "{said}");
    assert!(stopped.out.join("training/best.safetensors").exists());

    // To the epochs that it was begun with.
    let again = SeeSettings { epochs: 1, ..stopped };
    let (outcome, said) = run(&again, false);
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    assert!(said.contains("see/training, of 3 epochs") && said.contains("Going on in epoch 2"), "{said}");
    let lines = std::fs::read_to_string(again.out.join("training/metrics.jsonl")).unwrap().lines().count();
    assert_eq!(lines, 3);
    let (_, said) = run(&again, false);
    assert!(!said.contains("Epoch") && said.contains("see/training/best.safetensors"), "{said}");
}

#[test]
fn weights_of_another_network_are_refused_before_anything_is_drawn() {
    let base = tempfile::tempdir().unwrap();
    let weights = base.path().join("width.safetensors");
    checkpoint::save(&weights, &NetWidth::new().unwrap().state_dict().unwrap(), &Default::default()).unwrap();
    let (outcome, _) = run(&SeeSettings { weights: Some(weights), ..settings(base.path()) }, false);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("width.safetensors: the state dict does not fit"), "{message}");
    assert!(
        message.contains("conv1.weight: [32, 3, 3, 3] given, the network has [16, 3, 3, 3]"),
        "{message}"
    );
    assert!(message.contains("The baseline's are needed here: --weights"), "{message}");
    let none = SeeSettings { weights: Some("no/such.pt".into()), ..settings(base.path()) };
    assert!(run(&none, false).0.unwrap_err().to_string().starts_with("no/such.pt: "));
    assert_eq!(std::fs::read_dir(base.path().join("see")).unwrap().count(), 0);
}
