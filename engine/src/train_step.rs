//! A training step that is recorded once and then replayed.
//!
//! A step of a small network is dozens of kernels that each run for a few microseconds; handing them to
//! the driver one by one takes longer than running them. CUDA can record what a step launches as a graph,
//! and launch that as one. A replay runs the same kernels on the same buffers, so it gives the same bits.
//!
//! What the host does in a step has to be done for each replay too:
//!
//! | what | how |
//! |---|---|
//! | new data | copied into the tensors that were recorded |
//! | the optimizer's step count and learning rate | it steps again, and its kernels get the new parameters |
//! | random numbers | the device counts how many draws lie between the recorded step and this one |
//! | counters, such as batch-norm's `num_batches_tracked` | counted up |

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use voxgrad_kernels::Storage;
use voxgrad_kernels::device::CudaDevice;
use voxgrad_kernels::device::cuda::CudaGraph;

use crate::optim::Optimizer;
use crate::profile::span;
use crate::random::{self, RngState};
use crate::{DType, Device, Error, Tensor, tensor};

type Result<T, E = Error> = std::result::Result<T, E>;

/// One step of training after the other: the loss of a batch, the way back, the optimizer's step.
///
/// On a CUDA device, [`TrainStep::capture`] records the second step and replays it from the third one on, as
/// long as the inputs have the same shapes; elsewhere, where a step cannot be recorded, or when `KERNEL_LOG=2`
/// asks for the time of every launch, each kernel is launched on its own. The results are the same, bit for bit.
///
/// ```
/// use voxgrad_engine::optim::SGD;
/// use voxgrad_engine::{Device, Tensor, TrainStep};
///
/// let device = Device::cpu();
/// let w = Tensor::new(&[0.0f32], [1], &device)?.requires_grad();
/// let mut optimizer = SGD::new(vec![w.clone()], 0.1)?;
/// let mut step = TrainStep::capture();
/// for _ in 0..50 {
///     let x = Tensor::new(&[2.0f32], [1], &device)?;
///     let y = Tensor::new(&[6.0f32], [1], &device)?;
///     step.run(&mut optimizer, &[x, y], |batch| {
///         batch[0].mul(&w)?.sub(&batch[1])?.square()?.sum_all()
///     })?;
/// }
/// assert!((w.item()? - 3.0).abs() < 1e-4);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct TrainStep {
    captures: bool,
    /// Whether a step with these inputs could not be recorded, or has only warmed up so far.
    seen: Option<Seen>,
    recorded: Option<Recorded>,
    replays: u64,
}

/// What the inputs of a step look like.
type Like = Vec<(Vec<usize>, DType, Device)>;

/// What became of the last step that ran launch by launch.
#[derive(Debug)]
struct Seen {
    like: Like,
    /// It may be recorded the next time: everything that is made once, such as the optimizer's memory, exists.
    ready: bool,
}

/// A step as a graph, and what its replays need.
struct Recorded {
    graph: CudaGraph,
    gpu: CudaDevice,
    like: Like,
    /// The tensors that new data is copied into.
    inputs: Vec<Tensor>,
    /// The gradients that the graph writes, in the order of the optimizer's parameters.
    grads: Vec<Option<Tensor>>,
    loss: Tensor,
    /// What else the step gives.
    kept: Vec<Tensor>,
    /// Where the random generator stood before the recorded step, and how many calls of a step draw from it.
    rng: RngState,
    draws: u64,
    counters: Vec<Arc<AtomicU64>>,
    /// The tensors whose memory the graph writes: parameters, running statistics.
    written: Vec<Tensor>,
    /// How often tensors had been given other memory by then.
    moves: u64,
}

impl TrainStep {
    /// A step that is recorded and replayed where the device can.
    pub fn capture() -> TrainStep {
        TrainStep { captures: true, ..TrainStep::default() }
    }

    /// A step that launches every kernel on its own.
    pub fn eager() -> TrainStep {
        TrainStep::default()
    }

    /// How many steps were replays.
    pub fn replays(&self) -> u64 {
        self.replays
    }

    /// Computes `loss` of `inputs`, its gradients, and moves the optimizer's parameters. Returns the loss
    /// from before the step; the gradients stay in the parameters.
    ///
    /// `loss` is not called in a replay. So what changes from step to step must be one of the inputs, and
    /// a network must stay in the mode, training or evaluation, in which it was recorded.
    ///
    /// # Errors
    /// Those of the loss and of the optimizer.
    pub fn run<E: From<Error>>(
        &mut self,
        optimizer: &mut dyn Optimizer,
        inputs: &[Tensor],
        loss: impl Fn(&[Tensor]) -> Result<Tensor, E>,
    ) -> Result<Tensor, E> {
        let alone = |inputs: &[Tensor]| loss(inputs).map(|loss| (loss, Vec::new()));
        Ok(self.run_keeping(optimizer, inputs, alone)?.0)
    }

    /// As [`TrainStep::run`], for a `loss` that also gives tensors it has worked out on the way, such as the
    /// network's outputs. Returns the loss and those, from before the step, outside the graph and in memory
    /// that no later step writes.
    ///
    /// # Errors
    /// Those of the loss and of the optimizer.
    pub fn run_keeping<E: From<Error>>(
        &mut self,
        optimizer: &mut dyn Optimizer,
        inputs: &[Tensor],
        loss: impl Fn(&[Tensor]) -> Result<(Tensor, Vec<Tensor>), E>,
    ) -> Result<(Tensor, Vec<Tensor>), E> {
        let gpu = match inputs.first().map(Tensor::device) {
            Some(Device::Cuda(gpu)) if self.captures && !gpu.times_launches() => gpu,
            _ => return eager(optimizer, inputs, &loss),
        };
        let like: Like = inputs.iter().map(|x| (x.shape().to_vec(), x.dtype(), x.device())).collect();
        self.recorded.take_if(|recorded| !recorded.is_current());
        if let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.like == like) {
            if recorded.is_unshared() {
                self.replays += 1;
                return Ok(recorded.replay(optimizer, inputs)?);
            }
            // A step that is not replayed makes new memory where somebody holds the old.
            return eager(optimizer, inputs, &loss);
        }
        let seen = self.seen.as_ref().filter(|seen| seen.like == like);
        match (seen, &self.recorded) {
            (Some(Seen { ready: true, .. }), None) => {
                match Recorded::new(gpu, like.clone(), optimizer, inputs, &loss) {
                    Some(recorded) => return Ok(self.recorded.insert(recorded).given()?),
                    None => self.seen = Some(Seen { like, ready: false }),
                }
            }
            (Some(_), _) => {}
            (None, _) => self.seen = Some(Seen { like, ready: true }),
        }
        eager(optimizer, inputs, &loss)
    }
}

/// The step itself.
fn eager<E: From<Error>>(
    optimizer: &mut dyn Optimizer,
    inputs: &[Tensor],
    loss: &impl Fn(&[Tensor]) -> Result<(Tensor, Vec<Tensor>), E>,
) -> Result<(Tensor, Vec<Tensor>), E> {
    let (loss, kept) = forward_and_back(optimizer, inputs, loss)?;
    span("optimizer", || optimizer.step())?;
    Ok((loss, kept))
}

/// The step up to the optimizer's part in it.
fn forward_and_back<E: From<Error>>(
    optimizer: &dyn Optimizer,
    inputs: &[Tensor],
    loss: &impl Fn(&[Tensor]) -> Result<(Tensor, Vec<Tensor>), E>,
) -> Result<(Tensor, Vec<Tensor>), E> {
    let (loss, kept) = span("forward", || loss(inputs))?;
    let kept = kept.into_iter().map(|tensor| tensor.detach()).collect();
    span("backward", || {
        optimizer.zero_grad();
        loss.backward()
    })?;
    Ok((loss.detach(), kept))
}

impl Recorded {
    /// Records a step and runs it. `None` when it does what a graph cannot hold, or the driver does not make a
    /// graph of it; then it is as if nothing had been done.
    fn new<E: From<Error>>(
        gpu: CudaDevice,
        like: Like,
        optimizer: &mut dyn Optimizer,
        inputs: &[Tensor],
        loss: &impl Fn(&[Tensor]) -> Result<(Tensor, Vec<Tensor>), E>,
    ) -> Option<Recorded> {
        let inputs = inputs.iter().map(Tensor::copy).collect::<Result<Vec<_>>>().ok()?;
        let (rng, moves) = (random::rng_state(), tensor::moves());
        let capture = gpu.begin_capture().ok()?;
        NOTES.set(Some(Notes::default()));
        let mut stepped = false;
        let step = forward_and_back(optimizer, &inputs, loss).and_then(|given| {
            stepped = true;
            optimizer.step()?;
            Ok(given)
        });
        let Notes { counters, written, replaced } = NOTES.take().unwrap_or_default();
        let draws = random::rng_state().offset.wrapping_sub(rng.offset);
        let ran = step.and_then(|given| {
            let mut graph = capture.end(draws).map_err(Error::from)?;
            // Recording ran nothing: this is the step's first run.
            graph.launch(None).map_err(Error::from)?;
            Ok((given, graph))
        });
        let Ok(((loss, kept), graph)) = ran else {
            // Nothing has run. An error that has nothing to do with the recording comes again without it.
            random::set_rng_state(rng);
            for counter in counters {
                counter.fetch_sub(1, Ordering::Relaxed);
            }
            for (tensor, storage) in replaced {
                tensor.replace(storage);
            }
            optimizer.zero_grad();
            if stepped {
                optimizer.take_back();
            }
            return None;
        };
        let grads = optimizer.parameters().iter().map(Tensor::grad).collect();
        Some(Recorded { graph, gpu, like, inputs, grads, loss, kept, rng, draws, counters, written, moves })
    }

    /// Whether a replay would use the memory that the tensors have now, and the right random numbers.
    fn is_current(&self) -> bool {
        self.moves == tensor::moves() && self.rng.seed == random::rng_state().seed
    }

    /// Whether nobody else holds what a replay would write: a copy of a weight, a gradient.
    fn is_unshared(&self) -> bool {
        // A gradient is held here and by its parameter.
        self.written.iter().chain(&self.inputs).all(|tensor| tensor.holders() == 1)
            && self.grads.iter().flatten().all(|grad| grad.holders() <= 2)
    }

    fn replay(&mut self, optimizer: &mut dyn Optimizer, inputs: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        for (recorded, new) in self.inputs.iter().zip(inputs) {
            recorded.overwrite(new)?;
        }
        for (parameter, grad) in optimizer.parameters().iter().zip(&self.grads) {
            parameter.set_grad(grad.as_ref());
        }
        let (stepped, changes) = self.gpu.collect(|| optimizer.step())?;
        stepped?;
        let rng = random::rng_state();
        self.graph.set_clock(rng.offset.wrapping_sub(self.rng.offset))?;
        self.graph.launch(Some(&changes))?;
        random::set_rng_state(RngState { offset: rng.offset.wrapping_add(self.draws), ..rng });
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.given()
    }

    /// What the last launch has worked out, in memory of its own.
    fn given(&self) -> Result<(Tensor, Vec<Tensor>)> {
        let kept = self.kept.iter().map(Tensor::copy).collect::<Result<_>>()?;
        Ok((self.loss.copy()?, kept))
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded({:?})", self.graph)
    }
}

/// What is noted while a step is being recorded.
#[derive(Default)]
struct Notes {
    counters: Vec<Arc<AtomicU64>>,
    written: Vec<Tensor>,
    /// Tensors that were given other memory, and what they had before.
    replaced: Vec<(Tensor, Arc<Storage>)>,
}

thread_local! {
    static NOTES: RefCell<Option<Notes>> = const { RefCell::new(None) };
}

/// Counts up, now and in each replay of the step that is being recorded.
pub(crate) fn count(counter: &Arc<AtomicU64>) {
    counter.fetch_add(1, Ordering::Relaxed);
    NOTES.with_borrow_mut(|notes| notes.iter_mut().for_each(|notes| notes.counters.push(counter.clone())));
}

/// Notes that the memory of a tensor is written in place.
pub(crate) fn written(tensor: &Tensor) {
    NOTES.with_borrow_mut(|notes| notes.iter_mut().for_each(|notes| notes.written.push(tensor.clone())));
}

/// Notes that a tensor was given a copy of its memory, which it had until now.
pub(crate) fn replaced(tensor: &Tensor, before: Arc<Storage>) {
    NOTES.with_borrow_mut(|notes| {
        if let Some(notes) = notes {
            notes.replaced.push((tensor.clone(), before));
        }
    });
}

/// Whether a step is being recorded. What a layer then works out on the host would stay as it is.
pub(crate) fn is_recording() -> bool {
    NOTES.with_borrow(Option::is_some)
}
