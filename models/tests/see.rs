//! The program that shows what a convolution sees, on a small data set.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
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
        last_run: base.join("run"),
        epochs: 1,
        device: "cpu".into(),
        data: Some(base.into()),
        out: base.join("see"),
    }
}

/// What it ended with and what it said.
fn run(settings: &SeeSettings, stop: bool) -> (Result<Outcome>, String) {
    let said = Said::default();
    let outcome = see(settings, &mut Console::to(said.clone()), || Ok(Arc::new(AtomicBool::new(stop))));
    let said = said.0.lock().unwrap().clone();
    (outcome, String::from_utf8(said).unwrap())
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
    let (outcome, _) = run(&settings, true);
    assert!(matches!(outcome.unwrap(), Outcome::Stopped { .. }));
    assert!(!settings.out.join("kernels.png").exists());

    let (outcome, said) = run(&settings, false);
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    for part in [
        "  12  12  17\n",
        "training the baseline, --epochs 1",
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
    assert!(
        !said.contains("training the baseline") && said.contains("see/training/best.safetensors"),
        "{said}"
    );

    // Those of a run come first, and those that are asked for before them.
    std::fs::create_dir(base.path().join("run")).unwrap();
    let of_run = base.path().join("run/best.safetensors");
    checkpoint::save(&of_run, &Net::new().unwrap().state_dict().unwrap(), &Default::default()).unwrap();
    let (_, said) = run(&settings, false);
    assert!(said.contains(&format!("Weights: {}\n", of_run.display())), "{said}");
    let pytorch = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/pytorch/files/net.pt");
    let (outcome, said) = run(&SeeSettings { weights: Some(pytorch), ..settings }, false);
    outcome.unwrap();
    assert!(said.contains("net.pt\n"), "{said}");
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
    assert!(message.contains("The baseline's are needed here"), "{message}");
    let none = SeeSettings { weights: Some("no/such.pt".into()), ..settings(base.path()) };
    assert!(run(&none, false).0.unwrap_err().to_string().starts_with("no/such.pt: "));
    assert_eq!(std::fs::read_dir(base.path().join("see")).unwrap().count(), 0);
}
