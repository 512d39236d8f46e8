//! A flat typed buffer on one device.

use crate::device::cpu::Buffer;
use crate::dtype::for_element;
use crate::{DType, Device, Element, Error, Result};

/// A flat, contiguous, typed buffer on one device. Shapes are the callers' business.
#[derive(Debug)]
pub struct Storage {
    buffer: Buffer,
    len: usize,
}

impl Storage {
    /// A buffer of `len` elements whose contents are unspecified: for kernels that write them all.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or [`Error::Shape`] for more elements than 32 bits can count.
    pub fn empty(device: &Device, dtype: DType, len: usize) -> Result<Storage> {
        if len > u32::MAX as usize {
            let message = format!("{len} elements are more than the {} a buffer holds", u32::MAX);
            return Err(Error::Shape { op: "allocate", message });
        }
        let buffer = match device.clone() {
            Device::Cpu => for_element!(dtype, T => T::wrap(T::pool().take(len)?)),
        };
        Ok(Storage { buffer, len })
    }

    /// A buffer of zeros.
    pub fn zeros(device: &Device, dtype: DType, len: usize) -> Result<Storage> {
        let mut storage = Storage::empty(device, dtype, len)?;
        match device.clone() {
            Device::Cpu => {
                for_element!(dtype, T => storage.as_mut_slice::<T>()?.fill(bytemuck::Zeroable::zeroed()))
            }
        }
        Ok(storage)
    }

    /// Copies `data` from the host to a new buffer on `device`.
    pub fn from_slice<T: Element>(device: &Device, data: &[T]) -> Result<Storage> {
        let mut storage = Storage::empty(device, T::DTYPE, data.len())?;
        match device.clone() {
            Device::Cpu => storage.as_mut_slice::<T>()?.copy_from_slice(data),
        }
        Ok(storage)
    }

    /// Copies the buffer to the host, after everything that writes it has finished.
    ///
    /// # Errors
    /// [`Error::DType`] when the elements are not of type `T`.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        match self.device() {
            Device::Cpu => Ok(self.as_slice::<T>()?.to_vec()),
        }
    }

    /// The same numbers in another buffer of the same device.
    pub fn copy(&self) -> Result<Storage> {
        match self.device() {
            Device::Cpu => {
                for_element!(self.dtype(), T => Storage::from_slice(&self.device(), self.as_slice::<T>()?))
            }
        }
    }

    /// The same numbers in a buffer on `device`.
    pub fn to_device(&self, device: &Device) -> Result<Storage> {
        for_element!(self.dtype(), T => Storage::from_slice(device, &self.to_vec::<T>()?))
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        Device::Cpu
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        match self.buffer {
            Buffer::F32(_) => DType::F32,
            Buffer::F64(_) => DType::F64,
            Buffer::U32(_) => DType::U32,
        }
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
        T::unwrap(&self.buffer).map(|data| &**data).ok_or_else(|| wrong_type::<T>(self.dtype()))
    }

    /// The elements to write, of a buffer in the processor's memory.
    pub(crate) fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        let dtype = self.dtype();
        T::unwrap_mut(&mut self.buffer).map(|data| &mut **data).ok_or_else(|| wrong_type::<T>(dtype))
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
