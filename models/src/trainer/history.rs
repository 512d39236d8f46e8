//! What a run has measured so far: one line of JSON per epoch.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize};
use voxgrad_engine::checkpoint;

use crate::{Error, Result};

/// One epoch's measurements: one line of `metrics.jsonl`. A number that is not finite is written
/// as `null` and read back as NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The mean of the batch losses while training, each measured before its step; what was added to
    /// the loss is in it.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    /// The mean loss of the validation samples after the epoch.
    #[serde(deserialize_with = "null_is_nan")]
    pub val_loss: f64,
    /// The part of the training samples that is classified right after the epoch.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_acc: f64,
    /// The part of the validation samples that is classified right after the epoch.
    #[serde(deserialize_with = "null_is_nan")]
    pub val_acc: f64,
    /// How long it took, measuring included.
    #[serde(deserialize_with = "null_is_nan")]
    pub seconds: f64,
    /// Further measurements by name: those of observers, and with a schedule the learning rate, `lr`.
    #[serde(flatten, deserialize_with = "nulls_are_nan")]
    pub more: BTreeMap<String, f64>,
}

impl EpochMetrics {
    /// The measurement of this name in `metrics.jsonl`.
    pub fn get(&self, name: &str) -> Option<f64> {
        let own = self.own().into_iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        own.or_else(|| self.more.get(name).copied())
    }

    /// The names of all measurements.
    pub fn names(&self) -> Vec<&str> {
        self.own().map(|(name, _)| name).into_iter().chain(self.more.keys().map(String::as_str)).collect()
    }

    fn own(&self) -> [(&'static str, f64); 6] {
        [
            ("epoch", self.epoch as f64),
            ("train_loss", self.train_loss),
            ("val_loss", self.val_loss),
            ("train_acc", self.train_acc),
            ("val_acc", self.val_acc),
            ("seconds", self.seconds),
        ]
    }
}

fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn nulls_are_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, f64>, D::Error> {
    let more = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(more.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

/// The MD5 sum of a run's lines, which is kept elsewhere: it tells whether they are still the lines
/// that the run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal(u128);

impl Seal {
    fn of(lines: &[u8]) -> Seal {
        Seal(u128::from_be_bytes(Md5::digest(lines).into()))
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Seal {
    type Err = std::num::ParseIntError;

    fn from_str(hexadecimal: &str) -> std::result::Result<Seal, Self::Err> {
        Ok(Seal(u128::from_str_radix(hexadecimal, 16)?))
    }
}

/// Adds a line to the file at `path`; it is on disk when this returns, so before the position that
/// counts its epoch as done. Returns the seal of all lines.
pub(super) fn append(path: &Path, metrics: &EpochMetrics) -> Result<Seal> {
    let line = format!("{}\n", to_json(path, metrics)?);
    let file = OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(line.as_bytes())?;
        file.sync_data()
    });
    written.map_err(Error::io(path))?;
    Ok(Seal::of(&fs::read(path).map_err(Error::io(path))?))
}

/// Reads epochs 1 to `epochs` and cuts off what comes after them: an epoch that a crash finished
/// measuring but not saving, perhaps half a line, will be trained and written again.
///
/// # Errors
/// As [`read`].
pub(super) fn read_and_cut(path: &Path, epochs: usize, seal: Option<Seal>) -> Result<Vec<EpochMetrics>> {
    let (history, rest) = read(path, epochs, seal)?;
    if rest > 0 {
        let text = fs::read(path).map_err(Error::io(path))?;
        checkpoint::write_atomically(path, &text[..text.len() - rest])?;
    }
    Ok(history)
}

/// Reads epochs 1 to `epochs`, and how many bytes come after them.
///
/// # Errors
/// When one of those lines is missing or broken; the message has its number. When they are not those
/// that `seal` was made of.
pub(super) fn read(path: &Path, epochs: usize, seal: Option<Seal>) -> Result<(Vec<EpochMetrics>, usize)> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && epochs == 0 => return Ok((Vec::new(), 0)),
        read => read.map_err(Error::io(path))?,
    };
    let broken = |message: String| Err(Error::file(path, message));
    let mut history = Vec::new();
    let mut kept = 0;
    for (i, line) in text.split_inclusive('\n').enumerate().take(epochs) {
        let metrics: EpochMetrics = match serde_json::from_str(line) {
            Ok(metrics) => metrics,
            Err(e) => return broken(format!("line {}: {e}", i + 1)),
        };
        if metrics.epoch != i + 1 {
            return broken(format!("line {0} is of epoch {1}, not {0}", i + 1, metrics.epoch));
        }
        history.push(metrics);
        kept += line.len();
    }
    if history.len() < epochs {
        let there = history.len();
        return broken(format!("it has {there} lines, but {epochs} epochs are finished"));
    }
    if seal.is_some_and(|seal| seal != Seal::of(&text.as_bytes()[..kept])) {
        return broken("it is not as the run wrote it: put its lines back, or start a new run".to_string());
    }
    Ok((history, text.len() - kept))
}

fn to_json(path: &Path, metrics: &EpochMetrics) -> Result<String> {
    serde_json::to_string(metrics).map_err(|e| Error::file(path, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(epoch: usize) -> EpochMetrics {
        let (train_acc, val_acc, more) = (0.75, 0.5, BTreeMap::new());
        EpochMetrics { epoch, train_loss: 0.5, val_loss: 0.25, train_acc, val_acc, seconds: 1.5, more }
    }

    #[test]
    fn epochs_that_were_not_saved_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        for epoch in 1..=3 {
            append(&path, &metrics(epoch)).unwrap();
        }
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"epoch\":4,\"tr").unwrap();
        assert_eq!(read_and_cut(&path, 2, None).unwrap(), [metrics(1), metrics(2)]);
        append(&path, &metrics(3)).unwrap();
        assert_eq!(read_and_cut(&path, 3, None).unwrap().len(), 3);
        assert_eq!(
            fs::read_to_string(&path).unwrap().lines().last().unwrap(),
            r#"{"epoch":3,"train_loss":0.5,"val_loss":0.25,"train_acc":0.75,"val_acc":0.5,"seconds":1.5}"#
        );
    }

    #[test]
    fn further_measurements_stand_in_the_same_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let more = BTreeMap::from([("lr".into(), 0.1 + 0.2), ("val_f1".into(), f64::NAN)]);
        append(&path, &EpochMetrics { more, ..metrics(1) }).unwrap();
        let line = fs::read_to_string(&path).unwrap();
        assert!(line.ends_with(",\"seconds\":1.5,\"lr\":0.30000000000000004,\"val_f1\":null}\n"), "{line}");
        let read = &read_and_cut(&path, 1, None).unwrap()[0];
        assert_eq!((read.get("lr"), read.get("val_acc"), read.get("f1")), (Some(0.1 + 0.2), Some(0.5), None));
        assert!(read.get("val_f1").unwrap().is_nan());
        assert_eq!(read.names().len(), 8);
        fs::write(&path, line.replace("null", "\"high\"")).unwrap();
        let message = read_and_cut(&path, 1, None).unwrap_err().to_string();
        assert!(message.contains("line 1: invalid type: string \"high\""), "{message}");
    }

    #[test]
    fn what_is_not_finite_is_null() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        append(&path, &EpochMetrics { val_loss: f64::NAN, ..metrics(1) }).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"val_loss\":null"));
        assert!(read_and_cut(&path, 1, None).unwrap()[0].val_loss.is_nan());
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        assert!(
            read_and_cut(&path, 0, None).unwrap().is_empty(),
            "a run stopped in its first epoch has no file"
        );
        let message = |epochs| read_and_cut(&path, epochs, None).unwrap_err().to_string();
        assert!(message(1).contains("metrics.jsonl"));
        append(&path, &metrics(1)).unwrap();
        assert!(message(2).contains("it has 1 lines, but 2 epochs are finished"), "{}", message(2));
        append(&path, &metrics(3)).unwrap();
        assert!(message(2).contains("line 2 is of epoch 3, not 2"), "{}", message(2));
        fs::write(&path, "{\"epoch\":1}\n").unwrap();
        assert!(message(1).contains("line 1: missing field"), "{}", message(1));
    }

    #[test]
    fn what_was_changed_after_it_was_written_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        append(&path, &metrics(1)).unwrap();
        let seal = append(&path, &metrics(2)).unwrap();
        assert_eq!(seal.to_string().parse(), Ok(seal));
        append(&path, &metrics(3)).unwrap();
        assert_eq!(read(&path, 2, Some(seal)).unwrap().0, [metrics(1), metrics(2)]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("0.75", "0.95", 1)).unwrap();
        let message = read_and_cut(&path, 2, Some(seal)).unwrap_err().to_string();
        assert!(
            message.ends_with("it is not as the run wrote it: put its lines back, or start a new run"),
            "{message}"
        );
        assert!(fs::read_to_string(&path).unwrap().contains("\"epoch\":3"), "nothing is cut off then");
    }
}
