//! Buffers on the GPU and their pool.
//!
//! A training step asks for the same sizes again and again, and making a buffer costs far more than a
//! launch. A freed buffer may still be in use by launches that were recorded before; that is no
//! danger, because whoever gets it next is recorded after them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ::wgpu::{BufferDescriptor, BufferUsages, ErrorFilter};

use super::{WgpuDevice, lock};
use crate::{Device, Error, Result};

/// Bytes that may always wait in the pool.
const ALWAYS: u64 = 64 << 20;

/// A buffer with a number that no other one ever has.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub buffer: ::wgpu::Buffer,
    pub number: u64,
}

/// Freed buffers by size in bytes.
#[derive(Default)]
pub(super) struct Pool {
    free: HashMap<u64, Vec<Numbered>>,
    waiting: u64,
    in_use: u64,
    high_water: u64,
}

impl Pool {
    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    fn took(&mut self, bytes: u64) {
        self.in_use += bytes;
        self.high_water = self.high_water.max(self.in_use);
    }

    fn clear(&mut self) {
        self.free.clear();
        self.waiting = 0;
    }
}

/// A buffer on a GPU, which returns to its device's pool when dropped.
pub(crate) struct GpuBuffer {
    device: WgpuDevice,
    memory: Numbered,
    /// What was allocated: at least 4, because a binding of no bytes is not allowed.
    bytes: u64,
}

impl GpuBuffer {
    pub fn device(&self) -> &WgpuDevice {
        &self.device
    }

    /// Where it lives.
    pub fn home(&self) -> Device {
        Device::Wgpu(self.device.clone())
    }

    pub(super) fn memory(&self) -> &Numbered {
        &self.memory
    }
}

impl std::fmt::Debug for GpuBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GpuBuffer({} bytes on {})", self.bytes, self.device)
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        let mut pool = lock(&self.device.0.pool);
        pool.in_use -= self.bytes;
        pool.waiting += self.bytes;
        if pool.waiting > pool.high_water.max(ALWAYS) {
            // Sizes have changed and the pool is full of the old ones: start over, so that no more
            // than twice what was once needed is ever held.
            pool.clear();
            drop(pool);
            lock(&self.device.0.recorder).forget_bindings();
        } else {
            pool.free.entry(self.bytes).or_default().push(self.memory.clone());
        }
    }
}

impl WgpuDevice {
    /// A buffer of `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], also for a buffer larger than a kernel could use.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<GpuBuffer> {
        let bytes = (bytes as u64).max(4);
        if bytes > self.max_buffer_bytes() {
            let most = self.max_buffer_bytes();
            return Err(Error::BufferTooLarge { device: Device::Wgpu(self.clone()), asked: bytes, most });
        }
        let mut pool = lock(&self.0.pool);
        if let Some(memory) = pool.free.get_mut(&bytes).and_then(Vec::pop) {
            pool.waiting -= bytes;
            pool.took(bytes);
            return Ok(GpuBuffer { device: self.clone(), memory, bytes });
        }
        drop(pool);
        self.check(|| format!("an allocation of {bytes} bytes"))?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let memory = match self.create(bytes, usage) {
            Some(memory) => memory,
            None => {
                // What waits in the pool may be just what is missing.
                lock(&self.0.pool).clear();
                lock(&self.0.recorder).forget_bindings();
                self.synchronize()?;
                match self.create(bytes, usage) {
                    Some(memory) => memory,
                    None => {
                        let in_use = self.bytes_in_use();
                        let device = Device::Wgpu(self.clone());
                        return Err(Error::OutOfMemory { device, asked: bytes, in_use });
                    }
                }
            }
        };
        lock(&self.0.pool).took(bytes);
        Ok(GpuBuffer { device: self.clone(), memory, bytes })
    }

    /// A new buffer, or nothing when there is no memory for it.
    pub(super) fn create(&self, size: u64, usage: BufferUsages) -> Option<Numbered> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let scope = self.0.device.push_error_scope(ErrorFilter::OutOfMemory);
        let buffer = self.0.device.create_buffer(&BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        pollster::block_on(scope.pop()).is_none().then_some(Numbered { buffer, number })
    }
}
