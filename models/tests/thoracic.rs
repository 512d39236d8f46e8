//! The lesson of thoracic surgery as a whole: on the real table, on a drawn one, stopped and gone on with.

#[path = "../../tests/common/require.rs"]
mod require;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use voxgrad_models::Result;
use voxgrad_models::thoracic::{self, Patients, Settings, drawn_patients};
use voxgrad_models::trainer::{Console, Outcome};

/// Lines that a test reads afterwards, and what happens after so many of them.
#[derive(Clone, Default)]
struct Lines {
    text: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    stop_at: Option<&'static str>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut text = self.text.lock().unwrap();
        text.push_str(std::str::from_utf8(bytes).unwrap());
        if self.stop_at.is_some_and(|at| text.contains(at)) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn run(settings: &Settings, lines: &Lines) -> Result<Outcome> {
    let stop = lines.stop.clone();
    thoracic::run(settings, &mut Console::to(lines.clone()), || Ok(stop))
}

/// The table that voxgrad draws, as a file.
fn write_table(folder: &Path) {
    let Patients { attributes, labels, .. } = drawn_patients(1, String::new());
    let line = |(attributes, label): (&[f32; 16], &u32)| {
        let numbers: Vec<String> = attributes.iter().map(f32::to_string).collect();
        format!("{},{label}\r\n", numbers.join(","))
    };
    fs::create_dir_all(folder).unwrap();
    let text: String = attributes.iter().zip(&labels).map(line).collect();
    fs::write(folder.join("ThoracicSurgery3.csv"), text).unwrap();
}

fn settings(base: &Path) -> Settings {
    let (data, out) = (base.join("data"), base.join("out"));
    Settings { device: "cpu".into(), data: Some(data), out, ..Settings::default() }
}

#[test]
fn the_accuracy_is_that_of_always_saying_survives() {
    let base = tempfile::tempdir().unwrap();
    write_table(&base.path().join("data/thoracic"));
    let lines = Lines::default();
    let settings = settings(base.path());
    assert_eq!(run(&settings, &lines).unwrap(), Outcome::Finished);
    let said = lines.text.lock().unwrap().clone();
    for part in [
        "Data: 470 patients, 400 of whom survive the year, from ",
        "Split: 376 patients to train on, 94 for validation\n",
        "Always answering \"survives\" gives 0.85 too: 80 of these 94 patients do\n",
        "Recall of \"dies\": ",
        "true \\ said  survives      dies\n",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let metrics = fs::read_to_string(settings.out.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!((0.8..0.9).contains(&last["val_acc"].as_f64().unwrap()), "{last}");
    for name in ["train_precision", "val_precision", "train_recall", "val_recall", "train_auc", "val_auc"] {
        assert!(last[name].is_number(), "{name}: {last}");
    }
    let picture = image::open(settings.out.join("loss.png")).unwrap();
    assert!(picture.width() > 600 && settings.out.join("accuracy.png").exists());
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_end() {
    let base = tempfile::tempdir().unwrap();
    write_table(&base.path().join("data"));
    let whole = Settings { standardise: true, epochs: 4, ..settings(base.path()) };
    run(&whole, &Lines::default()).unwrap();

    let parts = Settings { out: base.path().join("parts"), ..whole.clone() };
    let lines = Lines { stop_at: Some("Epoch 2,"), ..Lines::default() };
    assert_eq!(run(&parts, &lines).unwrap(), Outcome::Stopped { epochs: 2, batches: 1 });
    assert!(lines.text.lock().unwrap().contains("with --resume goes on from here"));
    let other = Settings { loss: "mse".into(), resume: true, ..parts.clone() };
    let message = run(&other, &Lines::default()).unwrap_err().to_string();
    assert!(
        message.contains("loss was \"binary_crossentropy\", now it is \"mean_squared_error\""),
        "{message}"
    );
    assert_eq!(
        run(&Settings { resume: true, ..parts.clone() }, &Lines::default()).unwrap(),
        Outcome::Finished
    );
    let weights = |settings: &Settings| fs::read(settings.out.join("last.safetensors")).unwrap();
    assert!(weights(&parts) == weights(&whole));
}

#[test]
fn every_loss_and_optimizer_trains() {
    let base = tempfile::tempdir().unwrap();
    write_table(&base.path().join("data"));
    for loss in ["BCEWithLogitsLoss", "mse", "mae", "msle"] {
        let settings = Settings { loss: loss.into(), epochs: 1, standardise: true, ..settings(base.path()) };
        assert_eq!(run(&settings, &Lines::default()).unwrap(), Outcome::Finished, "{loss}");
    }
    for (optimizer, _) in voxgrad_models::keras::OPTIMIZERS {
        let optimizer = optimizer.into();
        let settings = Settings { optimizer, epochs: 1, standardise: true, ..settings(base.path()) };
        assert_eq!(run(&settings, &Lines::default()).unwrap(), Outcome::Finished);
    }
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let base = tempfile::tempdir().unwrap();
    let settings = settings(base.path());
    let message = |settings: &Settings| run(settings, &Lines::default()).unwrap_err().to_string();
    let said = message(&Settings { optimizer: "newton".into(), ..settings.clone() });
    assert!(said.starts_with("there is no optimizer \"newton\""), "{said}");
    assert!(message(&Settings { epochs: 0, ..settings.clone() }).starts_with("--epochs 0: "));
    assert!(!settings.out.exists());
    let said = message(&settings);
    assert!(said.starts_with("the table of thoracic surgery not found; looked for "), "{said}");
    fs::create_dir_all(base.path().join("data")).unwrap();
    fs::write(base.path().join("data/ThoracicSurgery3.csv"), "1,2\n").unwrap();
    assert!(message(&settings).contains("ThoracicSurgery3.csv: line 1: it has 2 columns, not 17"));
}

/// The real table, where `VOXGRAD_DATA` names a directory that holds it.
#[test]
fn the_real_table_ends_near_0_85() {
    let Some(data) = std::env::var_os("VOXGRAD_DATA") else {
        require::skip("data", "VOXGRAD_DATA names no directory with ThoracicSurgery3.csv");
        return;
    };
    let base = tempfile::tempdir().unwrap();
    let settings = Settings { data: Some(data.into()), ..settings(base.path()) };
    let patients = Patients::load(settings.data.as_deref(), 0).unwrap();
    assert_eq!((patients.len(), patients.survivors()), (470, 400));
    assert_eq!(patients.attributes[0][..3], [1.0, 2.88, 2.16]);
    run(&settings, &Lines::default()).unwrap();
    let metrics = fs::read_to_string(settings.out.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    for name in ["train_acc", "val_acc"] {
        assert!((0.83..0.87).contains(&last[name].as_f64().unwrap()), "{last}");
    }
}
