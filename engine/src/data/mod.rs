//! Data loading: data sets that give samples, and a loader that makes shuffled batches of them, with
//! worker threads where that helps.

mod dataset;
mod loader;

pub use dataset::{BatchBuffer, Dataset, Sample, TensorDataset};
pub use loader::{Batch, DataLoader, Epoch};
