//! The chapter's table on a handful of made-up images.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use voxgrad::checkpoint;
use voxgrad::models::Result;
use voxgrad::models::cifar2::{self, Settings, TableSettings};
use voxgrad::models::trainer::{Console, Outcome};

use crate::lesson::{self, Said};
use crate::{metrics, write_cifar2};

fn settings(base: &Path, models: &[&str]) -> TableSettings {
    TableSettings {
        models: models.iter().map(|name| name.to_string()).collect(),
        epochs: 1,
        device: "cpu".into(),
        data: Some(base.join("data")),
        out: base.join("table"),
        ..TableSettings::default()
    }
}

/// Sets a flag as soon as a line holds some words.
struct Watch {
    said: Said,
    words: &'static str,
    stop: Arc<AtomicBool>,
}

impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.words.is_empty() && String::from_utf8_lossy(bytes).contains(self.words) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.said.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes a table until it says `words`; what it said, and how it ended.
fn run_until(settings: &TableSettings, words: &'static str) -> (String, Result<Outcome>) {
    let (said, stop) = (Said::default(), Arc::new(AtomicBool::new(false)));
    let watch = Watch { said: said.clone(), words, stop: stop.clone() };
    let ended = cifar2::run_table(settings, &mut Console::to(watch), || Ok(stop));
    (said.lines().join("\n"), ended)
}

fn run(settings: &TableSettings) -> String {
    let (said, ended) = run_until(settings, "");
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said}");
    said
}

fn refusal(settings: &TableSettings) -> String {
    run_until(settings, "").1.unwrap_err().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// `table.json` without the times, which differ from run to run.
fn table(out: &Path) -> Value {
    fn forget_times(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("seconds_per_epoch");
                fields.values_mut().for_each(forget_times);
            }
            Value::Array(items) => items.iter_mut().for_each(forget_times),
            _ => {}
        }
    }
    let mut table = serde_json::from_str(&read(&out.join("table.json"))).unwrap();
    forget_times(&mut table);
    table
}

fn names(out: &Path) -> Vec<String> {
    let rows = table(out)["rows"].as_array().unwrap().clone();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_table_shows_what_its_runs_measured() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 6, 0);
    let settings = TableSettings { epochs: 2, seeds: 2, ..settings(base.path(), &["l2", "baseline"]) };
    let said = run(&settings);
    for wanted in [" s per epoch, 4 to go: ", "All together: ", "l2, seed 1", "; printed 0.92, 0.89"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(
        said.ends_with(&format!("The table is in {}", settings.out.join("table.md").display())),
        "{said}"
    );

    assert_eq!(names(&settings.out), ["baseline", "l2"]);
    let row = &table(&settings.out)["rows"][1];
    assert_eq!((&row["parameters"], &row["epochs"]), (&18_090.into(), &2.into()));
    assert_eq!(row["printed"]["val_acc"]["low"], 0.89);
    let measured = [0, 1].map(|seed| metrics(&settings.out.join(format!("table_runs/l2/seed-{seed}"))));
    assert_ne!(measured[0], measured[1], "another seed is another run");
    for (shown, epoch, key) in
        [("val_acc", 1, "val_acc"), ("first_loss", 0, "train_loss"), ("last_loss", 1, "train_loss")]
    {
        let values = [0, 1].map(|seed: usize| measured[seed][epoch][key].as_f64().unwrap());
        let close = |key: &str, wanted: f64| (row[shown][key].as_f64().unwrap() - wanted).abs() < 1e-12;
        assert!(close("mean", 0.5 * (values[0] + values[1])), "{shown}: {row}, {values:?}");
        assert!(close("low", values[0].min(values[1])) && close("high", values[0].max(values[1])), "{row}");
        assert_eq!(row["runs"][1][shown], values[1]);
    }
    let text = read(&settings.out.join("table.md"));
    let low = row["last_loss"]["low"].as_f64().unwrap();
    assert!(text.contains("| l2 | 18090 | 2 | 2 |") && text.contains(&format!("({low:.3} to ")), "{text}");
    assert!(text.contains("| 0.89 to 0.90 |") && !text.contains("as printed"), "{text}");
    for (seed, measured) in measured.iter().enumerate() {
        let accuracies = measured.iter().map(|epoch| epoch["val_acc"].as_f64().unwrap());
        let shown = &row["runs"][seed]["last_val_acc"];
        assert_eq!(shown["low"], accuracies.clone().fold(1.0, f64::min));
        assert_eq!(shown["high"], accuracies.fold(0.0, f64::max));
        assert!(row["last_val_acc"]["low"].as_f64() <= shown["low"].as_f64());
    }
    let last = ["low", "high"].map(|key| format!("{:.3}", row["last_val_acc"][key].as_f64().unwrap()));
    let last = if last[0] == last[1] { last[0].clone() } else { last.join(" to ") };
    assert!(text.contains(&format!("| 0.89 | {last} |")), "{last}: {text}");
    for said in ["measured in training mode", "includes the penalty", "those of the last epoch"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains(&base.path().display().to_string()), "no word of where the data lay: {text}");
    assert!(fs::read(settings.out.join("table.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(!settings.out.join("table_as_printed.png").exists());
}

#[test]
fn a_stopped_table_goes_on_to_the_same_results() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 14, 0);
    let straight = TableSettings { epochs: 2, ..settings(base.path(), &["l2", "dropout", "batch-norm"]) };
    run(&straight);
    let stopped = TableSettings { out: base.path().join("stopped"), ..straight.clone() };
    let (said, ended) = run_until(&stopped, "Model: dropout");
    assert_eq!(ended.unwrap(), Outcome::Stopped { epochs: 0, batches: 1 }, "{said}");
    assert!(said.contains("Stopped in epoch 1 of dropout, seed 0 after batch 1; all is saved"), "{said}");
    assert_eq!(names(&stopped.out), ["l2"], "what is finished is shown");

    let again = TableSettings { resume: true, ..stopped };
    let (said, ended) = run_until(&again, "Epoch 1, Training loss");
    assert_eq!(ended.unwrap(), Outcome::Stopped { epochs: 1, batches: 1 }, "{said}");
    let said = run(&again);
    assert!(said.contains("Going on in epoch 2 after batch 1") && !said.contains("edited"), "{said}");
    assert_eq!(table(&again.out), table(&straight.out));
    for model in ["l2", "dropout", "batch-norm"] {
        let weights =
            |out: &Path| fs::read(out.join(format!("table_runs/{model}/seed-0/last.safetensors"))).unwrap();
        assert!(weights(&again.out) == weights(&straight.out), "{model}");
    }
}

#[test]
fn a_table_grows() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let first = TableSettings { n_blocks: Some(1), ..settings(base.path(), &["depth", "res-deep"]) };
    run(&first);
    let weights =
        |run: &str| fs::read(first.out.join("table_runs").join(run).join("last.safetensors")).unwrap();
    let (depth, deep) = (weights("depth/seed-0"), weights("res-deep-1-block/seed-0"));

    let more = TableSettings {
        resume: true,
        as_printed: true,
        n_blocks: Some(2),
        seeds: 2,
        ..settings(base.path(), &["l1", "baseline", "res-deep", "depth"])
    };
    let said = run(&more);
    let rows = [
        "baseline",
        "l1",
        "depth",
        "res-deep, 1 block",
        "res-deep, 2 blocks",
        "depth, as printed",
        "res-deep, 2 blocks, as printed",
    ];
    assert_eq!(names(&more.out), rows);
    assert!(!said.contains("depth, seed 0\n") && said.contains("depth, seed 1\n"), "{said}");
    assert!(depth == weights("depth/seed-0") && deep == weights("res-deep-1-block/seed-0"));
    let table = table(&more.out);
    assert_eq!(table["rows"][6]["parameters"], 75_810, "one block, repeated");
    assert!(more.out.join("table_as_printed.png").exists());

    // More epochs go on from where the runs are.
    let longer =
        TableSettings { epochs: 2, ..TableSettings { resume: true, ..settings(base.path(), &["depth"]) } };
    let said = run(&longer);
    assert!(said.contains(" s per epoch, 1 to go: ") && said.contains("Going on after epoch 1"), "{said}");
    let text = read(&longer.out.join("table.md"));
    assert!(
        text.contains("| depth | 16130 | 1 | 1 |") && text.contains("| depth | 16130 | 2 | 1 |"),
        "{text}"
    );
    let message = refusal(&TableSettings { epochs: 1, ..longer });
    assert!(message.starts_with("--epochs 1: 2 epochs of depth, seed 0 are done already"), "{message}");
}

#[test]
fn a_broken_run_is_kept_aside_and_trained_again() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let first = settings(base.path(), &["baseline", "width"]);
    run(&first);
    let whole = table(&first.out);
    let resumed = TableSettings { resume: true, ..first };
    let place = resumed.out.join("table_runs/width/seed-0");

    type Damage = fn(&str) -> String;
    let edited: Damage = |text| text.replace("\"train_loss\":0.", "\"train_loss\":0.0");
    let other_seed: Damage = |text| text.replace("\"seed\": 0", "\"seed\": 1");
    let damages: [(&str, Damage, &str); 5] = [
        ("metrics.jsonl", edited, "metrics.jsonl: it is not as the run wrote it"),
        ("metrics.jsonl", |text| text[..text.len() / 2].into(), "metrics.jsonl: line 1: EOF"),
        ("metrics.jsonl", |_| String::new(), "metrics.jsonl: it has 0 lines, but 1 epochs are finished"),
        ("config.json", |text| text[..text.len() / 2].into(), "config.json: EOF while parsing"),
        ("config.json", other_seed, "config.json: it is of another run, width with seed 1"),
    ];
    for (i, (file, damage, wanted)) in damages.iter().enumerate() {
        let damaged = damage(&read(&place.join(file)));
        fs::write(place.join(file), &damaged).unwrap();
        let said = run(&resumed);
        let aside = place.with_file_name(format!("seed-0.{}", i + 1));
        assert!(said.contains(wanted), "{said}");
        let told = format!("It is now in {}, and is trained again", aside.display());
        assert!(said.contains(&told) && said.contains("width, seed 0\n"), "{said}");
        assert!(!said.contains("baseline, seed 0"), "{said}");
        assert_eq!(read(&aside.join(file)), damaged, "nothing is lost");
        assert_eq!(table(&resumed.out), whole);
    }
    // What a position was saved in, which is not text.
    let position = place.join("resume.safetensors");
    let bytes = fs::read(&position).unwrap();
    fs::write(&position, &bytes[..bytes.len() / 2]).unwrap();
    let said = run(&resumed);
    assert!(said.contains("resume.safetensors: ") && table(&resumed.out) == whole, "{said}");

    // One that nobody asked for is left out, and left alone.
    fs::write(place.join("metrics.jsonl"), "").unwrap();
    let said = run(&TableSettings { models: vec!["baseline".into()], ..resumed.clone() });
    assert!(
        said.contains("The table leaves it out; with --models width --seeds 1 it is trained again"),
        "{said}"
    );
    assert_eq!(names(&resumed.out), ["baseline"]);
    assert!(place.join("last.safetensors").exists());
    run(&resumed);
    assert_eq!(table(&resumed.out), whole);
}

/// A run that is not asked for is shown only as its row says that it was made.
#[test]
fn edited_settings_of_a_run_that_is_not_asked_for_are_noticed() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let first = TableSettings { as_printed: true, ..settings(base.path(), &["baseline", "width"]) };
    run(&first);
    let whole = table(&first.out);
    let resumed = TableSettings { resume: true, models: vec!["baseline".into()], ..first };
    let said = run(&resumed);
    assert!(!said.contains("broken") && table(&resumed.out) == whole, "{said}");
    type Edit = fn(&str) -> String;
    let edits: [(&str, Edit, &str); 5] = [
        ("width", |text| text.replace("\"lr\": 0.01", "\"lr\": 0.02"), "lr was 0.02, now it is 0.01"),
        ("width", |text| text.replace("\"parameters\": 3", "\"parameters\": 4"), "parameters was 48386"),
        ("width", |text| text.replace("\"epochs\": 1", "\"epochs\": 0"), "it says 0 epochs, and 1 are done"),
        ("width", |text| text.replace("\"seed\"", "\"momentum\": 0.9, \"seed\""), "momentum was 0.9"),
        ("width-as-printed", |text| text.replace("\"no_shuffle\": true,", ""), "no_shuffle was unset"),
    ];
    for (row, edit, wanted) in edits {
        let config = resumed.out.join("table_runs").join(row).join("seed-0/config.json");
        let text = read(&config);
        fs::write(&config, edit(&text)).unwrap();
        let said = run(&resumed);
        assert!(said.contains("is broken") && said.contains(wanted), "{wanted}: {said}");
        assert_eq!(names(&resumed.out).len(), 2, "it is left out");
        fs::write(&config, text).unwrap();
        run(&resumed);
        assert_eq!(table(&resumed.out), whole);
    }
}

#[test]
fn a_run_that_fails_does_not_keep_the_others_from_being_trained() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let first = settings(base.path(), &["baseline", "width"]);
    run(&first);
    let saved = first.out.join("table_runs/baseline/seed-0/resume.safetensors");
    let (mut tensors, metadata) = checkpoint::load(&saved).unwrap();
    let (_, bias) = tensors.iter_mut().find(|(name, _)| name == "model.fc2.bias").unwrap();
    *bias = bias.add_scalar(f64::NAN).unwrap();
    checkpoint::save(&saved, &tensors, &metadata).unwrap();

    let longer = TableSettings { epochs: 2, resume: true, ..first };
    let (said, ended) = run_until(&longer, "");
    assert!(said.contains("baseline, seed 0 failed: the training loss is NaN in epoch 2"), "{said}");
    let message = ended.unwrap_err().to_string();
    assert_eq!(message, "not in the table, because they failed: baseline, seed 0");
    assert_eq!(names(&longer.out), ["width"]);
    assert_eq!(table(&longer.out)["rows"][0]["epochs"], 2);
    let (said, _) = run_until(&longer, "");
    assert!(!said.contains("edited"), "the table is what the runs give: {said}");
}

#[test]
fn a_table_that_was_edited_is_kept_and_made_again() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let first = settings(base.path(), &["baseline"]);
    run(&first);
    let resumed = TableSettings { resume: true, ..first };
    let said = run(&resumed);
    assert!(!said.contains("edited"), "{said}");
    for name in ["table.json", "table.md"] {
        let path = resumed.out.join(name);
        let whole = read(&path);
        for (i, damaged) in
            [whole.replace("18090", "18091"), whole[..whole.len() / 2].into()].iter().enumerate()
        {
            fs::write(&path, damaged).unwrap();
            let said = run(&resumed);
            let aside = resumed.out.join(format!("{name}.{}", i + 1));
            let told = format!("It is now {}, and a new one is made of the runs", aside.display());
            assert!(said.contains(&told), "{said}");
            assert_eq!((&read(&aside), &read(&path)), (damaged, &whole));
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    write_cifar2(&base.path().join("other"), 4, 1);
    let first = settings(base.path(), &["baseline"]);
    run(&first);
    let resumed = TableSettings { resume: true, ..first.clone() };
    let shown = read(&first.out.join("table.json"));
    let other = TableSettings { data: Some(base.path().join("other")), ..resumed.clone() };
    assert!(refusal(&other).contains("data_md5 was"));
    // Settings that somebody has changed in a run's file.
    let config = first.out.join("table_runs/baseline/seed-0/config.json");
    let text = read(&config);
    fs::write(&config, text.replace("\"lr\": 0.01", "\"lr\": 0.02")).unwrap();
    assert!(refusal(&resumed).contains("lr was 0.02, now it is 0.01"));
    fs::write(&config, text).unwrap();
    assert_eq!(read(&first.out.join("table.json")), shown);

    // A run is no table, and a table no run.
    let run_of_lesson = Settings { epochs: 1, out: base.path().join("run"), ..lesson::settings(base.path()) };
    lesson::run(&run_of_lesson).1.unwrap();
    let message = refusal(&TableSettings { out: run_of_lesson.out.clone(), ..resumed });
    assert!(message.contains("holds a run of birds_vs_airplanes, not of cifar2_table; give"), "{message}");
    let said = run(&TableSettings { out: run_of_lesson.out.clone(), ..first.clone() });
    assert!(
        said.contains("The older table in") && base.path().join("run.1/last.safetensors").exists(),
        "{said}"
    );
    lesson::run(&Settings { out: first.out, ..run_of_lesson }).1.unwrap();
    assert_eq!(read(&base.path().join("table.1/table.json")), shown);
}
