//! NVIDIA GPUs through CUDA: the driver, and NVRTC for the kernels' text.
//!
//! ```text
//! card.rs       which cards there are, what must be installed
//! driver.rs     the driver's calls, their failures as values
//! compile.rs    a kernel's text to machine code, with NVRTC
//! cache.rs      machine code kept on disk
//! signature.rs  what a kernel's declaration says: threads of a block, buffers
//! function.rs   from a kernel to a function on the card, once per kernel
//! memory.rs     buffers
//! launch.rs     launches, checked and given to the stream
//! transfer.rs   data to the card and back, and waiting for it
//! graph.rs      many launches captured once and launched as one
//! mode.rs       what is noted meanwhile
//! log.rs        times for KERNEL_LOG
//! ```
//! Everything goes into one stream, in order, and runs there while the host goes on. Only reading a value
//! waits. Libraries are opened when the first device is: a program that was built with CUDA starts
//! on machines without it.

mod cache;
mod card;
pub(crate) mod compile;
mod driver;
mod function;
mod gate;
mod graph;
mod launch;
mod log;
mod memory;
mod mode;
pub(crate) mod signature;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use cudarc::driver::sys::{CUcontext, CUdevice, CUdeviceptr, CUstream};

use card::Card;
pub use card::cards;
use compile::Nvrtc;
use driver::{Failure, call};
use function::Functions;
use gate::Gate;
use graph::ADVANCE;
pub use graph::{Capture, CudaGraph};
use launch::Issued;
pub(crate) use memory::CudaBuffer;
pub use mode::Changes;
use mode::Mode;
use transfer::Staging;

use super::pool::Pool;
use super::{Counters, Device, Grid, Kernel, fault, lock};
use crate::{Error, Result, Storage};

/// An open NVIDIA GPU. Clones are the same device.
#[derive(Clone)]
pub struct CudaDevice(Arc<Inner>);

struct Inner {
    ordinal: usize,
    name: String,
    memory: u64,
    driver: i32,
    nvrtc: Nvrtc,
    /// What is compiled for: 90 is sm_90.
    architecture: i32,
    context: CUcontext,
    stream: CUstream,
    /// The table of faults, and the clock of launches that no graph holds, which stands at 0.
    faults: CUdeviceptr,
    clock: CUdeviceptr,
    pool: Mutex<Pool<CUdeviceptr>>,
    /// Memory that is to be freed when somebody may wait.
    garbage: Mutex<Vec<CUdeviceptr>>,
    functions: Mutex<Functions>,
    staging: Mutex<Staging>,
    issued: Mutex<Issued>,
    mode: Mutex<Mode>,
    gate: Gate,
    /// Why the device is gone: from then on nothing works any more.
    lost: Mutex<Option<String>>,
}

// SAFETY: the handles of a context may be used by every thread in which the context is current.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

/// The card's context, and what there is in it from the beginning.
struct Base {
    device: CUdevice,
    context: CUcontext,
    stream: CUstream,
    faults: CUdeviceptr,
    clock: CUdeviceptr,
}

impl Base {
    fn new(device: CUdevice) -> std::result::Result<Base, Failure> {
        let mut context = std::ptr::null_mut();
        call!(cuDevicePrimaryCtxRetain(&mut context, device))?;
        let mut base = Base { device, context, stream: std::ptr::null_mut(), faults: 0, clock: 0 };
        match base.fill() {
            Ok(()) => Ok(base),
            Err(failure) => {
                base.release();
                Err(failure)
            }
        }
    }

    fn fill(&mut self) -> std::result::Result<(), Failure> {
        call!(cuCtxSetCurrent(self.context))?;
        // 1: it does not wait for what other libraries give to the default stream.
        call!(cuStreamCreate(&mut self.stream, 1))?;
        call!(cuMemAlloc_v2(&mut self.faults, fault::BYTES as usize))?;
        call!(cuMemsetD32Async(self.faults, fault::NONE, fault::FAULTS.len(), self.stream))?;
        call!(cuMemAlloc_v2(&mut self.clock, 8))?;
        call!(cuMemsetD32Async(self.clock, 0, 2, self.stream))
    }

    /// Gives it all back, of a device that does not start: asked again, it would be made once more.
    fn release(&self) {
        // What fails here has failed before, and that is told.
        if !self.stream.is_null() {
            let _ = call!(cuStreamDestroy_v2(self.stream));
        }
        for memory in [self.faults, self.clock].into_iter().filter(|memory| *memory != 0) {
            let _ = call!(cuMemFree_v2(memory));
        }
        let _ = call!(cuDevicePrimaryCtxRelease_v2(self.device));
    }
}

/// The devices opened so far, by their number: asking twice gives the same device.
static OPEN: Mutex<Option<HashMap<usize, CudaDevice>>> = Mutex::new(None);

impl CudaDevice {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] says what is missing, and how to get it.
    pub fn open(ordinal: usize) -> Result<CudaDevice> {
        let unavailable = |reason| Error::DeviceUnavailable { name: format!("cuda:{ordinal}"), reason };
        let mut open = lock(&OPEN);
        let open = open.get_or_insert_with(HashMap::new);
        // A lost device stays with those who hold it; a new one may be better luck.
        let before = open.get(&ordinal);
        if let Some(device) = before.filter(|device| !device.is_lost()) {
            return Ok(device.clone());
        }
        let card = Card::find(ordinal).map_err(unavailable)?;
        if before.is_some() {
            // What the failure left of the context would fail on. An error here shows again below.
            let _ = call!(cuDevicePrimaryCtxReset_v2(card.device));
        }
        let device = CudaDevice::start(ordinal, card).map_err(unavailable)?;
        open.insert(ordinal, device.clone());
        Ok(device)
    }

    /// The device of a card, tried out with a first small kernel.
    fn start(ordinal: usize, card: Card) -> std::result::Result<CudaDevice, String> {
        let Card { device, name, capability, memory, driver, nvrtc } = card;
        let architecture = nvrtc.architecture(capability)?;
        let base = Base::new(device).map_err(|failure| failure.to_string())?;
        let Base { context, stream, faults, clock, .. } = base;
        let inner = Inner {
            ordinal,
            name,
            memory,
            driver,
            nvrtc,
            architecture,
            context,
            stream,
            faults,
            clock,
            pool: Mutex::default(),
            garbage: Mutex::default(),
            functions: Mutex::default(),
            staging: Mutex::default(),
            issued: Mutex::default(),
            mode: Mutex::default(),
            gate: Gate::default(),
            lost: Mutex::default(),
        };
        let device = CudaDevice(Arc::new(inner));
        match device.function(&ADVANCE) {
            Ok(_) => Ok(device),
            Err(error) => {
                base.release();
                Err(match error {
                    Error::Kernel { message, .. } | Error::DeviceLost { message, .. } => message,
                    other => other.to_string(),
                })
            }
        }
    }

    /// The card's name, as its driver gives it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The most bytes that one buffer may have: all that the card has.
    pub fn max_buffer_bytes(&self) -> u64 {
        self.0.memory
    }

    /// Bytes held by live buffers now, those that CUDA graphs hold included.
    pub fn bytes_in_use(&self) -> u64 {
        lock(&self.0.pool).in_use()
    }

    /// What was done since the device was opened.
    pub fn counters(&self) -> Counters {
        lock(&self.0.issued).counters
    }

    /// Whether the time of every launch is asked for, by `KERNEL_LOG` or by who records launches: those of a graph
    /// have none of their own.
    pub fn times_launches(&self) -> bool {
        super::log::timed()
    }

    /// Waits until everything launched has finished.
    pub(super) fn synchronize(&self) -> Result<()> {
        // Reading nothing still brings the table of faults, and waits for all that came before.
        self.read(&[]).map(drop)
    }

    /// See [`Device::launch`](super::Device::launch).
    pub(super) fn launch<P: bytemuck::Pod + fmt::Debug>(
        &self,
        kernel: &'static Kernel,
        grid: Grid,
        params: &P,
        inputs: &[&Storage],
        outputs: &mut [&mut Storage],
    ) -> Result<()> {
        let buffers = inputs.iter().copied().chain(outputs.iter().map(|output| &**output));
        let buffers: Vec<&Storage> = buffers.collect();
        self.record(kernel, grid, bytemuck::bytes_of(params), &|| format!("{params:?}"), &buffers)
    }

    fn is_lost(&self) -> bool {
        lock(&self.0.lost).is_some()
    }

    /// Makes the device the one that this thread's calls are for, unless it is lost.
    fn ready(&self) -> Result<()> {
        if let Some(message) = &*lock(&self.0.lost) {
            return Err(Error::DeviceLost { device: self.to_string(), message: message.clone() });
        }
        call!(cuCtxSetCurrent(self.0.context)).map_err(|failure| self.failed(|| "CUDA".into(), failure))
    }

    /// The error of a call. `doing` says what was being done.
    fn failed(&self, doing: impl FnOnce() -> String, failure: Failure) -> Error {
        if failure.is_no_memory() {
            return match failure.call {
                // Pinned memory, which is the host's.
                "cuMemHostAlloc" => {
                    let in_use = super::cpu::bytes_in_use();
                    Error::OutOfMemory { device: Device::Cpu, asked: 0, in_use }
                }
                _ => self.no_memory(0),
            };
        }
        if !failure.is_final() {
            return Error::Kernel { kernel: doing(), message: failure.to_string() };
        }
        let message = format!("{failure}, at {}{}", doing(), lock(&self.0.issued).suspects());
        let message = lock(&self.0.lost).get_or_insert(message).clone();
        Error::DeviceLost { device: self.to_string(), message }
    }

    /// Gives the device up, as a failing kernel would: for tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        lock(&self.0.lost).get_or_insert("it was given up".into());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Only a lost device is ever dropped, or one that did not start: opened ones are kept. Its events and its
        // memory went with its context, and must not be destroyed once more.
        let staging = self.staging.get_mut();
        std::mem::forget(std::mem::take(staging.unwrap_or_else(std::sync::PoisonError::into_inner)));
    }
}

impl PartialEq for CudaDevice {
    fn eq(&self, other: &CudaDevice) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CudaDevice {}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CudaDevice({}: {})", self.0.ordinal, self.0.name)
    }
}

impl fmt::Display for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({})", self.0.ordinal, self.0.name)
    }
}
