//! GPUs through wgpu: Vulkan, Metal and DX12 with one set of compute shaders.
//!
//! ```text
//! adapter.rs    which adapters there are, which one is meant, what it must be able to do
//! memory.rs     buffers
//! pipeline.rs   a shader's text to a pipeline, once per kernel
//! recorder.rs   launches pile up in a command encoder, which is submitted when something is read
//! transfer.rs   data to the device and back, and waiting for it
//! log.rs        times for KERNEL_LOG
//! ```
//! Launches return at once. One command encoder collects them until a value is read back, or until
//! it has grown long; so a training step costs the host a few microseconds per launch and one
//! submission.

mod adapter;
mod log;
mod memory;
mod pipeline;
mod recorder;
mod transfer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

pub use adapter::{Adapter, adapters};
use memory::Numbered;
pub(crate) use memory::WgpuBuffer;
use pipeline::Pipelines;
use recorder::Recorder;

use super::pool::Pool;
use super::{Counters, Grid, Kernel, lock};
use crate::{Error, Result, Storage};

/// An open adapter of wgpu. Clones are the same device.
#[derive(Clone)]
pub struct WgpuDevice(Arc<Inner>);

struct Inner {
    name: String,
    device: ::wgpu::Device,
    limits: ::wgpu::Limits,
    queue: ::wgpu::Queue,
    pool: Mutex<Pool<Numbered>>,
    pipelines: Mutex<Pipelines>,
    recorder: Mutex<Recorder>,
    /// What wgpu reported outside of any call that could have returned it.
    troubles: Arc<Mutex<Troubles>>,
}

/// What went wrong without anybody waiting for it.
#[derive(Default)]
struct Troubles {
    /// Why the device is gone: from then on nothing works any more.
    lost: Option<String>,
    /// The first error since somebody last asked.
    error: Option<String>,
}

/// The devices opened so far, by the adapter's name and number: asking twice gives the same device.
static OPEN: Mutex<Option<HashMap<String, WgpuDevice>>> = Mutex::new(None);

impl WgpuDevice {
    /// Opens the adapter of that name or number, or else the one that `VOXGRAD_WGPU_ADAPTER` names,
    /// or else the first that is hardware.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] when there is none, or when it lacks a limit or refuses.
    pub fn open(name: Option<&str>) -> Result<WgpuDevice> {
        let asked = name.map_or("wgpu".to_string(), |name| format!("wgpu:{name}"));
        let unavailable = |reason| Error::DeviceUnavailable { name: asked.clone(), reason };
        let chosen = adapter::choose(name).map_err(unavailable)?;
        let mut open = lock(&OPEN);
        let open = open.get_or_insert_with(HashMap::new);
        // A lost device stays with those who hold it; a new one may be better luck.
        if let Some(device) = open.get(&chosen.key).filter(|device| !device.is_lost()) {
            return Ok(device.clone());
        }
        let (device, queue) = adapter::open(&chosen).map_err(unavailable)?;
        let troubles = Arc::new(Mutex::new(Troubles::default()));
        let seen = troubles.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&seen).error.get_or_insert(error.to_string());
        }));
        let seen = troubles.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&seen).lost.get_or_insert(format!("{reason:?}: {message}"));
        });
        let recorder = Mutex::new(Recorder::new(&device));
        let (pool, pipelines) = (Mutex::default(), Mutex::default());
        let (key, name, limits) = (chosen.key, chosen.info.name, device.limits());
        let inner = Inner { name, device, limits, queue, pool, pipelines, recorder, troubles };
        let device = WgpuDevice(Arc::new(inner));
        open.insert(key, device.clone());
        Ok(device)
    }

    /// The adapter's name, as its driver gives it.
    pub fn adapter_name(&self) -> &str {
        &self.0.name
    }

    /// The most bytes that one buffer of a kernel may have.
    pub fn max_buffer_bytes(&self) -> u64 {
        let limits = &self.0.limits;
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    /// Bytes held by live buffers now.
    pub fn bytes_in_use(&self) -> u64 {
        lock(&self.0.pool).in_use()
    }

    /// What was done since the device was opened.
    pub fn counters(&self) -> Counters {
        lock(&self.0.recorder).counters
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
        lock(&self.0.troubles).lost.is_some()
    }

    /// The first thing that went wrong since this was last asked, if anything did. `doing` says what
    /// was being done.
    fn check(&self, doing: impl FnOnce() -> String) -> Result<()> {
        let mut troubles = lock(&self.0.troubles);
        if let Some(reason) = &troubles.lost {
            return Err(Error::DeviceLost { device: self.to_string(), message: reason.clone() });
        }
        match troubles.error.take() {
            Some(message) => Err(Error::Kernel { kernel: doing(), message }),
            None => Ok(()),
        }
    }

    /// Gives the device up, as a driver that crashes would: for tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.0.device.destroy();
        // The callback comes with the next poll.
        let _ = self.0.device.poll(::wgpu::PollType::Poll);
    }
}

impl PartialEq for WgpuDevice {
    fn eq(&self, other: &WgpuDevice) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WgpuDevice {}

impl fmt::Debug for WgpuDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WgpuDevice({})", self.0.name)
    }
}

impl fmt::Display for WgpuDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wgpu ({})", self.0.name)
    }
}
