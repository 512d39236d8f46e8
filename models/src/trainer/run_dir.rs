//! The directory of one run: its settings, measurements, checkpoints and pictures.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use voxgrad_engine::checkpoint;

use crate::{Error, Result};

/// The settings of a run. They are ours if they have this key.
const CONFIG: (&str, &str) = ("config.json", "lesson");

/// What it takes to go on with a run.
const POSITION: &str = "resume.safetensors";

/// Settings that may change when a run goes on: the same data may lie elsewhere. All others decide
/// what its weights become.
const FREE: [&str; 5] = ["epochs", "device", "build", "version", "data"];

/// The directory of one run. While it is open no other run can write into it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Holds the lock; none on a file system without locks.
    lock: Option<File>,
}

impl RunDir {
    /// Makes the directory if need be, and makes sure that it can be written and that no other run
    /// is writing it. An old run in it stays as it is until [`RunDir::start`].
    ///
    /// # Errors
    /// When it can't be written, when there is nothing in it to `resume`, or when a new run would lie among
    /// files that are not of an older run.
    pub fn open(path: impl AsRef<Path>, resume: bool) -> Result<RunDir> {
        RunDir::open_with(path.as_ref(), resume.then_some(POSITION))
    }

    /// The same for a directory of several runs, each in a directory of its own, and what is made of
    /// them. It can be resumed once it has its settings.
    pub(crate) fn open_table(path: impl AsRef<Path>, resume: bool) -> Result<RunDir> {
        RunDir::open_with(path.as_ref(), resume.then_some(CONFIG.0))
    }

    /// Opens a directory to go on with what `needed` holds, or to start with nothing.
    fn open_with(path: &Path, needed: Option<&str>) -> Result<RunDir> {
        // `runs/x/` and `runs/x` are one name.
        let path: PathBuf = path.components().collect();
        if let Some(needed) = needed.filter(|needed| !path.join(needed).exists()) {
            return Err(Error::Run(format!(
                "--resume: {} holds no {needed}, so there is nothing to go on with; \
                 start a run without --resume",
                path.display()
            )));
        }
        if needed.is_none() {
            holds_old_run(&path)?;
        }
        let refused = |e| Error::Run(format!("--out {}: it cannot be written: {e}", path.display()));
        fs::create_dir_all(&path).map_err(refused)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(".lock"));
        let file = lock.map_err(refused)?;
        let lock = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => {
                let message = "another run is writing into it; wait for that one or give another directory";
                return Err(Error::Run(format!("--out {}: {message}", path.display())));
            }
            Err(TryLockError::Error(_)) => None,
        };
        Ok(RunDir { path, lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Begins a new run: moves an old one aside, to the first of `<path>.1`, `<path>.2`, .. that is
    /// free, and writes the settings to `config.json`. Returns where the old run is now.
    ///
    /// # Errors
    /// As [`RunDir::open`], and when the old run can't be moved.
    pub fn start(&mut self, config: &impl Serialize) -> Result<Option<PathBuf>> {
        let moved = if holds_old_run(&self.path)? {
            // Renamed while it is open: not every system allows that.
            self.lock = None;
            let aside = move_aside(&self.path)?;
            *self = RunDir::open_with(&self.path, None)?;
            Some(aside)
        } else {
            None
        };
        self.write_config(config)?;
        Ok(moved)
    }

    /// Checks that the run in this directory was made with the same settings, so that going on makes
    /// one run of both. More epochs, another device, another build and the same data in another place
    /// are allowed.
    ///
    /// # Errors
    /// When `config.json` is missing or broken, and with all the settings that differ.
    pub fn check_resume(&self, config: &impl Serialize) -> Result<()> {
        let out = self.path.display();
        match differences(&self.file(CONFIG.0), config)? {
            None => Ok(()),
            Some(Differences::Lesson { was, is }) => Err(Error::Run(format!(
                "--resume: {out} holds a run of {was}, not of {is}; give the --out that {is} has written"
            ))),
            Some(Differences::Settings(differ)) => Err(Error::Run(format!(
                "--resume: the run in {out} was made with other settings: {differ}; \
                 give the same ones, or start a new run without --resume"
            ))),
        }
    }

    /// Writes the settings to `config.json`: those of a run that goes on once nothing refuses it.
    pub fn write_config(&self, config: &impl Serialize) -> Result<()> {
        let path = self.file(CONFIG.0);
        Ok(checkpoint::write_atomically(&path, to_json(&path, config)?.as_bytes())?)
    }
}

/// How two sets of settings differ.
pub(crate) enum Differences {
    /// They are of two programs.
    Lesson { was: String, is: String },
    /// `lr was 0.02, now it is 0.01; ..`
    Settings(String),
}

/// How the settings in the file `path` differ from `config` in what decides the weights of a run.
///
/// # Errors
/// When the file is missing or broken.
pub(crate) fn differences(path: &Path, config: &impl Serialize) -> Result<Option<Differences>> {
    let old = fs::read_to_string(path).map_err(Error::io(path))?;
    let old = parse(path, &old)?;
    // Through text, as the old ones: the same number is then the same bits.
    let new = parse(path, &to_json(path, config)?)?;
    if let (Some(Value::String(was)), Some(Value::String(is))) = (old.get(CONFIG.1), new.get(CONFIG.1))
        && was != is
    {
        return Ok(Some(Differences::Lesson { was: was.clone(), is: is.clone() }));
    }
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let differ = keys.filter(|key| !FREE.contains(&key.as_str()) && old.get(*key) != new.get(*key));
    let said = |value: Option<&Value>| value.map_or("unset".to_string(), Value::to_string);
    let differ: Vec<String> = differ
        .map(|key| format!("{key} was {}, now it is {}", said(old.get(key)), said(new.get(key))))
        .collect();
    Ok((!differ.is_empty()).then(|| Differences::Settings(differ.join("; "))))
}

/// Renames a file or directory to the first of `<path>.1`, `<path>.2`, .. that is free, and returns
/// its new name.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::Run(format!(
            "--out {}: it holds an older run and can't be moved aside under that name; \
             give --resume to go on with it, or another directory",
            path.display()
        )));
    };
    let numbered = |n: usize| {
        let mut name = OsString::from(name);
        name.push(format!(".{n}"));
        path.with_file_name(name)
    };
    let mut n = 1;
    while numbered(n).symlink_metadata().is_ok() {
        n += 1;
    }
    fs::rename(path, numbered(n)).map_err(Error::io(path))?;
    Ok(numbered(n))
}

/// Whether an older run with results is in `path`: settings that are ours, and anything besides them.
/// Whatever a lesson writes is then moved aside as one, without a list of it here.
///
/// # Errors
/// When something is there, but no run whose it could be. Hidden files are nobody's.
fn holds_old_run(path: &Path) -> Result<bool> {
    let (config, lesson) = CONFIG;
    let mut names = Vec::new();
    match fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries {
                names.push(entry.map_err(Error::io(path))?.file_name());
            }
        }
        // Not there yet, or no directory: whoever makes it says so.
        Err(e) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&e.kind()) => return Ok(false),
        Err(e) => return Err(Error::io(path)(e)),
    }
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    let ours = fs::read_to_string(path.join(config))
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .is_some_and(|settings| settings.get(lesson).is_some());
    if ours {
        return Ok(names.iter().any(|name| name != config));
    }
    match names.iter().min() {
        Some(name) => Err(Error::Run(format!(
            "--out {}: it holds a {} that is not of an older run; give an empty directory, or a new one",
            path.display(),
            name.display()
        ))),
        None => Ok(false),
    }
}

fn to_json(path: &Path, config: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(config).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(text + "\n")
}

fn parse(path: &Path, text: &str) -> Result<serde_json::Map<String, Value>> {
    serde_json::from_str(text).map_err(|e| Error::file(path, e.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_old_run_is_moved_aside_not_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("run/");
        let start = || {
            let mut run = RunDir::open(&out, false).unwrap();
            run.start(&json!({"lesson": "birds_vs_airplanes"}))
                .unwrap()
                .map(|path| path.file_name().unwrap().to_owned())
        };
        assert_eq!(start(), None);
        assert_eq!(start(), None, "a run without any result is no loss");
        fs::write(out.join("metrics.jsonl"), "first").unwrap();
        assert_eq!(start().unwrap(), "run.1");
        fs::write(out.join("metrics.jsonl"), "second").unwrap();
        assert_eq!(start().unwrap(), "run.2");
        assert_eq!(fs::read_to_string(base.path().join("run.1/metrics.jsonl")).unwrap(), "first");
        assert_eq!(fs::read_to_string(base.path().join("run.2/metrics.jsonl")).unwrap(), "second");
        // A folder of event files, all that a run left that was killed in its first epoch.
        fs::create_dir_all(out.join("tb/trn")).unwrap();
        assert_eq!(start().unwrap(), "run.3");
        assert!(base.path().join("run.3/tb/trn").is_dir() && !out.join("tb").exists());
        assert!(!out.join("metrics.jsonl").exists() && out.join("config.json").exists());
    }

    #[test]
    fn files_that_are_not_ours_are_never_touched() {
        for (name, text) in [
            ("metrics.jsonl", "mine"),
            ("config.json", "{\"theme\": \"dark\"}"),
            ("config.json", "not even JSON"),
            ("loss.png", "mine"),
            ("notes.txt", "mine"),
        ] {
            let out = tempfile::tempdir().unwrap();
            fs::write(out.path().join(name), text).unwrap();
            let message = RunDir::open(out.path(), false).unwrap_err().to_string();
            assert!(message.contains(&format!("it holds a {name} that is not of an older run")), "{message}");
            assert_eq!(fs::read_to_string(out.path().join(name)).unwrap(), text);
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing was added");
        }
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join(".lock"), "mine").unwrap();
        RunDir::open(out.path(), false).unwrap().start(&json!({"lesson": "x"})).unwrap();
        assert_eq!(fs::read_to_string(out.path().join(".lock")).unwrap(), "mine");
    }

    #[test]
    fn two_runs_do_not_share_a_directory() {
        let base = tempfile::tempdir().unwrap();
        let first = RunDir::open(base.path(), false).unwrap();
        let message = RunDir::open(base.path(), false).unwrap_err().to_string();
        assert!(message.contains("another run is writing into it"), "{message}");
        drop(first);
        RunDir::open(base.path(), false).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        for out in [file.clone(), file.join("run")] {
            let message = RunDir::open(&out, false).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("--out {}: it cannot be written: ", out.display())),
                "{message}"
            );
        }
    }

    #[test]
    fn nothing_to_resume_leaves_no_trace() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("run");
        let message = RunDir::open(&out, true).unwrap_err().to_string();
        assert!(
            message.contains("run holds no resume.safetensors, so there is nothing to go on with"),
            "{message}"
        );
        assert!(!out.exists());
    }

    #[test]
    fn resume_needs_the_same_settings() {
        let base = tempfile::tempdir().unwrap();
        let mut run = RunDir::open(base.path().join("run"), false).unwrap();
        let config =
            |lr: f64, epochs: usize, data: &str| json!({"lr": lr, "epochs": epochs, "data_md5": data});
        run.start(&config(0.1 + 0.2, 2, "a")).unwrap();
        fs::write(run.file("resume.safetensors"), "").unwrap();
        run.check_resume(&config(0.1 + 0.2, 3, "a")).unwrap();
        let message = run.check_resume(&config(0.02, 3, "b")).unwrap_err().to_string();
        assert!(message.contains("lr was 0.30000000000000004, now it is 0.02"), "{message}");
        assert!(message.contains(r#"data_md5 was "a", now it is "b""#), "{message}");
        let message = run
            .check_resume(&json!({"epochs": 2, "data_md5": "a", "momentum": 0.9}))
            .unwrap_err()
            .to_string();
        assert!(message.contains("now it is unset") && message.contains("momentum was unset"), "{message}");

        fs::write(run.file("config.json"), "{\n\"lr\": ").unwrap();
        let message = run.check_resume(&config(0.01, 2, "a")).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("line 2"), "{message}");
    }
}
