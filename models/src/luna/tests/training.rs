//! Whole trainings on tiny scans.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::luna::ask::{self, ClassifySettings};
use crate::luna::{CacheSettings, ScanSettings, Settings, Training, train};
use crate::trainer::{Console, Outcome};

/// Keeps what is said, and asks for a stop at a line that begins like this.
#[derive(Clone, Default)]
struct Said {
    lines: Arc<Mutex<String>>,
    stop_at: Option<&'static str>,
    stop: Arc<AtomicBool>,
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines.lock().unwrap();
        lines.push_str(std::str::from_utf8(bytes).unwrap());
        if self.stop_at.is_some_and(|start| lines.lines().any(|line| line.starts_with(start))) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(data: &Path, out: &Path) -> Settings {
    let cache = CacheSettings { folder: Some(data.join("cache")), limit_gib: 1.0 };
    let scans = ScanSettings { data: Some(data.into()), cache, num_workers: 2, ..ScanSettings::default() };
    Settings {
        batch_size: 4,
        epochs: Some(2),
        val_stride: 3,
        lr: 1e-4,
        device: "cpu".into(),
        scans,
        out: out.into(),
        estimates: false,
        ..Settings::default()
    }
}

/// How a training ended, and what it said.
fn run(settings: &Settings, stop_at: Option<&'static str>) -> (Outcome, String) {
    let said = Said { stop_at, ..Said::default() };
    let outcome = train(settings, &mut Console::to(said.clone()), || Ok(said.stop.clone())).unwrap();
    let lines = said.lines.lock().unwrap().clone();
    (outcome, lines)
}

#[test]
fn both_halves_leave_all_that_they_should() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_scans(data.path(), 4);
    let mut settings = Settings { tb_prefix: Some("first".into()), ..settings(data.path(), out.path()) };
    settings.comment = Some("try".into());
    let (outcome, said) = run(&settings, None);
    assert_eq!(outcome, Outcome::Finished);
    let has = |line: &str| said.lines().any(|said| said.starts_with(line));
    for line in [
        "Training: unbalanced, not augmented",
        "Training: balanced, augmented: flip, offset 0.1, scale 0.2, rotate, noise 25",
        "LunaDataset: 16 training samples, 14 neg, 2 pos, unbalanced ratio",
        "LunaDataset: 16 training samples, 14 neg, 2 pos, 1:1 ratio",
        "LunaDataset: 16 validation samples, 14 neg, 2 pos, unbalanced ratio",
        "2 epochs, 4/4 batches of size 4*1",
        "E1 trn      ",
        "E2 val_pos  ",
        "Validation   epoch",
        "unbalanced   last, 2",
        "balanced     last, 2",
    ] {
        assert!(has(line), "{line:?} is missing in\n{said}");
    }
    // Half of a balanced epoch are nodules.
    assert!(said.lines().any(|line| line.starts_with("E1 trn_pos") && line.ends_with("of 8)")), "{said}");
    for half in ["unbalanced", "balanced"] {
        let run = out.path().join(half);
        for file in [
            "config.json",
            "metrics.jsonl",
            "last.safetensors",
            "best.safetensors",
            "roc.png",
            "findings.png",
            "loss.png",
        ] {
            assert!(run.join(file).is_file(), "{half}/{file}");
        }
        for side in ["trn-try", "val-try"] {
            assert_eq!(fs::read_dir(run.join("tb/first").join(side)).unwrap().count(), 1, "{half} {side}");
        }
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        for name in ["val_f1", "val_auc", "train_recall", "val_correct_neg", "val_loss_pos"] {
            assert!(last.get(name).is_some(), "{name} is missing in {last}");
        }
    }

    let classify = ClassifySettings {
        scan: data.path().join("1.2.mhd"),
        candidates: data.path().join("candidates.csv"),
        weights: out.path().join("balanced/best.safetensors"),
        device: "cpu".into(),
        top: 3,
    };
    let said = Said::default();
    ask::classify(&classify, &mut Console::to(said.clone())).unwrap();
    let said = said.lines.lock().unwrap().clone();
    assert!(said.contains("Left out: 24 candidates of other scans, 0 outside of this one"), "{said}");
    assert!(said.contains(" of 8 candidates are called nodules"), "{said}");
    let ranked: Vec<Vec<&str>> = said
        .lines()
        .skip_while(|line| !line.starts_with("rank"))
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(ranked.len(), 3, "{said}");
    let probability = |rank: usize| ranked[rank][1].parse::<f64>().unwrap();
    assert!(probability(0) >= probability(1) && probability(1) >= probability(2), "{said}");
}

#[test]
fn stopped_in_an_epoch_and_resumed_it_is_the_same_run_with_any_number_of_workers() {
    let (data, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_scans(data.path(), 4);
    let settings = |out: &str| {
        let mut settings = settings(data.path(), &base.path().join(out));
        settings.training = Training::One { balanced: true };
        settings.augment.all = true;
        settings
    };
    assert_eq!(run(&settings("whole"), None).0, Outcome::Finished);
    let mut stopped = settings("stopped");
    stopped.scans.num_workers = 0;
    let (outcome, said) = run(&stopped, Some("E1 trn"));
    assert_eq!(outcome, Outcome::Stopped { epochs: 1, batches: 1 });
    assert!(said.contains("The same command with --resume goes on from here"), "{said}");
    stopped.resume = true;
    stopped.scans.num_workers = 3;
    assert_eq!(run(&stopped, None).0, Outcome::Finished);
    for file in ["last.safetensors", "best.safetensors"] {
        let read = |out: &str| fs::read(base.path().join(out).join("balanced").join(file)).unwrap();
        assert!(read("whole") == read("stopped"), "{file}");
    }
    let measured = |out: &str| {
        let lines = fs::read_to_string(base.path().join(out).join("balanced/metrics.jsonl")).unwrap();
        let without_time = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("seconds");
            line
        };
        lines.lines().map(without_time).collect::<Vec<_>>()
    };
    assert_eq!(measured("whole"), measured("stopped"));

    let mut other = settings("stopped");
    (other.resume, other.val_stride) = (true, 2);
    let refused = train(&other, &mut Console::to(Vec::new()), || Ok(Arc::default())).unwrap_err().to_string();
    assert!(refused.contains("val_stride was 3, now it is 2"), "{refused}");
}

/// A lesson that is stopped in its first half, where an older one has finished both, goes on with its own
/// second half, and the older one stays whole.
#[test]
fn a_new_lesson_takes_nothing_of_an_older_one() {
    let (data, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_scans(data.path(), 4);
    let mut settings = settings(data.path(), base.path());
    settings.epochs = Some(1);
    assert_eq!(run(&settings, None).0, Outcome::Finished);
    let files = |half: &str| {
        let mut all = vec![base.path().join(half)];
        let mut files = Vec::new();
        while let Some(path) = all.pop() {
            match path.is_dir() {
                true => all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
                false => files.push((
                    path.strip_prefix(base.path().join(half)).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                )),
            }
        }
        files.sort();
        files
    };
    let older = ["unbalanced", "balanced"].map(files);
    let (outcome, said) = run(&settings, Some("Training: unbalanced"));
    assert!(matches!(outcome, Outcome::Stopped { epochs: 0, .. }), "{said}");
    for (half, older) in ["unbalanced.1", "balanced.1"].into_iter().zip(older) {
        assert!(files(half) == older && older.iter().any(|(path, _)| path.starts_with("tb")), "{half}");
        assert!(said.contains(&format!("is now in {}", base.path().join(half).display())), "{said}");
    }
    let names: Vec<_> = files("balanced").into_iter().map(|(path, _)| path).collect();
    assert!(names.iter().all(|path| path.ends_with(".lock") || path.ends_with("config.json")), "{names:?}");
    settings.resume = true;
    let (outcome, said) = run(&settings, None);
    assert!(outcome == Outcome::Finished && said.contains("E1 trn"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("E1 val_pos")).count(), 2, "{said}");
    assert!(!base.path().join("balanced.2").exists());
}

#[test]
fn scans_that_cannot_be_used_are_said_and_left_out() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_scans(data.path(), 5);
    fs::remove_file(data.path().join("1.3.raw")).unwrap();
    let table = data.path().join("candidates.csv");
    let rows = fs::read_to_string(&table).unwrap() + "1.0,500,0,0,0\n9.9,1,2,3,0\n";
    fs::write(&table, rows).unwrap();
    let mut settings = settings(data.path(), out.path());
    (settings.training, settings.epochs) = (Training::One { balanced: false }, Some(1));
    let (outcome, said) = run(&settings, None);
    assert_eq!(outcome, Outcome::Finished);
    assert!(said.contains("1 scans can't be used; the first is 1.3: ") && said.contains("1.3.raw"), "{said}");
    assert!(said.contains("9 candidates left out: their 2 scans are not there"), "{said}");
    assert!(said.contains("1 candidates left out: they lie outside of their scan"), "{said}");
    assert!(said.contains("4 scans, 32 candidates, 4 of them nodules"), "{said}");
}
