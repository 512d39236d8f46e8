//! What the lesson can be told.

use std::path::PathBuf;

use crate::option::at_least_one;
use crate::{Error, Result};

/// What the lesson is told on the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A state dict of a VGG16, as PyTorch or voxgrad has saved it.
    pub weights: Option<PathBuf>,
    /// The photograph to classify.
    pub image: Option<PathBuf>,
    /// A text file with the name of a class in each line.
    pub labels: Option<PathBuf>,
    /// Whether each convolution is followed by batch normalisation. Weights say so themselves.
    pub batch_norm: bool,
    /// Whether each channel's map becomes its maximum. Weights say so themselves.
    pub global_max_pool: bool,
    /// Images of the batch that memory and time are told of.
    pub batch_size: usize,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:NAME`.
    pub device: String,
    /// Initial values come from it.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            weights: None,
            image: None,
            labels: None,
            batch_norm: false,
            global_max_pool: false,
            batch_size: 1,
            device: "auto".into(),
            seed: 0,
        }
    }
}

impl Settings {
    /// # Errors
    /// [`Error::Usage`] names the setting and what it needs.
    pub(super) fn check(&self) -> Result<()> {
        at_least_one("--batch-size", self.batch_size)?;
        let usage = |message: &str| Err(Error::Usage(message.into()));
        match self {
            Settings { image: Some(_), weights: None, .. } => {
                usage("--image: a network with random weights knows no classes; give it --weights FILE")
            }
            Settings { labels: Some(_), image: None, .. } => {
                usage("--labels: there is nothing to name without --image FILE")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_what() {
        let file = || Some(PathBuf::from("file"));
        let refusal = |settings: Settings| settings.check().unwrap_err().to_string();
        assert!(Settings::default().check().is_ok());
        assert!(refusal(Settings { batch_size: 0, ..Settings::default() }).starts_with("--batch-size 0: "));
        assert!(refusal(Settings { image: file(), ..Settings::default() }).contains("give it --weights"));
        assert!(
            refusal(Settings { labels: file(), weights: file(), ..Settings::default() }).contains("--image")
        );
        assert!(Settings { image: file(), weights: file(), ..Settings::default() }.check().is_ok());
    }
}
