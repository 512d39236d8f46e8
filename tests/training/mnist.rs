//! The lesson on MNIST with a handful of drawn digits: what it says and what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad::data::DataLoader;
use voxgrad::models::data::drawn::{Split, digits};
use voxgrad::models::data::{Images, mnist as files};
use voxgrad::models::mnist::net::{Activation, cnn_with};
use voxgrad::models::mnist::{self, Settings};
use voxgrad::models::trainer::{Console, Outcome, evaluate};
use voxgrad::models::{Error, Result};
use voxgrad::nn::Module;
use voxgrad::{Device, checkpoint};

use crate::lesson::{Said, assert_same_losses};
use crate::{devices, metrics};

/// Writes `mnist/` below `dir`: drawn digits in the official files, unpacked.
pub fn write_mnist(dir: &Path, to_train: usize, test: usize, seed: u64) {
    let folder = dir.join("mnist");
    fs::create_dir_all(&folder).unwrap();
    let head =
        |numbers: &[usize]| -> Vec<u8> { numbers.iter().flat_map(|&n| (n as u32).to_be_bytes()).collect() };
    let write = |name: &str, images: Images| {
        let pixels: Vec<u8> = (0..images.len()).flat_map(|i| images.pixels(i).unwrap().to_vec()).collect();
        let labels = images.labels().iter().map(|&label| label as u8).collect();
        fs::write(
            folder.join(format!("{name}-images-idx3-ubyte")),
            [head(&[2051, images.len(), 28, 28]), pixels].concat(),
        )
        .unwrap();
        fs::write(
            folder.join(format!("{name}-labels-idx1-ubyte")),
            [head(&[2049, images.len()]), labels].concat(),
        )
        .unwrap();
    };
    write("train", digits(to_train, Split::Train, seed).unwrap());
    write("t10k", digits(test, Split::Val, seed).unwrap());
}

fn settings(base: &Path) -> Settings {
    Settings {
        epochs: 2,
        batch_size: 16,
        device: "cpu".into(),
        data: Some(base.join("data")),
        out: base.join("out"),
        ..Settings::default()
    }
}

/// Runs the lesson; what it said, and how it ended.
fn run(settings: &Settings) -> (Vec<String>, Result<Outcome>) {
    let said = Said::default();
    let never = || Ok(Arc::new(AtomicBool::new(false)));
    let ended = mnist::run(settings, &mut Console::to(said.clone()), never);
    (said.lines(), ended)
}

fn refusal(settings: &Settings) -> String {
    run(settings).1.unwrap_err().to_string()
}

fn json(path: PathBuf) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_says_and_writes_what_the_lecture_shows() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 100, 30, 0);
    let settings = Settings { epochs: 3, batch_norm: true, ..settings(base.path()) };
    let (said, ended) = run(&settings);
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said:?}");
    let line =
        |start: &str| said.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(line("Data: ").contains("80 training, 20 validation and 30 test images of MNIST"));
    assert_eq!(line("Model: "), "Model: relu, batch-norm, adam, 29034 parameters");
    assert_eq!(said.iter().filter(|line| line.contains(" Epoch ") && line.contains("val_loss")).count(), 3);

    // The weights with the lowest validation loss are those that are tested, and tested right.
    let epochs = metrics(&settings.out);
    let loss = |epoch: &serde_json::Value| epoch["val_loss"].as_f64().unwrap();
    let best = epochs.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert_eq!(
        line("Lowest val"),
        &format!("Lowest validation loss: {:.4}, after epoch {}", loss(best), best["epoch"])
    );
    let net = cnn_with(Activation::ReLU, true).unwrap();
    net.load_state_dict(&checkpoint::load(settings.out.join("best.safetensors")).unwrap().0).unwrap();
    let data = files::load(settings.data.as_deref(), settings.seed, false).unwrap();
    let measure = |set: Arc<Images>| {
        evaluate(&net, &DataLoader::new(set, 7).unwrap(), &AtomicBool::new(false)).unwrap().unwrap()
    };
    assert!((measure(data.val).loss / loss(best) - 1.0).abs() < 1e-4);
    let accuracy = measure(data.test).accuracy;
    let tested = json(settings.out.join("test.json"));
    assert_eq!((&tested["epoch"], &tested["images"]), (&best["epoch"], &30.into()));
    assert!((tested["test_acc"].as_f64().unwrap() - accuracy).abs() < 1e-9, "{tested} {accuracy}");
    let wrong = (30.0 * (1.0 - accuracy)).round();
    assert_eq!(line("Accuracy test: "), &format!("Accuracy test: {accuracy:.4}, {wrong} of 30 wrong"));
    assert!(line("The most frequent mistake: a ").contains(" taken for a "));

    for picture in ["loss.png", "accuracy.png", "classes.png", "digits.png", "predictions.png"] {
        let bytes = fs::read(settings.out.join(picture)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "{picture}: {} bytes", bytes.len());
    }
    let config = json(settings.out.join("config.json"));
    assert_eq!((&config["activation"], &config["batch_norm"]), (&"relu".into(), &true.into()));
    assert_eq!((&config["lr"], &config["val_images"]), (&0.001.into(), &20.into()));
}

#[test]
fn every_choice_trains() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 60, 10, 0);
    let mut losses = vec![];
    let mut train = |settings: Settings| {
        let (said, ended) = run(&settings);
        assert_eq!(ended.unwrap(), Outcome::Finished, "{said:?}");
        losses.push(metrics(&settings.out)[0]["train_loss"].as_f64().unwrap());
    };
    for activation in Activation::ALL {
        for (optimizer, batch_norm) in [("sgd", false), ("adam", true)] {
            let (activation, optimizer) = (activation.to_string(), optimizer.to_string());
            train(Settings { epochs: 1, activation, optimizer, batch_norm, ..settings(base.path()) });
        }
    }
    train(Settings { epochs: 1, augment: true, ..settings(base.path()) });
    assert!(losses.iter().all(|loss| (0.5..6.0).contains(loss)), "{losses:?}");
    let n = losses.len();
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    assert_eq!(losses.len(), n, "each choice changes the training");
}

#[test]
fn training_ends_when_the_validation_loss_no_longer_falls() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 60, 10, 0);
    // Steps too small to change any weight: every epoch is like the first.
    let (optimizer, lr) = ("sgd".to_string(), Some(1e-30));
    let still = Settings { epochs: 50, patience: 2, optimizer, lr, ..settings(base.path()) };
    let (said, ended) = run(&still);
    assert_eq!(ended.unwrap(), Outcome::Finished);
    assert_eq!(metrics(&still.out).len(), 3, "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("Stopped early: ")), "{said:?}");
    assert_eq!(json(still.out.join("test.json"))["epoch"], 1);
}

#[test]
fn resume_goes_on_where_it_stopped_and_only_with_the_same_settings() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 60, 10, 0);
    let whole =
        Settings { augment: true, batch_norm: true, out: base.path().join("whole"), ..settings(base.path()) };
    run(&whole).1.unwrap();
    let first = Settings { epochs: 1, out: base.path().join("out"), ..whole.clone() };
    run(&first).1.unwrap();
    let resumed = Settings { epochs: 2, resume: true, ..first.clone() };
    let other = Settings { activation: "elu".into(), ..resumed.clone() };
    assert!(refusal(&other).contains(r#"activation was "relu", now it is "elu""#));
    // Another seed splits off other images.
    assert!(refusal(&Settings { seed: 1, ..resumed.clone() }).contains("data_md5 was"));
    run(&resumed).1.unwrap();
    for name in ["last.safetensors", "best.safetensors", "test.json"] {
        assert_eq!(
            fs::read(resumed.out.join(name)).unwrap(),
            fs::read(whole.out.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(metrics(&resumed.out), metrics(&whole.out));

    let (said, _) = run(&first);
    assert!(said.iter().any(|line| line.ends_with("out.1")), "an older run is moved aside: {said:?}");
    assert!(base.path().join("out.1/test.json").exists());
}

#[test]
fn settings_and_data_are_checked_before_anything_is_written() {
    let base = tempfile::tempdir().unwrap();
    for wrong in [
        Settings { patience: 0, ..settings(base.path()) },
        Settings { activation: "step".into(), ..settings(base.path()) },
        Settings { optimizer: "newton".into(), ..settings(base.path()) },
    ] {
        assert!(matches!(run(&wrong).1.unwrap_err(), Error::Usage(_)));
    }
    assert!(!base.path().join("out").exists());
    write_mnist(&base.path().join("data"), 60, 10, 0);
    let labels = base.path().join("data/mnist/t10k-labels-idx1-ubyte");
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let message = refusal(&settings(base.path()));
    assert!(message.contains("t10k-labels-idx1-ubyte: it has 9 labels"), "{message}");
    assert!(!base.path().join("out/config.json").exists());
}

/// Compares runs; what was said, and how it ended.
fn compare(paths: &[&Path], out: &Path) -> (Vec<String>, Result<Outcome>) {
    let said = Said::default();
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    let ended = mnist::compare(&paths, out, &mut Console::to(said.clone()));
    (said.lines(), ended)
}

#[test]
fn runs_are_compared_by_what_they_do_differently() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 60, 10, 0);
    let train = |name: &str, change: fn(&mut Settings)| {
        let mut settings = Settings { out: base.path().join(name), ..settings(base.path()) };
        change(&mut settings);
        run(&settings).1.unwrap();
        settings.out
    };
    let plain = train("plain", |_| {});
    let normed = train("normed", |s| s.batch_norm = true);
    let sgd = train("sgd", |s| (s.batch_norm, s.optimizer, s.epochs) = (true, "sgd".into(), 1));
    let again = train("again", |s| s.epochs = 1);

    let out = base.path().join("compared");
    let (said, ended) = compare(&[&plain, &normed, &sgd], &out);
    assert_eq!(ended.unwrap(), Outcome::Finished);
    let named = |name: &str| said.iter().any(|line| line.starts_with(&format!("{name}  ")));
    for name in ["no batch-norm, adam", "batch-norm, adam", "batch-norm, sgd"] {
        assert!(named(name), "{name}: {said:#?}");
    }
    let tested = json(normed.join("test.json"))["test_acc"].as_f64().unwrap();
    assert!(said[2].contains(&format!("{tested:.4}")), "{said:#?}");
    for picture in ["compare_loss.png", "compare_accuracy.png"] {
        assert!(fs::read(out.join(picture)).unwrap().starts_with(b"\x89PNG"));
    }
    // What does the same is told apart by its directory; the older comparison is moved aside.
    let (said, ended) = compare(&[&plain, &again], &out);
    ended.unwrap();
    assert!(said.iter().any(|line| line.starts_with(&format!("{}  ", again.display()))), "{said:#?}");
    assert!(base.path().join("compared.1/compare_loss.png").exists());
}

#[test]
fn only_runs_of_the_lesson_are_compared() {
    let base = tempfile::tempdir().unwrap();
    let out = base.path().join("compared");
    let refusal = |paths: &[&Path]| compare(paths, &out).1.unwrap_err().to_string();
    let empty = base.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(refusal(&[&empty]), "--compare with 1 directory: give from 2 to 6");
    assert_eq!(refusal(&[&*empty; 7]), "--compare with 7 directories: give from 2 to 6");
    assert!(refusal(&[&empty, &empty]).starts_with(&empty.join("config.json").display().to_string()));
    fs::write(empty.join("config.json"), r#"{"lesson": "birds_vs_airplanes"}"#).unwrap();
    let message = refusal(&[&empty, &empty]);
    assert!(message.ends_with(r#"it is of "birds_vs_airplanes", not of a run of "mnist""#), "{message}");
    fs::write(empty.join("config.json"), r#"{"lesson": "mnist"}"#).unwrap();
    let message = refusal(&[&empty, &empty]);
    assert!(message.ends_with("its run has no finished epoch yet: there is nothing to compare"), "{message}");
    assert!(!out.exists());
}

/// The lesson on a GPU: the losses of the CPU, maxout and batch normalisation included.
#[test]
fn mnist_on_a_gpu_is_mnist_on_the_cpu() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data"), 60, 10, 0);
    for activation in ["relu", "maxout"] {
        // Not Adam: a bias in front of batch normalisation has no gradient but for rounding, of which Adam makes
        // whole steps.
        let (activation, optimizer) = (activation.into(), "sgd".into());
        let choices = Settings { activation, optimizer, batch_norm: true, ..settings(base.path()) };
        let on_cpu = Settings { out: base.path().join("cpu"), ..choices.clone() };
        run(&on_cpu).1.unwrap();
        for device in devices::present().iter().filter(|device| **device != Device::Cpu) {
            let on_gpu = Settings { device: devices::name_of(device), ..choices.clone() };
            run(&on_gpu).1.unwrap();
            assert_same_losses(&on_gpu.out, &on_cpu.out);
        }
    }
}
