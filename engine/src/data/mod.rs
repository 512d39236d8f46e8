//! Data loading: data sets that give samples, transforms that change them, and a loader that makes
//! shuffled batches of them, with worker threads where that helps.

mod dataset;
mod loader;
mod sampler;
pub mod transforms;

pub use dataset::{BatchBuffer, Dataset, Sample, TensorDataset};
pub use loader::{Batch, DataLoader, Epoch};
pub use sampler::{BalancedSampler, Sampler};
