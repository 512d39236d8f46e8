//! How long a training will take, judged by a few batches.

use std::time::{Duration, Instant};

use voxgrad_engine::data::{Batch, DataLoader};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::{TrainStep, no_grad};

use super::Loaders;
use super::step::{Part, step};
use crate::Result;
use crate::losses::Loss;

/// Batches that don't count: buffers are made and kernels compiled in them.
const WARM_UP: usize = 2;
/// At most so many batches are timed, at least one, none after this time.
const TIMED: usize = 10;
const PATIENCE: Duration = Duration::from_millis(300);

/// The seconds that an epoch takes, measuring included, judged by a few batches of `loaders`. It trains
/// `model` on them, by cross-entropy: give it one that is not needed for anything else. Terms added to the
/// loss are not timed.
pub fn seconds_per_epoch(
    model: &dyn Module,
    optimizer: &mut dyn Optimizer,
    loaders: &Loaders,
) -> Result<f64> {
    model.train();
    let mut train_step = TrainStep::capture();
    let part = Part { model, loss: Loss::CrossEntropy, terms: &[], keep: false };
    // Reading a number waits until the device has worked it out.
    let train = |batch: &Batch| Ok(step(&mut train_step, optimizer, batch, &part)?.0.item()?);
    let trained = per_batch(&loaders.train, train)?;
    model.eval();
    let forward = |batch: &Batch| Ok(model.forward(&batch.inputs)?.sum_all()?.item()?);
    let measured = no_grad(|| per_batch(&loaders.val, forward))?;
    let measurements = loaders.train_eval.as_ref().map_or(0, DataLoader::len) + loaders.val.len();
    Ok(trained * loaders.train.len() as f64 + measured * measurements as f64)
}

/// The mean seconds of `work` on a batch.
fn per_batch(loader: &DataLoader, mut work: impl FnMut(&Batch) -> Result<f64>) -> Result<f64> {
    if loader.is_empty() {
        return Ok(0.0);
    }
    let (mut began, mut timed) = (Instant::now(), 0);
    // A loader of few batches is gone through again.
    for (i, batch) in (0..).flat_map(|_| loader.epoch(0)).take(WARM_UP + TIMED).enumerate() {
        if i == WARM_UP {
            began = Instant::now();
        }
        work(&batch?)?;
        timed = (i + 1).saturating_sub(WARM_UP);
        if timed > 0 && began.elapsed() > PATIENCE {
            break;
        }
    }
    Ok(began.elapsed().as_secs_f64() / timed.max(1) as f64)
}
