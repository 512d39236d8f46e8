//! Data to the device and back, and waiting for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ::wgpu::{
    Buffer, BufferDescriptor, BufferSize, BufferUsages, ErrorFilter, MapMode, PollType, SubmissionIndex,
};

use super::memory::WgpuBuffer;
use super::recorder::CHUNK;
use super::{WgpuDevice, lock};
use crate::device::fault;
use crate::{Device, Error, Result};

impl WgpuDevice {
    /// Copies `data` to the beginning of a buffer.
    pub(crate) fn upload(&self, to: &WgpuBuffer, data: &[u8]) -> Result<()> {
        let (bytes, to, device) = (data.len() as u64, &to.memory().buffer, &self.0.device);
        let Some(size) = BufferSize::new(bytes) else { return Ok(()) };
        let doing = || format!("an upload of {bytes} bytes");
        // A device that is lost gives buffers that cannot be mapped.
        self.check(doing)?;
        let no_memory = |_| self.no_memory(bytes);
        let mut recorder = lock(&self.0.recorder);
        let (belt, encoder) = recorder.belt(device);
        if bytes <= CHUNK {
            const ALIGNED: BufferSize = BufferSize::new(4).unwrap();
            let staging = belt.allocate(size, ALIGNED);
            staging.get_mapped_range_mut().map_err(no_memory)?.copy_from_slice(data);
            encoder.copy_buffer_to_buffer(staging.buffer(), staging.offset(), to, 0, bytes);
        } else {
            let scope = device.push_error_scope(ErrorFilter::OutOfMemory);
            let staging = device.create_buffer(&BufferDescriptor {
                label: Some("upload"),
                size: bytes,
                usage: BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            if pollster::block_on(scope.pop()).is_some() {
                return Err(self.no_memory(bytes));
            }
            staging.get_mapped_range_mut(..).map_err(no_memory)?.copy_from_slice(data);
            staging.unmap();
            encoder.copy_buffer_to_buffer(&staging, 0, to, 0, bytes);
        }
        recorder.counters.bytes_up += bytes;
        self.copied(&mut recorder, bytes)?;
        drop(recorder);
        self.check(doing)
    }

    /// Copies a buffer to another one of the same size.
    pub(crate) fn copy(&self, from: &WgpuBuffer, to: &WgpuBuffer, bytes: usize) -> Result<()> {
        if bytes > 0 {
            let mut recorder = lock(&self.0.recorder);
            let encoder = recorder.encoder(&self.0.device);
            encoder.copy_buffer_to_buffer(&from.memory().buffer, 0, &to.memory().buffer, 0, bytes as u64);
            self.copied(&mut recorder, bytes as u64)?;
        }
        self.check(|| format!("a copy of {bytes} bytes"))
    }

    /// The first bytes of some buffers, one after the other, after everything recorded so far has run.
    ///
    /// # Errors
    /// Whatever went wrong on the device until now, the faults that kernels noted included.
    pub(crate) fn read(&self, from: &[(&WgpuBuffer, usize)]) -> Result<Vec<u8>> {
        let bytes: usize = from.iter().map(|(_, bytes)| bytes).sum();
        let doing = || format!("a read of {bytes} bytes");
        self.check(doing)?;
        let staging = self.readback(bytes as u64 + fault::BYTES)?;
        let mut recorder = lock(&self.0.recorder);
        let faults = recorder.faults.clone();
        let encoder = recorder.encoder(&self.0.device);
        let mut end = 0;
        for (from, bytes) in from.iter().filter(|(_, bytes)| *bytes > 0) {
            encoder.copy_buffer_to_buffer(&from.memory().buffer, 0, &staging, end, *bytes as u64);
            end += *bytes as u64;
        }
        encoder.copy_buffer_to_buffer(&faults, 0, &staging, end, fault::BYTES);
        let submission = self.submit(&mut recorder)?;
        recorder.counters.bytes_down += staging.size();
        drop(recorder);

        let (sender, mapped) = mpsc::channel();
        staging.map_async(MapMode::Read, .., move |result| {
            // Nobody waits any more only if the device was lost.
            let _ = sender.send(result);
        });
        self.wait(submission)?;
        // Another thread that waits may be the one to be told that the mapping is done.
        let mapped = loop {
            match mapped.recv_timeout(Duration::from_secs(1)) {
                Ok(mapped) => break mapped.map_err(|error| error.to_string()),
                Err(RecvTimeoutError::Timeout) => {
                    self.wait(None)?;
                    self.check(doing)?;
                }
                Err(RecvTimeoutError::Disconnected) => break Err("the buffer is gone".to_string()),
            }
        };
        self.check(doing)?;
        mapped.map_err(|message| self.lost(message))?;
        let view = staging.get_mapped_range(..).map_err(|error| self.lost(error.to_string()))?;
        let (data, table) = view.split_at(bytes);
        let data = data.to_vec();
        let table: Vec<u32> = bytemuck::pod_collect_to_vec(table);
        drop(view);
        staging.unmap();
        let mut recorder = lock(&self.0.recorder);
        recorder.keep_readback(staging);
        match fault::first(&table) {
            None => Ok(data),
            Some((slot, error)) => {
                // Only this one: the others are for the reads to come.
                self.0.queue.write_buffer(&recorder.faults, 4 * slot as u64, &fault::NONE.to_le_bytes());
                Err(error)
            }
        }
    }

    /// A buffer that the host can read.
    fn readback(&self, size: u64) -> Result<Buffer> {
        if let Some(staging) = lock(&self.0.recorder).take_readback(size) {
            return Ok(staging);
        }
        let most = self.0.limits.max_buffer_size;
        if size > most {
            return Err(Error::BufferTooLarge { device: Device::Wgpu(self.clone()), asked: size, most });
        }
        let created = self.create(size, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        created.map(|memory| memory.buffer).ok_or_else(|| self.no_memory(size))
    }

    fn no_memory(&self, asked: u64) -> Error {
        Error::OutOfMemory { device: Device::Wgpu(self.clone()), asked, in_use: self.bytes_in_use() }
    }

    fn lost(&self, message: String) -> Error {
        Error::DeviceLost { device: self.to_string(), message }
    }

    /// Waits until a submission has run, or the last one. A lost device ends the wait.
    ///
    /// Without a timeout: a wait that timed out while another thread submits makes wgpu panic.
    pub(super) fn wait(&self, submission_index: Option<SubmissionIndex>) -> Result<()> {
        let wait = PollType::Wait { submission_index, timeout: None };
        // wgpu panics when the driver says that the device is lost while it is waited for.
        match catch_unwind(AssertUnwindSafe(|| self.0.device.poll(wait))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.lost(error.to_string())),
            Err(_) => {
                let message = "the driver failed while it was waited for".to_string();
                lock(&self.0.troubles).lost.get_or_insert(message.clone());
                Err(self.lost(message))
            }
        }
    }

    /// For `log.rs`: a small buffer's contents, once all that was submitted has run.
    pub(super) fn read_now(&self, staging: &Buffer) -> Option<Vec<u64>> {
        staging.map_async(MapMode::Read, .., |_| {});
        self.wait(None).ok()?;
        let numbers = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).ok()?);
        staging.unmap();
        Some(numbers)
    }
}
