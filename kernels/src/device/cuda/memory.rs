//! Buffers on the card.

use std::sync::Arc;

use cudarc::driver::sys::CUdeviceptr;

use super::driver::{Failure, call};
use super::{CudaDevice, lock};
use crate::{Device, Error, Result};

/// Memory on the card. It goes back to the pool when neither a buffer nor a graph holds it any more.
pub(super) struct Block {
    device: CudaDevice,
    pub address: CUdeviceptr,
    /// What was allocated: at least 4, because CUDA has no allocations of no bytes.
    pub bytes: u64,
}

impl Drop for Block {
    fn drop(&mut self) {
        let too_many = lock(&self.device.0.pool).give_back(self.bytes, self.address);
        if !too_many.is_empty() {
            self.device.free(too_many);
        }
    }
}

/// A buffer on an NVIDIA GPU, which returns to its device's pool when dropped.
pub(crate) struct CudaBuffer {
    block: Arc<Block>,
}

impl CudaBuffer {
    pub fn device(&self) -> &CudaDevice {
        &self.block.device
    }

    /// Where it lives.
    pub fn home(&self) -> Device {
        Device::Cuda(self.device().clone())
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    pub(super) fn address(&self) -> CUdeviceptr {
        self.block.address
    }
}

impl std::fmt::Debug for CudaBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CudaBuffer({} bytes on {})", self.block.bytes, self.block.device)
    }
}

impl Drop for CudaBuffer {
    fn drop(&mut self) {
        // What is freed while a graph is captured may be used again by the rest of that graph.
        lock(&self.device().0.mode).freed(&self.block);
    }
}

impl CudaDevice {
    /// A buffer of `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], after the pool was emptied in vain.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<CudaBuffer> {
        let bytes = (bytes as u64).max(4);
        self.ready()?;
        let freed = lock(&self.0.mode).take(bytes);
        if let Some(block) = freed {
            return Ok(CudaBuffer { block });
        }
        let recycled = lock(&self.0.pool).take(bytes);
        let address = match recycled {
            Some(address) => address,
            None => {
                let address = self.create(bytes)?;
                lock(&self.0.pool).took(bytes);
                address
            }
        };
        let block = Arc::new(Block { device: self.clone(), address, bytes });
        lock(&self.0.mode).made(&block);
        Ok(CudaBuffer { block })
    }

    /// New memory.
    pub(super) fn create(&self, bytes: u64) -> Result<CUdeviceptr> {
        let mut address = 0;
        match self.with_memory(|| call!(cuMemAlloc_v2(&mut address, bytes as usize))) {
            Ok(()) => Ok(address),
            Err(failure) if failure.is_no_memory() => Err(self.no_memory(bytes)),
            Err(failure) => Err(self.failed(|| format!("an allocation of {bytes} bytes"), failure)),
        }
    }

    /// Makes a call of the driver, and makes it again where memory was missing and some could be freed.
    pub(super) fn with_memory(
        &self,
        mut make: impl FnMut() -> std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        match make() {
            Err(failure) if failure.is_no_memory() && self.empty_pool() => make(),
            made => made,
        }
    }

    /// Frees all memory that nobody uses: it may be just what is missing. False where nobody may wait, so
    /// that nothing was freed.
    pub(super) fn empty_pool(&self) -> bool {
        if lock(&self.0.mode).is_capturing() {
            return false;
        }
        let waiting = lock(&self.0.pool).clear();
        self.free(waiting);
        true
    }

    /// Gives memory back to the driver, and what was put aside before. Launches that use it are waited for; where a graph is being
    /// captured nobody may wait, so that it is done later.
    pub(super) fn free(&self, addresses: Vec<CUdeviceptr>) {
        let _turn = self.0.gate.turn();
        let mut garbage = lock(&self.0.garbage);
        garbage.extend(addresses);
        if self.ready().is_err() || lock(&self.0.mode).is_capturing() {
            // A device that is lost has lost its memory too.
            return;
        }
        let mut freed: std::result::Result<(), Failure> = call!(cuStreamSynchronize(self.0.stream));
        for address in garbage.drain(..) {
            freed = freed.and(call!(cuMemFree_v2(address)));
        }
        if let Err(failure) = freed {
            // Nobody can be told here; a device that is gone says so to whoever uses it next.
            self.failed(|| "freeing memory".into(), failure);
        }
    }

    pub(super) fn no_memory(&self, asked: u64) -> Error {
        Error::OutOfMemory { device: Device::Cuda(self.clone()), asked, in_use: self.bytes_in_use() }
    }
}
