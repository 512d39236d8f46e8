//! Birds vs airplanes on a handful of made-up images: what it says and what it leaves behind.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use voxgrad::Device;
use voxgrad::models::cifar2::{self, Settings};
use voxgrad::models::trainer::{Console, Outcome};
use voxgrad::models::{Error, Result};

use crate::{devices, metrics, write_cifar2};

/// Collects what a run says.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_string).collect()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn settings(base: &Path) -> Settings {
    Settings {
        epochs: 2,
        batch_size: 8,
        device: "cpu".into(),
        data: Some(base.join("data")),
        out: base.join("out"),
        ..Settings::default()
    }
}

/// Runs the lesson; what it said, and how it ended.
pub fn run(settings: &Settings) -> (Vec<String>, Result<Outcome>) {
    let said = Said::default();
    let never = || Ok(Arc::new(AtomicBool::new(false)));
    let ended = cifar2::run(settings, &mut Console::to(said.clone()), never);
    (said.lines(), ended)
}

pub fn refusal(settings: &Settings) -> String {
    run(settings).1.unwrap_err().to_string()
}

#[test]
fn a_run_says_and_writes_what_the_book_does() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 12, 0);
    let settings = settings(base.path());
    let (said, ended) = run(&settings);
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said:?}");

    let line =
        |start: &str| said.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{said:#?}"));
    assert_eq!(line("Device: "), "Device: cpu");
    assert!(line("Build: ").contains(if cfg!(debug_assertions) { "slower" } else { "release" }));
    assert!(line("Data: ").contains("60 training and 12 validation images"), "{}", line("Data: "));
    assert_eq!(line("Model: "), "Model: baseline, 18090 parameters");
    let lines = metrics(&settings.out);
    assert_eq!(lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    // 2026-01-01 21:06:27 Epoch 1, Training loss 0.5807
    let epochs: Vec<&String> = said.iter().filter(|line| line.contains("Epoch")).collect();
    let loss = format!("Epoch 1, Training loss {:.4}", lines[0]["train_loss"].as_f64().unwrap());
    let [epoch] = epochs[..] else { panic!("one line, for epoch 1: {epochs:?}") };
    let (time, rest) = epoch.split_at("2026-01-01 21:06:27 ".len());
    assert_eq!(rest, loss);
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    assert_eq!(time.chars().map(digits).collect::<String>(), "0000-00-00 00:00:00 ");
    let accuracy = |key: &str| lines[1][key].as_f64().unwrap();
    assert_eq!(line("Accuracy train: "), &format!("Accuracy train: {:.2}", accuracy("train_acc")));
    assert_eq!(line("Accuracy val: "), &format!("Accuracy val: {:.2}", accuracy("val_acc")));

    for picture in ["loss.png", "accuracy.png", "predictions.png"] {
        let bytes = fs::read(settings.out.join(picture)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "{picture}: {} bytes", bytes.len());
    }
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(settings.out.join("config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["model"], &config["lr"], &config["seed"]),
        (&"baseline".into(), &0.01.into(), &0.into())
    );
    for name in ["last.safetensors", "best.safetensors"] {
        let (tensors, _) = voxgrad::checkpoint::load(settings.out.join(name)).unwrap();
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        for wanted in ["conv1.weight", "conv1.bias", "conv2.weight", "fc1.weight", "fc2.bias"] {
            assert!(names.contains(&wanted), "{name}: {names:?}");
        }
    }
}

#[test]
fn a_second_run_moves_the_first_aside() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let settings = Settings { epochs: 1, ..settings(base.path()) };
    run(&settings).1.unwrap();
    let first = fs::read(settings.out.join("last.safetensors")).unwrap();
    let (said, ended) = run(&Settings { seed: 1, ..settings.clone() });
    ended.unwrap();
    assert!(said.iter().any(|line| line.ends_with("out.1")), "{said:?}");
    assert_eq!(fs::read(base.path().join("out.1/last.safetensors")).unwrap(), first);
    assert_ne!(fs::read(settings.out.join("last.safetensors")).unwrap(), first);
}

#[test]
fn resume_goes_on_only_with_the_same_settings() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    write_cifar2(&base.path().join("other"), 4, 1);
    let first = Settings { epochs: 1, ..settings(base.path()) };
    assert!(refusal(&Settings { resume: true, ..first.clone() }).contains("nothing to go on with"));
    run(&first).1.unwrap();

    let resumed = Settings { resume: true, epochs: 2, ..first };
    let other = |change: fn(&mut Settings)| {
        let mut settings = resumed.clone();
        change(&mut settings);
        refusal(&settings)
    };
    assert!(other(|s| s.lr = Some(0.02)).contains("lr was 0.01, now it is 0.02"));
    assert!(other(|s| s.batch_size = 4).contains("batch_size was 8, now it is 4"));
    assert!(other(|s| s.seed = 3).contains("seed was 0, now it is 3"));
    let data = Settings { data: Some(base.path().join("other")), ..resumed.clone() };
    assert!(refusal(&data).contains("data_md5 was"));

    // The same images in another place are the same data.
    fs::rename(base.path().join("data"), base.path().join("moved")).unwrap();
    let resumed = Settings { data: Some(base.path().join("moved")), ..resumed };
    let (said, ended) = run(&resumed);
    assert_eq!(ended.unwrap(), Outcome::Finished);
    assert!(said.iter().any(|line| line == "Going on after epoch 1"), "{said:?}");
    let straight = Settings { resume: false, out: base.path().join("straight"), ..resumed.clone() };
    run(&straight).1.unwrap();
    for name in ["last.safetensors", "best.safetensors"] {
        assert_eq!(fs::read(resumed.out.join(name)).unwrap(), fs::read(straight.out.join(name)).unwrap());
    }
    assert_eq!(metrics(&resumed.out), metrics(&straight.out));
    let (said, _) = run(&resumed);
    assert!(said.iter().any(|line| line.starts_with("Accuracy val: ")), "nothing left to train: {said:?}");
}

#[test]
fn a_refused_resume_leaves_the_settings_as_they_were() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let settings = settings(base.path());
    run(&settings).1.unwrap();
    let config = fs::read(settings.out.join("config.json")).unwrap();
    let resumed = Settings { resume: true, ..settings };
    let fewer = Settings { epochs: 1, ..resumed.clone() };
    assert!(refusal(&fewer).contains("--epochs 1: 2 epochs are begun or done already"));
    assert!(fs::read(resumed.out.join("config.json")).unwrap() == config);
    fs::remove_file(resumed.out.join("metrics.jsonl")).unwrap();
    assert!(refusal(&Settings { epochs: 3, ..resumed.clone() }).contains("metrics.jsonl"));
    assert!(fs::read(resumed.out.join("config.json")).unwrap() == config);
}

#[test]
fn weights_that_run_away_end_the_run_and_keep_the_files() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let settings = Settings { lr: Some(1e38), ..settings(base.path()) };
    let message = refusal(&settings);
    assert!(message.contains("the training loss is") && message.contains("epoch 1, batch"), "{message}");
    assert!(message.ends_with("Nothing was saved yet"), "{message}");
    assert!(!settings.out.join("last.safetensors").exists());
}

#[test]
fn a_broken_file_of_the_run_is_named() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let settings = Settings { epochs: 1, ..settings(base.path()) };
    run(&settings).1.unwrap();
    let resumed = Settings { resume: true, epochs: 2, ..settings };
    let saved = resumed.out.join("resume.safetensors");
    let whole = fs::read(&saved).unwrap();
    fs::write(&saved, &whole[..whole.len() / 2]).unwrap();
    assert!(refusal(&resumed).contains("resume.safetensors"));
    // Measurements that somebody has made better are not gone on with.
    fs::write(&saved, &whole).unwrap();
    let measured = resumed.out.join("metrics.jsonl");
    let lines = fs::read_to_string(&measured).unwrap();
    fs::write(&measured, lines.replace("\"train_loss\":0.", "\"train_loss\":0.0")).unwrap();
    let message = refusal(&resumed);
    assert!(message.contains("metrics.jsonl: it is not as the run wrote it"), "{message}");
    fs::write(&measured, lines).unwrap();
    // A checkpoint of weights alone is no position to go on from.
    fs::copy(resumed.out.join("last.safetensors"), &saved).unwrap();
    let message = refusal(&resumed);
    assert!(message.contains("resume.safetensors") && message.contains("metadata"), "{message}");
    // Nor is one whose optimizer was taken out.
    fs::write(&saved, &whole).unwrap();
    let (mut tensors, metadata) = voxgrad::checkpoint::load(&saved).unwrap();
    tensors.retain(|(name, _)| !name.starts_with("optimizer."));
    voxgrad::checkpoint::save(&saved, &tensors, &metadata).unwrap();
    let message = refusal(&resumed);
    assert!(message.contains("resume.safetensors: it holds no optimizer.* tensors"), "{message}");
    fs::write(&saved, &whole).unwrap();
    run(&resumed).1.unwrap();
}

#[test]
fn settings_are_checked_before_anything_is_touched() {
    let base = tempfile::tempdir().unwrap();
    for wrong in [
        Settings { epochs: 0, ..settings(base.path()) },
        Settings { lr: Some(f64::NAN), ..settings(base.path()) },
        Settings { model: "vgg".into(), ..settings(base.path()) },
    ] {
        assert!(matches!(run(&wrong).1.unwrap_err(), Error::Usage(_)));
    }
    assert!(refusal(&Settings { device: "tpu".into(), ..settings(base.path()) }).contains("tpu"));
    assert!(!base.path().join("out").exists());
}

/// The losses of two runs on two devices are equal within 1e-4 of their size.
pub fn assert_same_losses(ours: &Path, theirs: &Path) {
    for (our_epoch, their_epoch) in metrics(ours).iter().zip(metrics(theirs)) {
        for key in ["train_loss", "val_loss"] {
            let [a, b] = [our_epoch, &their_epoch].map(|epoch| epoch[key].as_f64().unwrap());
            assert!((a / b - 1.0).abs() < 1e-4, "{key} in {ours:?} is {a}, in {theirs:?} {b}");
        }
    }
}

/// The lesson on a GPU: the losses of the CPU, and a run that goes on is the run that was not stopped.
#[test]
fn a_lesson_on_a_gpu_is_the_lesson_on_the_cpu() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let on_cpu = settings(base.path());
    run(&on_cpu).1.unwrap();
    for device in devices::present().iter().filter(|device| **device != Device::Cpu) {
        let whole =
            Settings { device: devices::name_of(device), out: base.path().join("whole"), ..on_cpu.clone() };
        run(&whole).1.unwrap();
        assert_same_losses(&whole.out, &on_cpu.out);
        let parts = Settings { epochs: 1, out: base.path().join("parts"), ..whole.clone() };
        run(&parts).1.unwrap();
        run(&Settings { epochs: 2, resume: true, ..parts.clone() }).1.unwrap();
        let weights = |out: &Path| fs::read(out.join("last.safetensors")).unwrap();
        assert!(weights(&parts.out) == weights(&whole.out), "{device}: resuming gives other weights");
    }
}
