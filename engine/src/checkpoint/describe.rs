//! What is in a checkpoint, as text.

use super::{Checkpoint, NAME, visible};
use crate::columns::{columns, thousands};
use crate::{Result, Statistics};

/// As many characters of a text are shown.
const TEXT: usize = 2000;

impl Checkpoint {
    /// A table of the tensors, with name, shape, type in the file and [`Statistics`], and the metadata
    /// under it.
    pub fn describe(&self) -> Result<String> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            let [min, mean, max, std, nan] = Statistics::of(&entry.tensor)?.cells();
            let shape = entry.tensor.shape().to_string();
            rows.push([visible(&entry.name, NAME), shape, entry.stored_as.clone(), min, mean, max, std, nan]);
        }
        let elements = self.entries.iter().map(|entry| entry.tensor.numel() as u64).sum();
        let mut text = format!("Format: {}\nTensors: {}\n", self.format, thousands(rows.len() as u64));
        text += &format!("Elements: {}\n\n", thousands(elements));
        text += &columns(["name", "shape", "type", "min", "mean", "max", "std", "NaN"], 3, &rows);
        if !self.metadata.is_empty() {
            text += "\n";
        }
        for (key, value) in &self.metadata {
            text += &format!("{}: {}\n", visible(key, NAME), visible(value, TEXT));
        }
        Ok(text)
    }
}
