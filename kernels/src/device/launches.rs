//! A list of what was launched, and how long each launch took: what a profile is made of.
//!
//! While a thread records, each of its launches on a GPU is waited for, and timed by the GPU's clock where it has
//! one; on the CPU a launch has run when it returns.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One launch.
#[derive(Debug, Clone)]
pub struct Launched {
    /// The kernel's name; on the CPU that of its op.
    pub name: &'static str,
    /// What it was told, in words.
    pub params: String,
    /// Where its text lies: on the CPU, where its op is told.
    pub file: String,
    /// The elements of its buffers.
    pub buffers: Vec<usize>,
    /// The bytes of its buffers, each counted once.
    pub bytes: u64,
    /// Its floating-point operations; 0 where nobody counted.
    pub flops: u64,
    /// When the host began it.
    pub began: Instant,
    /// How long the host was busy with it, waiting included.
    pub host: Duration,
    /// How long it ran, by the device's clock.
    pub time: Duration,
}

/// Threads that record: one look at it tells all others that nobody wants to know.
static RECORDING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
    static LAUNCHES: RefCell<Vec<Launched>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread records its launches.
pub(super) fn wanted() -> bool {
    RECORDING.load(Ordering::Relaxed) > 0 && HERE.get()
}

/// Keeps a launch, if this thread records.
pub(super) fn keep(launched: impl FnOnce() -> Launched) {
    if wanted() {
        LAUNCHES.with_borrow_mut(|launches| launches.push(launched()));
    }
}

/// This thread's launches are recorded until it is dropped.
#[derive(Debug)]
pub struct Recording {
    /// It belongs to its thread.
    here: PhantomData<*const ()>,
}

impl Recording {
    /// Begins to record. `None` when this thread does already.
    pub fn start() -> Option<Recording> {
        if HERE.replace(true) {
            return None;
        }
        RECORDING.fetch_add(1, Ordering::Relaxed);
        Some(Recording { here: PhantomData })
    }

    /// What was launched since the start, or since the last call.
    pub fn take(&self) -> Vec<Launched> {
        LAUNCHES.take()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        HERE.set(false);
        RECORDING.fetch_sub(1, Ordering::Relaxed);
        LAUNCHES.take();
    }
}
