//! Launches captured once and launched again as one: a CUDA graph.
//!
//! ```text
//! let capture = gpu.begin_capture()?;
//! let loss = step()?;                     // nothing runs, every launch is noted
//! let graph = capture.end(draws)?;        // draws: how far the step moves the random numbers on
//! loop {
//!     let (_, changes) = gpu.collect(|| optimizer.step())?; // no launch, only its new parameters
//!     graph.launch(Some(&changes))?;      // the whole step again, in the same buffers
//! }
//! ```
//! A graph reads and writes always the same memory. It holds that memory until it is dropped, also
//! what the step frees on its way, which only other launches of the same step get. Three things differ from
//! one launch of it to the next: the data that the caller copies to buffers that lived before, the
//! parameters of kernels that were declared [changing](crate::device::Kernel::changing), and a clock that
//! dropout adds to its offset, counted up on the device at the end of each launch.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;

use cudarc::driver::sys::{CUgraph, CUgraphExec, CUgraphNode, CUstreamCaptureMode};

use super::driver::call;
use super::log::Timer;
use super::memory::{Block, CudaBuffer};
use super::mode::{Changes, Changing, Mode, Recording, discard, wrong};
use super::{CudaDevice, lock};
use crate::Result;
use crate::device::{Kernel, Source, log};

static SOURCE: Source =
    Source { name: "clock", wgsl: "", cuda: concat!("#line 1 \"clock.cu\"\n", include_str!("clock.cu")) };
pub(super) static ADVANCE: Kernel = Kernel::new(&SOURCE, "advance");

/// A capture under way, by the thread that began it and that it stays with: another one would wait for its
/// end. Dropped without an end it leaves nothing behind.
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<voxgrad_kernels::device::cuda::Capture>();
/// ```
#[derive(Debug)]
pub struct Capture {
    device: CudaDevice,
    ended: bool,
    _not_send: PhantomData<*const ()>,
    /// Dropped last.
    _shut: Opens,
}

/// Opens the gate that a capture has shut.
#[derive(Debug)]
struct Opens(CudaDevice);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.0.gate.open();
    }
}

impl CudaDevice {
    /// Begins to capture a graph: from now on launches of this thread do not run, but become a part of it.
    /// Other threads that give something to the device wait until the capture has ended.
    /// Buffers can be made, dropped and copied. Reading, uploading and waiting are errors and end the
    /// capture. Every kernel should have been launched before, by a step that is not captured: what is made
    /// once (an optimizer's state) would otherwise be made by every launch of the graph.
    ///
    /// # Errors
    /// When a graph is already being captured, or the driver refuses.
    pub fn begin_capture(&self) -> Result<Capture> {
        let fail = |failure| self.failed(|| "the beginning of a CUDA graph".into(), failure);
        self.ready()?;
        self.function(&ADVANCE)?;
        let Some(shut) = self.0.gate.shut() else {
            return wrong("this thread is capturing or changing another one");
        };
        // Behind the gate: while another thread captures, this would become a part of its graph.
        let clock = self.allocate(8)?;
        call!(cuMemsetD32Async(clock.address(), 0, 2, self.0.stream)).map_err(fail)?;
        let mut mode = lock(&self.0.mode);
        if !matches!(*mode, Mode::Eager) {
            drop(mode); // before the clock, whose end asks for the mode
            return wrong("another one is being captured or changed");
        }
        // Relaxed: memory may be allocated meanwhile.
        let relaxed = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        let began = call!(cuStreamBeginCapture_v2(self.0.stream, relaxed));
        if let Err(failure) = began {
            drop(mode);
            return Err(fail(failure));
        }
        *mode = Mode::Capturing(Recording {
            owner: thread::current().id(),
            blocks: HashMap::new(),
            free: HashMap::new(),
            clock,
            changing: Vec::new(),
            launches: 0,
        });
        drop(mode);
        shut.keep();
        if log::level() >= 1 {
            eprintln!("CUDA graph: what this thread launches is captured");
        }
        Ok(Capture { device: self.clone(), ended: false, _not_send: PhantomData, _shut: Opens(self.clone()) })
    }

    /// Runs `work`, in which launches of kernels whose parameters change do not run but leave their
    /// parameters, for [`CudaGraph::launch`]. Everything else that `work` asks of the device is an error.
    ///
    /// # Errors
    /// When a graph is being captured.
    pub fn collect<T>(&self, work: impl FnOnce() -> T) -> Result<(T, Changes)> {
        /// Ends it, also when `work` panics.
        struct End<'a>(&'a CudaDevice);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                *lock(&self.0.0.mode) = Mode::Eager;
            }
        }
        self.ready()?;
        let Some(_shut) = self.0.gate.shut() else {
            return wrong("this thread is capturing or changing another one");
        };
        let mut mode = lock(&self.0.mode);
        if !matches!(*mode, Mode::Eager) {
            return wrong("another one is being captured or changed");
        }
        *mode = Mode::Collecting(thread::current().id(), Changes::default());
        drop(mode);
        let end = End(self);
        let result = work();
        let changes = match &mut *lock(&self.0.mode) {
            Mode::Collecting(_, changes) => std::mem::take(changes),
            _ => Changes::default(),
        };
        drop(end);
        Ok((result, changes))
    }
}

impl Capture {
    /// Ends the capture. `draws` is how far a launch of the graph moves the random numbers on: the next
    /// one draws those that come so many later.
    ///
    /// # Errors
    /// When something was done meanwhile that cannot be captured, or the driver refuses the graph.
    pub fn end(mut self, draws: u64) -> Result<CudaGraph> {
        let device = self.device.clone();
        let fail = |failure| device.failed(|| "a CUDA graph".into(), failure);
        device.ready()?;
        let advance = device.function(&ADVANCE)?;
        let mut mode = lock(&device.0.mode);
        let clock = match &*mode {
            Mode::Capturing(recording) => recording.clock.address(),
            Mode::Broken(message) => {
                let message = message.clone();
                drop(mode);
                return wrong(message);
            }
            _ => return wrong("its capture has ended before"),
        };
        let count = [draws as u32, (draws >> 32) as u32];
        let mut graph = std::ptr::null_mut();
        let advanced = match draws {
            0 => Ok(()),
            _ => device.issue(&advance, 1, bytemuck::bytes_of(&count), &[clock]),
        };
        let ended = advanced.and_then(|()| call!(cuStreamEndCapture(device.0.stream, &mut graph)));
        if let Err(failure) = ended {
            drop(mode);
            return Err(fail(failure));
        }
        let Mode::Capturing(recording) = std::mem::take(&mut *mode) else {
            return wrong("its capture has ended before");
        };
        drop(mode);
        self.ended = true;
        let Recording { blocks, clock, changing, launches, .. } = recording;
        let blocks = blocks.into_values().map(|(block, _)| block).collect();
        let exec = std::ptr::null_mut();
        let mut whole = CudaGraph {
            device: device.clone(),
            graph,
            exec,
            changing,
            launches,
            clock,
            count: 0,
            draws,
            blocks,
        };
        device.with_memory(|| call!(cuGraphInstantiateWithFlags(&mut whole.exec, graph, 0))).map_err(fail)?;
        if log::level() >= 1 {
            let bytes: u64 = whole.blocks.iter().map(|block| block.bytes).sum();
            eprintln!(
                "CUDA graph: the {launches} launches and copies since its capture began, with {bytes} bytes"
            );
        }
        Ok(whole)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut mode = lock(&self.device.0.mode);
        if mode.is_capturing() && self.device.ready().is_ok() {
            discard(self.device.0.stream);
        }
        let before = std::mem::take(&mut *mode);
        drop(mode); // before what was recorded, which gives its memory back
        drop(before);
    }
}

/// A captured graph, with the memory that it uses.
pub struct CudaGraph {
    device: CudaDevice,
    graph: CUgraph,
    exec: CUgraphExec,
    /// The launches whose parameters change, with those they have now.
    changing: Vec<(CUgraphNode, Changing)>,
    launches: usize,
    clock: CudaBuffer,
    /// What the clock shows when all launches so far have run, and how far each moves it.
    count: u64,
    draws: u64,
    /// Held, so that nobody else gets the memory.
    blocks: Vec<Arc<Block>>,
}

// SAFETY: the handles of a context may be used by every thread in which the context is current.
unsafe impl Send for CudaGraph {}

impl CudaGraph {
    /// Launches the whole graph, with new parameters for the kernels whose parameters change: those of
    /// `changes`, or where that is `None` those of the last launch. Returns before it has run.
    ///
    /// # Errors
    /// When the changes are not those of the captured launches, or the driver refuses.
    pub fn launch(&mut self, changes: Option<&Changes>) -> Result<()> {
        let device = self.device.clone();
        let fail = |failure| device.failed(|| "a launch of a CUDA graph".into(), failure);
        device.ready()?;
        let _turn = device.0.gate.turn();
        device.refuse_in_capture(|| "a launch of a CUDA graph".into())?;
        if let Some(changes) = changes {
            let names = |names: Vec<&str>| names.join(", ");
            let new: Vec<&str> = changes.0.iter().map(|(name, _)| *name).collect();
            let captured: Vec<&str> = self.changing.iter().map(|(_, launch)| launch.kernel.entry).collect();
            if new != captured {
                return wrong(format!(
                    "its launches of changing kernels are {:?}, and the changes are for {:?}",
                    names(captured),
                    names(new)
                ));
            }
            for ((node, launch), (_, params)) in self.changing.iter_mut().zip(&changes.0) {
                if launch.params != *params {
                    launch.params.clone_from(params);
                    launch.set(self.exec, *node).map_err(fail)?;
                }
            }
        }
        let timer = match log::level() >= 2 {
            true => Some(Timer::start(&device).map_err(fail)?),
            false => None,
        };
        device.with_memory(|| call!(cuGraphLaunch(self.exec, device.0.stream))).map_err(fail)?;
        self.count = self.count.wrapping_add(self.draws);
        lock(&device.0.issued).launched_graph();
        if log::level() >= 1 {
            let time = timer.map(Timer::stop).transpose().map_err(fail)?;
            let time = time.map(|time| format!(" {:.1} us", time.as_secs_f64() * 1e6)).unwrap_or_default();
            eprintln!("CUDA graph of {} launches{time}", self.launches);
        }
        Ok(())
    }

    /// What the next launch adds to the offsets of its random numbers: at first 0, and `draws` more
    /// after each launch.
    pub fn clock(&self) -> u64 {
        self.count
    }

    /// Sets the clock, for a training that drew random numbers outside of the graph.
    ///
    /// # Errors
    /// As any upload.
    pub fn set_clock(&mut self, count: u64) -> Result<()> {
        if count != self.count {
            self.device.upload(&self.clock, &count.to_le_bytes())?;
            self.count = count;
        }
        Ok(())
    }

    /// Kernels and copies in it.
    pub fn launches(&self) -> usize {
        self.launches
    }
}

impl fmt::Debug for CudaGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CudaGraph({} launches on {})", self.launches, self.device)
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // A device that is lost has lost its graphs; on one that is not, launches under way finish.
        if self.device.ready().is_ok() {
            if !self.exec.is_null() {
                let _ = call!(cuGraphExecDestroy(self.exec));
            }
            let _ = call!(cuGraphDestroy(self.graph));
        }
    }
}
