//! wgpu left out of the build: the types are there and have no values.

use std::fmt;

use super::{Counters, Grid, Kernel};
use crate::{Error, Result, Storage};

/// An adapter; there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Adapter {
    pub name: String,
    pub backend: String,
    pub driver: String,
    pub hardware: bool,
}

/// No adapters.
pub fn adapters() -> Vec<Adapter> {
    Vec::new()
}

/// An open adapter of wgpu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WgpuDevice {}

/// A buffer on one.
pub(crate) type WgpuBuffer = WgpuDevice;

impl WgpuDevice {
    /// Opens an adapter.
    ///
    /// # Errors
    /// Always: build with the feature `wgpu`.
    pub fn open(name: Option<&str>) -> Result<WgpuDevice> {
        Err(Error::DeviceUnavailable {
            name: name.map_or("wgpu".into(), |name| format!("wgpu:{name}")),
            reason: "this program was built without the feature `wgpu`; use --device cpu".into(),
        })
    }

    #[allow(missing_docs)]
    pub fn adapter_name(&self) -> &str {
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

    #[doc(hidden)]
    pub fn lose(&self) {
        match *self {}
    }

    pub(crate) fn device(&self) -> &WgpuDevice {
        match *self {}
    }

    pub(crate) fn home(&self) -> super::Device {
        match *self {}
    }

    pub(crate) fn allocate(&self, _: usize) -> Result<WgpuBuffer> {
        match *self {}
    }

    pub(crate) fn upload(&self, _: &WgpuBuffer, _: &[u8]) -> Result<()> {
        match *self {}
    }

    pub(crate) fn copy(&self, _: &WgpuBuffer, _: &WgpuBuffer, _: usize) -> Result<()> {
        match *self {}
    }

    pub(crate) fn read(&self, _: &[(&WgpuBuffer, usize)]) -> Result<Vec<u8>> {
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

impl fmt::Display for WgpuDevice {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
