//! Buffers on the GPU.

use std::sync::atomic::{AtomicU64, Ordering};

use ::wgpu::{BufferDescriptor, BufferUsages, ErrorFilter};

use super::{WgpuDevice, lock};
use crate::{Device, Error, Result};

/// A buffer with a number that no other one ever has.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub buffer: ::wgpu::Buffer,
    pub number: u64,
}

/// A buffer on a GPU, which returns to its device's pool when dropped.
pub(crate) struct WgpuBuffer {
    device: WgpuDevice,
    memory: Numbered,
    /// What was allocated: at least 4, because a binding of no bytes is not allowed.
    bytes: u64,
}

impl WgpuBuffer {
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

impl std::fmt::Debug for WgpuBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WgpuBuffer({} bytes on {})", self.bytes, self.device)
    }
}

impl Drop for WgpuBuffer {
    fn drop(&mut self) {
        let too_many = lock(&self.device.0.pool).give_back(self.bytes, self.memory.clone());
        if !too_many.is_empty() {
            lock(&self.device.0.recorder).forget_bindings();
        }
    }
}

impl WgpuDevice {
    /// A buffer of `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], also for a buffer larger than a kernel could use.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<WgpuBuffer> {
        let bytes = (bytes as u64).max(4);
        if bytes > self.max_buffer_bytes() {
            let most = self.max_buffer_bytes();
            return Err(Error::BufferTooLarge { device: Device::Wgpu(self.clone()), asked: bytes, most });
        }
        if let Some(memory) = lock(&self.0.pool).take(bytes) {
            return Ok(WgpuBuffer { device: self.clone(), memory, bytes });
        }
        self.check(|| format!("an allocation of {bytes} bytes"))?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let memory = match self.create(bytes, usage) {
            Some(memory) => memory,
            None => {
                // What waits in the pool may be just what is missing.
                drop(lock(&self.0.pool).clear());
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
        Ok(WgpuBuffer { device: self.clone(), memory, bytes })
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
