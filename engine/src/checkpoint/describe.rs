//! What is in a checkpoint, as text.

use super::Checkpoint;
use crate::columns::{columns, thousands};
use crate::{Result, Statistics};

impl Checkpoint {
    /// A table of the tensors, with name, shape, type in the file and [`Statistics`], and the metadata
    /// under it.
    pub fn describe(&self) -> Result<String> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            let [min, mean, max, std, nan] = Statistics::of(&entry.tensor)?.cells();
            let shape = entry.tensor.shape().to_string();
            rows.push([visible(&entry.name), shape, entry.stored_as.clone(), min, mean, max, std, nan]);
        }
        let elements = self.entries.iter().map(|entry| entry.tensor.numel() as u64).sum();
        let mut text = format!("Format: {}\nTensors: {}\n", self.format, thousands(rows.len() as u64));
        text += &format!("Elements: {}\n\n", thousands(elements));
        text += &columns(["name", "shape", "type", "min", "mean", "max", "std", "NaN"], 3, &rows);
        if !self.metadata.is_empty() {
            text += "\n";
        }
        for (key, value) in &self.metadata {
            text += &format!("{}: {}\n", visible(key), visible(value));
        }
        Ok(text)
    }
}

/// A file's own words, without what a terminal would take for a command.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
}
