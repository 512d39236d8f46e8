//! A buffer on a GPU of either kind.

use super::Device;
use super::cuda::CudaBuffer;
use super::wgpu::WgpuBuffer;
use crate::{Error, Result};

/// A buffer on a GPU, which returns to its device's pool when dropped.
#[derive(Debug)]
pub(crate) enum GpuBuffer {
    Cuda(CudaBuffer),
    Wgpu(WgpuBuffer),
}

impl GpuBuffer {
    /// Where it lives.
    pub fn home(&self) -> Device {
        match self {
            GpuBuffer::Cuda(buffer) => buffer.home(),
            GpuBuffer::Wgpu(buffer) => buffer.home(),
        }
    }

    /// Copies `data` to its beginning.
    pub fn upload(&self, data: &[u8]) -> Result<()> {
        match self {
            GpuBuffer::Cuda(buffer) => buffer.device().upload(buffer, data),
            GpuBuffer::Wgpu(buffer) => buffer.device().upload(buffer, data),
        }
    }

    /// Copies its first bytes to another buffer of the same device.
    pub fn copy_to(&self, to: &GpuBuffer, bytes: usize) -> Result<()> {
        match self {
            GpuBuffer::Cuda(buffer) => buffer.device().copy(buffer, to.cuda()?, bytes),
            GpuBuffer::Wgpu(buffer) => buffer.device().copy(buffer, to.wgpu()?, bytes),
        }
    }

    /// The first bytes of some buffers of one device, one after the other, with one wait.
    pub fn read(from: &[(&GpuBuffer, usize)]) -> Result<Vec<u8>> {
        match from.first() {
            None => Ok(Vec::new()),
            Some((GpuBuffer::Cuda(first), _)) => {
                let all = from.iter().map(|(buffer, bytes)| Ok((buffer.cuda()?, *bytes)));
                first.device().read(&all.collect::<Result<Vec<_>>>()?)
            }
            Some((GpuBuffer::Wgpu(first), _)) => {
                let all = from.iter().map(|(buffer, bytes)| Ok((buffer.wgpu()?, *bytes)));
                first.device().read(&all.collect::<Result<Vec<_>>>()?)
            }
        }
    }

    /// The buffer of a CUDA device.
    pub fn cuda(&self) -> Result<&CudaBuffer> {
        match self {
            GpuBuffer::Cuda(buffer) => Ok(buffer),
            GpuBuffer::Wgpu(_) => self.elsewhere(),
        }
    }

    /// The buffer of a device behind wgpu.
    pub fn wgpu(&self) -> Result<&WgpuBuffer> {
        match self {
            GpuBuffer::Wgpu(buffer) => Ok(buffer),
            GpuBuffer::Cuda(_) => self.elsewhere(),
        }
    }

    fn elsewhere<T>(&self) -> Result<T> {
        let message = format!("a buffer lies on {}, which is another device", self.home());
        Err(Error::Value { op: "launch", message })
    }
}
