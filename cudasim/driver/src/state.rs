//! What the driver remembers. One lock guards all of it, and is held while a kernel runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::block::Runner;
use crate::error::{Result, Status};
use crate::graph::{Executable, Graph};
use crate::guard::Regions;
use crate::module::{Function, Module};
use crate::settings::Settings;
use crate::stream::{Event, Stream};

/// What a program holds for the address of a context, a stream, a module: a number that was given once.
pub type Handle = usize;

/// A new handle.
pub fn handle() -> Handle {
    static NEXT: AtomicUsize = AtomicUsize::new(0x1000);
    NEXT.fetch_add(0x10, Ordering::Relaxed)
}

/// The whole driver.
pub struct Simulator {
    pub settings: Settings,
    pub initialized: bool,
    pub devices: Vec<Device>,
    /// Pinned memory.
    pub host: Regions,
    pub runner: Runner,
}

// The pointers in it lead to loaded modules and to fibers that have no home: whoever has the lock may
// use them.
unsafe impl Send for Simulator {}

/// A device, whose primary context lives while somebody retains it.
#[derive(Default)]
pub struct Device {
    pub context: Option<Context>,
    pub retained: u32,
}

/// A context: memory, code and queues of one device.
pub struct Context {
    pub handle: Handle,
    pub device: usize,
    /// What went wrong in it for good: every function returns this from then on.
    pub broken: Option<Status>,
    pub regions: Regions,
    /// Bytes in use.
    pub used: usize,
    pub modules: HashMap<Handle, Module>,
    pub functions: HashMap<Handle, Function>,
    pub streams: HashMap<Handle, Stream>,
    pub events: HashMap<Handle, Event>,
    pub graphs: HashMap<Handle, Graph>,
    pub executables: HashMap<Handle, Executable>,
}

impl Context {
    /// The primary context of a device.
    pub fn new(device: usize) -> Context {
        Context {
            handle: handle(),
            device,
            broken: None,
            regions: Regions::default(),
            used: 0,
            modules: HashMap::new(),
            functions: HashMap::new(),
            streams: HashMap::new(),
            events: HashMap::new(),
            graphs: HashMap::new(),
            executables: HashMap::new(),
        }
    }
}

/// The driver, for one caller at a time.
pub fn simulator() -> MutexGuard<'static, Simulator> {
    static SIMULATOR: LazyLock<Mutex<Simulator>> = LazyLock::new(|| {
        let settings = Settings::from_environment();
        let devices = (0..settings.devices).map(|_| Device::default()).collect();
        let (host, runner) = (Regions::default(), Runner::new());
        Mutex::new(Simulator { settings, initialized: false, devices, host, runner })
    });
    SIMULATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The contexts that this thread has pushed; the last one is current, 0 is none.
    pub static CURRENT: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
}

/// The current context of this thread, with what else a function needs.
pub struct Here<'a> {
    pub context: &'a mut Context,
    pub settings: &'a mut Settings,
    pub host: &'a mut Regions,
    pub runner: &'a mut Runner,
}

/// Calls `body` in the current context, unless that is broken.
pub fn here(body: impl FnOnce(Here<'_>) -> Result) -> Status {
    let current = CURRENT.with_borrow(|stack| stack.last().copied().unwrap_or(0));
    let mut simulator = simulator();
    let Simulator { settings, devices, host, runner, initialized } = &mut *simulator;
    if !*initialized {
        return Status::NOT_INITIALIZED;
    }
    if current == 0 {
        return Status::INVALID_CONTEXT;
    }
    let mut contexts = devices.iter_mut().filter_map(|device| device.context.as_mut());
    let Some(context) = contexts.find(|context| context.handle == current) else {
        return Status::CONTEXT_IS_DESTROYED;
    };
    match context.broken {
        Some(status) => status,
        None => body(Here { context, settings, host, runner }).into(),
    }
}
