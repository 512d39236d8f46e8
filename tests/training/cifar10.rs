//! The lesson cifar10 on a handful of made-up images: what it says and what it leaves behind.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad::models::Result;
use voxgrad::models::cifar10::{self, Settings};
use voxgrad::models::trainer::{Console, Outcome};
use voxgrad::random::Rng;

use crate::lesson::Said;
use crate::metrics;

/// Writes a small CIFAR-10 to `dir`: in each of the six files so many images of each class, which is told
/// by the brightness.
fn write_cifar10(dir: &Path, per_class: usize) {
    fs::create_dir_all(dir).unwrap();
    let train = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for (stream, name) in train.chain(["test_batch.bin".to_string()]).enumerate() {
        let mut rng = Rng::new(1, stream as u64);
        let mut bytes = Vec::new();
        for label in (0..10u8).cycle().take(10 * per_class) {
            bytes.push(label);
            bytes.extend((0..3072).map(|_| (25.0 * f32::from(label) + 10.0 * rng.normal()) as u8));
        }
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn settings(base: &Path) -> Settings {
    let (data, out) = (Some(base.join("data")), base.join("out"));
    Settings { epochs: 1, batch_size: 15, device: "cpu".into(), data, out, ..Settings::default() }
}

fn run(settings: &Settings, stop: bool) -> (Vec<String>, Result<Outcome>) {
    let said = Said::default();
    let stop = || Ok(Arc::new(AtomicBool::new(stop)));
    let ended = cifar10::run(settings, &mut Console::to(said.clone()), stop);
    (said.lines(), ended)
}

#[test]
fn a_run_says_and_writes_what_the_course_does() {
    let base = tempfile::tempdir().unwrap();
    write_cifar10(&base.path().join("data"), 1);
    let settings = settings(base.path());
    let (said, ended) = run(&settings, false);
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said:?}");
    let line =
        |start: &str| said.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(line("Data: ").starts_with("Data: 45 training, 5 validation and 10 test images of CIFAR-10"));
    assert_eq!(line("Model: "), "Model: 5851338 parameters");
    assert!(said.contains(&"apply_kernel(image, kernel):".to_string()), "{said:#?}");
    assert!(line("Before training: val_loss 2.").contains(", val_acc 0."));
    let epoch = &metrics(&settings.out)[0];
    assert!(epoch.get("lr").is_none(), "{epoch}");
    let [train, val] = ["train_loss", "val_loss"].map(|key| epoch[key].as_f64().unwrap());
    let wanted = format!("Epoch 1, train_loss {train:.4}, val_loss {val:.4}, val_acc ");
    assert!(said.iter().any(|line| line.contains(&wanted)), "{said:#?}");
    line("Accuracy test: ");
    assert!(line("Test image 0, label: airplane, predicted: ").ends_with("% sure"));
    for picture in ["batch", "loss", "accuracy", "predictions", "confusion"] {
        let bytes = fs::read(settings.out.join(picture).with_extension("png")).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "{picture}: {} bytes", bytes.len());
    }
    // A second run keeps the first.
    let (said, ended) = run(&Settings { seed: 1, ..settings }, false);
    ended.unwrap();
    assert!(said.iter().any(|line| line.ends_with("out.1")), "{said:?}");
    assert!(base.path().join("out.1/confusion.png").exists());
}

#[test]
fn augmented_and_on_one_cycle_it_goes_on_where_it_stopped() {
    let base = tempfile::tempdir().unwrap();
    write_cifar10(&base.path().join("data"), 1);
    let straight = Settings { augment: true, one_cycle: true, ..settings(base.path()) };
    run(&straight, false).1.unwrap();
    let stopped = Settings { out: base.path().join("stopped"), ..straight.clone() };
    let (said, ended) = run(&stopped, true);
    assert_eq!(ended.unwrap(), Outcome::Stopped { epochs: 0, batches: 1 });
    assert_eq!(said.last().unwrap(), "The same command with --resume goes on from here");

    let more = Settings { epochs: 2, resume: true, ..stopped.clone() };
    let message = run(&more, false).1.unwrap_err().to_string();
    assert!(message.contains("one_cycle_epochs was 1, now it is 2"), "{message}");
    let (said, ended) = run(&Settings { resume: true, ..stopped.clone() }, false);
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said:#?}");
    assert!(!said.iter().any(|line| line.starts_with("Before training")), "{said:#?}");
    assert_eq!(metrics(&stopped.out), metrics(&straight.out));
    for name in ["last.safetensors", "best.safetensors"] {
        assert!(fs::read(stopped.out.join(name)).unwrap() == fs::read(straight.out.join(name)).unwrap());
    }
    // The last step's learning rate is nearly nothing.
    assert!(metrics(&straight.out)[0]["lr"].as_f64().unwrap() < 1e-7);
}
