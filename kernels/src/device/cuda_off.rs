//! CUDA left out of the build: the types are there and have no values.

use std::fmt;

use super::{Counters, Grid, Kernel};
use crate::{Error, Result, Storage};

/// No cards.
pub fn cards() -> Vec<String> {
    Vec::new()
}

/// An open NVIDIA GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaDevice {}

/// A buffer on one.
pub(crate) type CudaBuffer = CudaDevice;

/// A capture under way.
#[derive(Debug)]
pub enum Capture {}

/// A captured graph.
#[derive(Debug)]
pub enum CudaGraph {}

/// The parameters of launches of changing kernels.
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {}

impl CudaDevice {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// Always: build with the feature `cuda`.
    pub fn open(ordinal: usize) -> Result<CudaDevice> {
        Err(Error::DeviceUnavailable {
            name: format!("cuda:{ordinal}"),
            reason: "this program was built without the feature `cuda`; use --device cpu or --device wgpu"
                .into(),
        })
    }

    #[allow(missing_docs)]
    pub fn name(&self) -> &str {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn max_buffer_bytes(&self) -> u64 {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn bytes_in_use(&self) -> u64 {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn counters(&self) -> Counters {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn times_launches(&self) -> bool {
        match *self {}
    }

    #[doc(hidden)]
    pub fn lose(&self) {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn begin_capture(&self) -> Result<Capture> {
        match *self {}
    }

    #[allow(missing_docs)]
    pub fn collect<T>(&self, _: impl FnOnce() -> T) -> Result<(T, Changes)> {
        match *self {}
    }

    pub(crate) fn device(&self) -> &CudaDevice {
        match *self {}
    }

    pub(crate) fn home(&self) -> super::Device {
        match *self {}
    }

    pub(crate) fn allocate(&self, _: usize) -> Result<CudaBuffer> {
        match *self {}
    }

    pub(crate) fn upload(&self, _: &CudaBuffer, _: &[u8]) -> Result<()> {
        match *self {}
    }

    pub(crate) fn copy(&self, _: &CudaBuffer, _: &CudaBuffer, _: usize) -> Result<()> {
        match *self {}
    }

    pub(crate) fn read(&self, _: &[(&CudaBuffer, usize)]) -> Result<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn count_poisoning(&self) {
        match *self {}
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        match *self {}
    }

    pub(super) fn launch<P>(
        &self,
        _: &'static Kernel,
        _: Grid,
        _: &P,
        _: &[&Storage],
        _: &mut [&mut Storage],
    ) -> Result<()> {
        match *self {}
    }
}

#[allow(missing_docs)]
impl Capture {
    pub fn end(self, _: u64) -> Result<CudaGraph> {
        match self {}
    }
}

#[allow(missing_docs)]
impl CudaGraph {
    pub fn launch(&mut self, _: Option<&Changes>) -> Result<()> {
        match *self {}
    }

    pub fn clock(&self) -> u64 {
        match *self {}
    }

    pub fn set_clock(&mut self, _: u64) -> Result<()> {
        match *self {}
    }

    pub fn launches(&self) -> usize {
        match *self {}
    }
}

impl fmt::Display for CudaDevice {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
