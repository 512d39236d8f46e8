//! The loader: shuffled batches, made by this thread or ahead of it by worker threads.
//!
//! What a batch holds depends on the seed, the epoch and the batch's number alone. Worker `w` of
//! `W` makes batches w, w + W, w + 2W, ... and hands them over through a channel of its own, and
//! the epoch takes from the channels in turn: so the order is the same for any number of workers,
//! and a slow worker is waited for rather than overtaken.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::dataset::{BatchBuffer, Dataset, data_error};
use super::sampler::Sampler;
use crate::random::Rng;
use crate::{Device, Error, Result, Shape, Tensor};

/// How many finished batches a worker may have waiting, beside the one it is making.
const WAITING_PER_WORKER: usize = 1;

/// A number of samples as tensors.
#[derive(Debug)]
pub struct Batch {
    /// The samples, `[N, ..]` f32.
    pub inputs: Tensor,
    /// Their classes, `[N]` u32.
    pub targets: Tensor,
    /// Their numbers in the data set.
    pub indices: Vec<usize>,
}

/// In what order an epoch takes the samples.
#[derive(Clone)]
enum Order {
    /// That of the data set.
    Given,
    /// Each once, at random.
    Shuffled,
    /// Chosen by somebody else.
    Sampled(Arc<dyn Sampler>),
}

/// Makes batches of a data set.
///
/// ```
/// use std::sync::Arc;
/// use voxgrad_engine::data::{DataLoader, TensorDataset};
///
/// let data = TensorDataset::new((0..10).map(|i| i as f32).collect(), [2], vec![0, 1, 0, 1, 0])?;
/// let loader = DataLoader::new(Arc::new(data), 2)?.shuffle(42);
/// for batch in loader.epoch(0) {
///     let batch = batch?;
///     assert_eq!(batch.inputs.shape()[1], 2);
/// }
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct DataLoader {
    dataset: Arc<dyn Dataset>,
    batch_size: usize,
    order: Order,
    seed: u64,
    drop_last: bool,
    workers: usize,
    device: Device,
}

impl DataLoader {
    /// Batches of `batch_size` samples in the data set's order, the last one with what is left, on
    /// the CPU, made by the thread that asks for them.
    ///
    /// # Errors
    /// When `batch_size` is 0 or the data set is empty.
    pub fn new(dataset: Arc<dyn Dataset>, batch_size: usize) -> Result<DataLoader> {
        if batch_size == 0 {
            return Err(Error::Value {
                what: "batch size",
                message: "0 is not allowed, at least 1 is".into(),
            });
        }
        if dataset.is_empty() {
            return data_error("the data set is empty: there is nothing to make batches of".into());
        }
        let device = Device::cpu();
        let order = Order::Given;
        Ok(DataLoader { dataset, batch_size, order, seed: 0, drop_last: false, workers: 0, device })
    }

    /// Takes the samples in a random order, another one each epoch, the same one for the same seed
    /// and epoch. The seed also feeds the samples' own generators, as [`DataLoader::seed`].
    pub fn shuffle(self, seed: u64) -> DataLoader {
        DataLoader { order: Order::Shuffled, seed, ..self }
    }

    /// Takes the samples that `sampler` chooses, anew each epoch; the same ones for the same seed and
    /// epoch. A sample that comes twice in an epoch draws other numbers from its generator each time.
    pub fn sampler(self, sampler: impl Sampler + 'static, seed: u64) -> DataLoader {
        DataLoader { order: Order::Sampled(Arc::new(sampler)), seed, ..self }
    }

    /// Seeds the generators that the samples' transforms draw from, without shuffling.
    pub fn seed(self, seed: u64) -> DataLoader {
        DataLoader { seed, ..self }
    }

    /// Leaves out a last batch that is smaller than the others. Of a data set smaller than one batch
    /// nothing remains then: its epochs are empty.
    pub fn drop_last(self, on: bool) -> DataLoader {
        DataLoader { drop_last: on, ..self }
    }

    /// Has `workers` threads make batches ahead, at most two each. With 0 the thread that asks makes
    /// them, which is the faster way for samples that lie in memory, ready.
    pub fn workers(self, workers: usize) -> DataLoader {
        DataLoader { workers, ..self }
    }

    /// Puts the batches on `device`.
    pub fn device(self, device: &Device) -> DataLoader {
        DataLoader { device: device.clone(), ..self }
    }

    /// The number of batches of an epoch.
    pub fn len(&self) -> usize {
        let samples = self.samples();
        if self.drop_last { samples / self.batch_size } else { samples.div_ceil(self.batch_size) }
    }

    /// Whether an epoch has no batches.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of samples of an epoch, with those that [`DataLoader::drop_last`] leaves out.
    pub fn samples(&self) -> usize {
        match &self.order {
            Order::Sampled(sampler) => sampler.len(),
            _ => self.dataset.len(),
        }
    }

    /// The batches of epoch `epoch`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from number `first_batch` on, the same as a whole epoch has
    /// there; those before it are not loaded. A run that was stopped goes on with this.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        let seed = epoch_seed(self.seed, epoch);
        let mut rng = Rng::new(seed, ORDER_STREAM);
        let mut order: Vec<usize> = match &self.order {
            Order::Sampled(sampler) => sampler.order(&mut rng),
            _ => (0..self.dataset.len()).collect(),
        };
        if matches!(self.order, Order::Shuffled) {
            rng.shuffle(&mut order);
        }
        let plan = Plan {
            dataset: self.dataset.clone(),
            sampled: matches!(self.order, Order::Sampled(_)),
            order,
            batch_size: self.batch_size,
            batches: self.len(),
            seed,
            stop: AtomicBool::new(false),
        };
        Epoch::start(Arc::new(plan), first_batch, self.workers, self.device.clone())
    }
}

/// The stream of an epoch's order, which no sample's number reaches.
const ORDER_STREAM: u64 = u64::MAX >> 1;

/// The seed of one epoch: 64 bits drawn from the stream that the epoch's number names.
fn epoch_seed(seed: u64, epoch: u64) -> u64 {
    let mut rng = Rng::new(seed, epoch);
    u64::from(rng.next_u32()) << 32 | u64::from(rng.next_u32())
}

/// What an epoch's batches are, and whether anybody still wants them.
struct Plan {
    dataset: Arc<dyn Dataset>,
    order: Vec<usize>,
    /// Whether a sample may come several times: its generator then goes by its place in the order.
    sampled: bool,
    batch_size: usize,
    batches: usize,
    seed: u64,
    stop: AtomicBool,
}

impl Plan {
    fn indices(&self, batch: usize) -> &[usize] {
        let start = self.order.len().min(batch * self.batch_size);
        &self.order[start..self.order.len().min(start + self.batch_size)]
    }

    /// Makes batch number `batch`. A panic of the data set's code comes out as an error; `None`
    /// says that nobody waits for the batch any more.
    fn load(&self, batch: usize) -> Option<Result<BatchBuffer>> {
        let indices = self.indices(batch);
        let mut buffer = BatchBuffer::new(indices.len());
        for (i, &index) in indices.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let stream = if self.sampled { batch * self.batch_size + i } else { index };
            let mut rng = Rng::new(self.seed, stream as u64);
            let append = || self.dataset.append(index, &mut rng, &mut buffer);
            match catch_unwind(AssertUnwindSafe(append)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(Err(error)),
                Err(panic) => {
                    let message = panic_message(&*panic);
                    return Some(data_error(format!("loading sample {index} panicked: {message}")));
                }
            }
        }
        Some(Ok(buffer))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        _ => "no message",
    }
}

/// The batches of one epoch, in order. After an error it ends. Dropping it stops its workers.
pub struct Epoch {
    plan: Arc<Plan>,
    next: usize,
    device: Device,
    workers: Vec<Worker>,
    /// Which worker makes batch `next`.
    turn: usize,
    failed_start: Option<Error>,
}

struct Worker {
    batches: Receiver<Result<BatchBuffer>>,
    thread: JoinHandle<()>,
}

impl Epoch {
    fn start(plan: Arc<Plan>, first: usize, workers: usize, device: Device) -> Epoch {
        let next = first.min(plan.batches);
        let workers_used = workers.min(plan.batches - next);
        let mut epoch = Epoch { plan, next, device, workers: vec![], turn: 0, failed_start: None };
        for w in 0..workers_used {
            let (sender, batches) = sync_channel(WAITING_PER_WORKER);
            let plan = epoch.plan.clone();
            let work = move || {
                for batch in (next + w..plan.batches).step_by(workers_used) {
                    let Some(made) = plan.load(batch) else { return };
                    let failed = made.is_err();
                    // Sending fails when the epoch is gone.
                    if sender.send(made).is_err() || failed {
                        return;
                    }
                }
            };
            match std::thread::Builder::new().name(format!("data loader {w}")).spawn(work) {
                Ok(thread) => epoch.workers.push(Worker { batches, thread }),
                Err(error) => {
                    epoch.failed_start =
                        Some(Error::Data(format!("worker thread {w} could not be started: {error}")));
                    break;
                }
            }
        }
        epoch
    }

    fn make(&mut self) -> Result<Batch> {
        if let Some(error) = self.failed_start.take() {
            return Err(error);
        }
        let made = match self.workers.get(self.turn) {
            Some(worker) => worker.batches.recv().ok(),
            None => self.plan.load(self.next),
        };
        // Only a panic outside `load` could end a worker before its last batch.
        let buffer = made.unwrap_or_else(|| data_error("a worker thread ended early".into()))?;
        let n = buffer.targets.len();
        let sizes: Vec<usize> = std::iter::once(n).chain(buffer.sample_shape.iter().copied()).collect();
        Ok(Batch {
            inputs: Tensor::new(&buffer.inputs, Shape::from(sizes), &self.device)?,
            targets: Tensor::new(&buffer.targets, [n], &self.device)?,
            indices: self.plan.indices(self.next).to_vec(),
        })
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.next == self.plan.batches {
            return None;
        }
        let batch = self.make();
        self.next = if batch.is_ok() { self.next + 1 } else { self.plan.batches };
        self.turn = (self.turn + 1) % self.workers.len().max(1);
        Some(batch)
    }

    /// As many batches as are left, unless one of them fails.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.batches - self.next;
        (left.min(1), Some(left))
    }
}

impl Drop for Epoch {
    /// Waits for the workers, each of which ends after the sample it is at.
    fn drop(&mut self) {
        self.plan.stop.store(true, Ordering::Relaxed);
        for Worker { batches, thread } in self.workers.drain(..) {
            drop(batches); // wakes a worker that waits for room in its channel
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
