//! A flat typed buffer on one device.

use crate::device::GpuBuffer;
use crate::device::cpu::Buffer;
use crate::device::log;
use crate::dtype::for_element;
use crate::ops::elementwise;
use crate::{DType, Device, Element, Error, Result};

/// A flat, contiguous, typed buffer on one device. Shapes are the callers' business.
#[derive(Debug)]
pub struct Storage {
    memory: Memory,
    dtype: DType,
    len: usize,
}

/// Where the elements are.
#[derive(Debug)]
enum Memory {
    Cpu(Buffer),
    Gpu(GpuBuffer),
}

impl Storage {
    /// A buffer of `len` elements whose contents are unspecified: for kernels that write them all.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Shape`] for more elements than 32 bits can count, or
    /// [`Error::DType`] for f64 on a device that has none.
    pub fn empty(device: &Device, dtype: DType, len: usize) -> Result<Storage> {
        if len > u32::MAX as usize {
            let message = format!("{len} elements are more than the {} a buffer holds", u32::MAX);
            return Err(Error::Shape { op: "allocate", message });
        }
        let memory = match device {
            Device::Cpu => Memory::Cpu(for_element!(dtype, T => T::wrap(T::pool().take(len)?))),
            _ if dtype == DType::F64 => {
                let expected = "f32 or u32, all that the kernels of a GPU take".into();
                return Err(Error::DType { op: "allocate", expected, got: dtype });
            }
            Device::Cuda(gpu) => Memory::Gpu(GpuBuffer::Cuda(gpu.allocate(len * dtype.size())?)),
            Device::Wgpu(gpu) => Memory::Gpu(GpuBuffer::Wgpu(gpu.allocate(len * dtype.size())?)),
        };
        let mut storage = Storage { memory, dtype, len };
        if cfg!(debug_assertions) && *device != Device::Cpu {
            // As in the CPU's pool: a kernel that forgets an element is seen at once.
            elementwise::poison(&mut storage)?;
        }
        Ok(storage)
    }

    /// A buffer of zeros.
    pub fn zeros(device: &Device, dtype: DType, len: usize) -> Result<Storage> {
        let mut storage = Storage::empty(device, dtype, len)?;
        match device {
            Device::Cpu => {
                for_element!("clear", dtype, T => {
                    storage.as_mut_slice::<T>()?.fill(bytemuck::Zeroable::zeroed())
                })
            }
            _ => elementwise::clear(&mut storage)?,
        }
        Ok(storage)
    }

    /// Copies `data` from the host to a new buffer on `device`.
    pub fn from_slice<T: Element>(device: &Device, data: &[T]) -> Result<Storage> {
        let mut storage = Storage::empty(device, T::DTYPE, data.len())?;
        match &storage.memory {
            Memory::Cpu(_) => storage.as_mut_slice::<T>()?.copy_from_slice(data),
            Memory::Gpu(buffer) => buffer.upload(bytemuck::cast_slice(data))?,
        }
        Ok(storage)
    }

    /// Copies the buffer to the host, after everything that writes it has finished.
    ///
    /// # Errors
    /// [`Error::DType`] when the elements are not of type `T`; on a GPU also whatever went wrong
    /// there since something was last read.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        match &self.memory {
            Memory::Cpu(_) => Ok(self.as_slice::<T>()?.to_vec()),
            Memory::Gpu(_) if self.dtype != T::DTYPE => Err(wrong_type::<T>(self.dtype)),
            Memory::Gpu(buffer) => {
                let bytes = GpuBuffer::read(&[(buffer, self.len * self.dtype.size())])?;
                Ok(bytemuck::pod_collect_to_vec(&bytes))
            }
        }
    }

    /// The elements of several buffers one after the other, with one wait for a GPU instead of one
    /// per buffer.
    ///
    /// # Errors
    /// As [`Storage::to_vec`].
    pub fn read_all<T: Element>(all: &[&Storage]) -> Result<Vec<T>> {
        same_device("read", all)?;
        if let Some(wrong) = all.iter().find(|storage| storage.dtype != T::DTYPE) {
            return Err(wrong_type::<T>(wrong.dtype));
        }
        let on_gpu = all.iter().filter_map(|storage| match &storage.memory {
            Memory::Cpu(_) => None,
            Memory::Gpu(buffer) => Some((buffer, storage.len * storage.dtype.size())),
        });
        match &on_gpu.collect::<Vec<_>>()[..] {
            [] => Ok(all.iter().map(|storage| storage.as_slice::<T>()).collect::<Result<Vec<_>>>()?.concat()),
            on_gpu => Ok(bytemuck::pod_collect_to_vec(&GpuBuffer::read(on_gpu)?)),
        }
    }

    /// The same numbers in another buffer of the same device.
    pub fn copy(&self) -> Result<Storage> {
        match &self.memory {
            Memory::Cpu(_) => {
                for_element!(self.dtype(), T => Storage::from_slice(&Device::Cpu, self.as_slice::<T>()?))
            }
            Memory::Gpu(from) => {
                let copy = Storage::empty(&self.device(), self.dtype, self.len)?;
                from.copy_to(copy.gpu()?, self.len * self.dtype.size())?;
                Ok(copy)
            }
        }
    }

    /// Writes the numbers of a buffer of the same type and length over its own: what a captured training
    /// step, which always reads the same memory, is given a batch by.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::DTypeMismatch`] for another kind of buffer; otherwise as [`Storage::to_vec`].
    pub fn copy_from(&mut self, from: &Storage) -> Result<()> {
        if from.dtype != self.dtype {
            return Err(Error::DTypeMismatch { op: "copy", left: self.dtype, right: from.dtype });
        }
        if from.len != self.len {
            let message = format!("{} elements cannot be copied over {}", from.len, self.len);
            return Err(Error::Shape { op: "copy", message });
        }
        let bytes = self.len * self.dtype.size();
        match (&self.memory, &from.memory) {
            (Memory::Gpu(to), Memory::Gpu(there)) if from.device() == self.device() => {
                there.copy_to(to, bytes)
            }
            (Memory::Gpu(to), _) => {
                for_element!(self.dtype, T => to.upload(bytemuck::cast_slice(&from.to_vec::<T>()?)))
            }
            (Memory::Cpu(_), _) => {
                for_element!(self.dtype, T => self.as_mut_slice::<T>()?.copy_from_slice(&from.to_vec::<T>()?));
                Ok(())
            }
        }
    }

    /// The same numbers in a buffer on `device`.
    pub fn to_device(&self, device: &Device) -> Result<Storage> {
        for_element!(self.dtype(), T => Storage::from_slice(device, &self.to_vec::<T>()?))
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        match &self.memory {
            Memory::Cpu(_) => Device::Cpu,
            Memory::Gpu(buffer) => buffer.home(),
        }
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number of its elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements, of a buffer in the processor's memory.
    pub(crate) fn as_slice<T: Element>(&self) -> Result<&[T]> {
        match &self.memory {
            Memory::Cpu(buffer) => T::unwrap(buffer).map(|data| &**data),
            Memory::Gpu(_) => None,
        }
        .inspect(|data| log::opened(data.as_ptr().cast(), data.len(), T::DTYPE))
        .ok_or_else(|| wrong_type::<T>(self.dtype))
    }

    /// The elements to write, of a buffer in the processor's memory.
    pub(crate) fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        match &mut self.memory {
            Memory::Cpu(buffer) => T::unwrap_mut(buffer).map(|data| &mut **data),
            Memory::Gpu(_) => None,
        }
        .inspect(|data| log::opened(data.as_ptr().cast(), data.len(), T::DTYPE))
        .ok_or_else(|| wrong_type::<T>(self.dtype))
    }

    /// The buffer of a GPU.
    pub(crate) fn gpu(&self) -> Result<&GpuBuffer> {
        match &self.memory {
            Memory::Gpu(buffer) => Ok(buffer),
            Memory::Cpu(_) => Err(Error::Value { op: "launch", message: "a buffer lies on the CPU".into() }),
        }
    }
}

/// Checks that all buffers of an op lie on one device; their types may differ.
pub(crate) fn same_device(op: &'static str, all: &[&Storage]) -> Result<()> {
    for pair in all.windows(2) {
        let (left, right) = (pair[0].device(), pair[1].device());
        if left != right {
            return Err(Error::DeviceMismatch { op, left, right });
        }
    }
    Ok(())
}

fn wrong_type<T: Element>(got: DType) -> Error {
    Error::DType { op: "read", expected: T::DTYPE.to_string(), got }
}

/// Checks that all buffers of an op lie on one device and have elements of one type.
pub(crate) fn same_device_and_dtype(op: &'static str, all: &[&Storage]) -> Result<()> {
    let Some((first, rest)) = all.split_first() else { return Ok(()) };
    for other in rest {
        if other.device() != first.device() {
            let (left, right) = (first.device(), other.device());
            return Err(Error::DeviceMismatch { op, left, right });
        }
        if other.dtype() != first.dtype() {
            let (left, right) = (first.dtype(), other.dtype());
            return Err(Error::DTypeMismatch { op, left, right });
        }
    }
    Ok(())
}
