//! Looking on while a network is trained.

use voxgrad_engine::Tensor;

use super::console::Console;
use super::history::EpochMetrics;
use crate::{Error, Result};

/// Which samples a batch is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Those the network learns from.
    Train,
    /// Those it never learns from.
    Val,
}

/// Measures what a training's books do not: it is given what the network says, batch by batch, and adds
/// numbers of its own to the measurements of an epoch.
pub trait Observer {
    /// Takes the outputs and targets of one batch, still on the device: keep them, and read them in
    /// [`Observer::epoch`] at once, since each reading waits for the device. Those of [`Split::Train`] are
    /// the outputs of the training pass itself, from before the step; those of [`Split::Val`] come after
    /// all of them, in evaluation mode.
    fn batch(&mut self, split: Split, outputs: &Tensor, targets: &Tensor) -> Result<()>;

    /// Ends an epoch: gives further measurements by name, such as `val_f1`, and forgets the batches.
    /// `metrics` are those of the trainer, and of the observers before this one.
    fn epoch(&mut self, metrics: &EpochMetrics, console: &mut Console) -> Result<Vec<(String, f64)>>;

    /// What [`Observer::batch`] has gathered in the epoch at hand: it is saved when a run stops within it.
    fn state(&self) -> Result<Vec<(String, Tensor)>>;

    /// Puts a [`Observer::state`] in the place of what was gathered.
    ///
    /// # Errors
    /// When it is not one of this kind of observer.
    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()>;
}

/// The observers of a training, and one state of them all: `0.name` is that of the first.
#[derive(Default)]
pub(super) struct Observers<'a>(Vec<&'a mut dyn Observer>);

impl<'a> Observers<'a> {
    pub fn add(&mut self, observer: &'a mut dyn Observer) {
        self.0.push(observer);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn batch(&mut self, split: Split, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        self.0.iter_mut().try_for_each(|observer| observer.batch(split, outputs, targets))
    }

    /// Adds what the observers have measured to `metrics`.
    ///
    /// # Errors
    /// Theirs, and when a name stands for another measurement already.
    pub fn epoch(&mut self, metrics: &mut EpochMetrics, console: &mut Console) -> Result<()> {
        for observer in &mut self.0 {
            for (name, value) in observer.epoch(metrics, console)? {
                if metrics.get(&name).is_some() {
                    return Err(Error::Run(format!(
                        "an observer's {name} is among the measurements already"
                    )));
                }
                metrics.more.insert(name, value);
            }
        }
        Ok(())
    }

    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut all = Vec::new();
        for (i, observer) in self.0.iter().enumerate() {
            all.extend(observer.state()?.into_iter().map(|(name, tensor)| (format!("{i}.{name}"), tensor)));
        }
        Ok(all)
    }

    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let of = |i: usize, name: &str| name.strip_prefix(&format!("{i}.")).map(str::to_string);
        if let Some((name, _)) =
            state.iter().find(|(name, _)| (0..self.0.len()).all(|i| of(i, name).is_none()))
        {
            return Err(Error::Run(format!("{name:?} belongs to no observer of this run")));
        }
        for (i, observer) in self.0.iter_mut().enumerate() {
            let own = state.iter().filter_map(|(name, tensor)| Some((of(i, name)?, tensor.clone())));
            observer.load_state(&own.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}
