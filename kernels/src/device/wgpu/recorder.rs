//! Launches pile up in a command encoder, which is submitted when something is read or when it has
//! grown long.
//!
//! Everything a step does goes into the one encoder in its order: launches, uploads (copied from a
//! belt of staging buffers) and the copy that a read waits for. The parameters of all launches lie in
//! one buffer, which is written just before the submission. Bindings of a kernel to the same buffers
//! as last time, which a training step has by the dozen thanks to the pool, are kept.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use ::wgpu::util::StagingBelt;
use ::wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferDescriptor,
    BufferSize, BufferUsages, CommandEncoder, ComputePass, ComputePassDescriptor, MapMode, PollError,
    PollType, SubmissionIndex,
};

use super::memory::{GpuBuffer, Numbered};
use super::pipeline::Pipeline;
use super::{Grid, Kernel, WgpuDevice, lock, log};
use crate::device::{Counters, fault};
use crate::{Error, Result, Storage};

/// Launches of one submission at most: enough that their overhead is shared, few enough that the
/// device does not wait long for its first work.
const LAUNCHES: usize = 128;
/// Bytes between the parameters of two launches: what every adapter can bind at.
const STRIDE: usize = 256;
/// Uploads up to this size go through the belt.
const CHUNK: u64 = 4 << 20;
/// Kept bindings. A training step needs one per launch.
const BINDINGS: usize = 4096;
/// Kept buffers for reading, of as many sizes: a training reads two or three.
const READBACKS: usize = 16;

pub(super) struct Recorder {
    pub counters: Counters,
    encoder: Option<CommandEncoder>,
    /// Open while nothing but launches is recorded. It must end before the encoder is used.
    pass: Option<ComputePass<'static>>,
    launches: usize,
    params: Vec<u8>,
    params_buffer: Buffer,
    faults: Buffer,
    belt: StagingBelt,
    bindings: HashMap<Vec<u64>, BindGroup>,
    readback: HashMap<u64, Buffer>,
}

impl Recorder {
    pub fn new(device: &::wgpu::Device) -> Recorder {
        let buffer = |label, size, usage| {
            device.create_buffer(&BufferDescriptor {
                label: Some(label),
                size,
                usage: usage | BufferUsages::STORAGE | BufferUsages::COPY_DST,
                mapped_at_creation: true,
            })
        };
        let params_buffer = buffer("parameters", (LAUNCHES * STRIDE) as u64, BufferUsages::empty());
        params_buffer.unmap();
        let faults = buffer("faults", fault::BYTES, BufferUsages::COPY_SRC);
        if let Ok(mut table) = faults.get_mapped_range_mut(..) {
            table.copy_from_slice(&[0xFF; fault::BYTES as usize]);
        }
        faults.unmap();
        Recorder {
            counters: Counters::default(),
            encoder: None,
            pass: None,
            launches: 0,
            params: Vec::with_capacity(LAUNCHES * STRIDE),
            params_buffer,
            faults,
            belt: StagingBelt::new(device.clone(), CHUNK),
            bindings: HashMap::new(),
            readback: HashMap::new(),
        }
    }

    /// Lets go of buffers that only the kept bindings still hold.
    pub fn forget_bindings(&mut self) {
        self.bindings.clear();
    }

    /// The encoder, for anything but a launch.
    fn encoder(&mut self, device: &::wgpu::Device) -> &mut CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()))
    }

    fn bind(&mut self, device: &::wgpu::Device, pipeline: &Pipeline, buffers: &[&GpuBuffer]) -> &BindGroup {
        let key = std::iter::once(pipeline.number as u64).chain(buffers.iter().map(|b| b.memory().number));
        let key: Vec<u64> = key.collect();
        if self.bindings.len() >= BINDINGS && !self.bindings.contains_key(&key) {
            self.bindings.clear();
        }
        let (params_buffer, faults) = (&self.params_buffer, &self.faults);
        self.bindings.entry(key).or_insert_with(|| {
            let params =
                BufferBinding { buffer: params_buffer, offset: 0, size: BufferSize::new(pipeline.params) };
            let mut entries = vec![BindGroupEntry { binding: 0, resource: BindingResource::Buffer(params) }];
            entries.extend(pipeline.slots.iter().zip(buffers).map(|(slot, buffer)| BindGroupEntry {
                binding: slot.binding,
                resource: buffer.memory().buffer.as_entire_binding(),
            }));
            entries.extend(
                pipeline
                    .faults
                    .map(|binding| BindGroupEntry { binding, resource: faults.as_entire_binding() }),
            );
            device.create_bind_group(&BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            })
        })
    }

    /// Submits what was recorded, if anything was.
    fn submit(&mut self, queue: &::wgpu::Queue) -> Option<SubmissionIndex> {
        self.pass = None;
        let encoder = self.encoder.take()?;
        let began = Instant::now();
        if !self.params.is_empty() {
            queue.write_buffer(&self.params_buffer, 0, &self.params);
            self.counters.bytes_up += self.params.len() as u64;
        }
        self.belt.finish_and_recall_on_submit(&encoder);
        self.params.clear();
        self.launches = 0;
        self.counters.submissions += 1;
        let submission = queue.submit([encoder.finish()]);
        self.counters.submit_time += began.elapsed();
        Some(submission)
    }
}

impl WgpuDevice {
    /// Records one launch.
    pub(super) fn record(
        &self,
        kernel: &'static Kernel,
        grid: Grid,
        params: &[u8],
        describe: &dyn Fn() -> String,
        buffers: &[&Storage],
    ) -> Result<()> {
        if grid.groups == 0 {
            return Ok(());
        }
        let pipeline = self.pipeline(kernel)?;
        let fits = pipeline.params == params.len() as u64 && pipeline.slots.len() == buffers.len();
        assert!(
            fits,
            "{} takes parameters of {} bytes and {:?}; it got {} bytes and {buffers:?}",
            kernel.entry,
            pipeline.params,
            pipeline.slots,
            params.len(),
        );
        if let Some((_, wrong)) = pipeline.slots.iter().zip(buffers).find(|(slot, b)| !slot.takes(b.dtype()))
        {
            return Err(Error::DType { op: kernel.entry, expected: "f32".into(), got: wrong.dtype() });
        }
        let gpu = buffers.iter().map(|buffer| buffer.gpu()).collect::<Result<Vec<_>>>()?;
        let (columns, rows) = grid.folded(self.0.limits.max_compute_workgroups_per_dimension);

        let mut recorder = lock(&self.0.recorder);
        if recorder.launches == LAUNCHES {
            recorder.submit(&self.0.queue);
        }
        let timer = (log::level() >= 2).then(|| {
            recorder.submit(&self.0.queue);
            log::Timer::new(&self.0.device)
        });
        let began = Instant::now();
        let bindings = recorder.bind(&self.0.device, &pipeline, &gpu).clone();
        let offset = recorder.params.len();
        recorder.params.extend_from_slice(params);
        recorder.params.resize(offset + STRIDE, 0);
        if recorder.pass.is_none() {
            let descriptor = ComputePassDescriptor {
                label: Some(kernel.entry),
                timestamp_writes: timer.as_ref().and_then(log::Timer::writes),
            };
            let encoder = recorder.encoder(&self.0.device);
            recorder.pass = Some(encoder.begin_compute_pass(&descriptor).forget_lifetime());
        }
        if let Some(pass) = &mut recorder.pass {
            pass.set_pipeline(&pipeline.compute);
            pass.set_bind_group(0, &bindings, &[offset as u32]);
            pass.dispatch_workgroups(columns, rows, 1);
        }
        recorder.launches += 1;
        recorder.counters.launches += 1;
        recorder.counters.launch_time += began.elapsed();
        if log::level() >= 1 {
            let bytes = buffers.iter().map(|buffer| 4 * buffer.len() as u64).sum();
            let time = timer.map(|timer| {
                let encoder = recorder.encoder(&self.0.device);
                timer.resolve(encoder);
                let submission = recorder.submit(&self.0.queue);
                self.wait(submission)?;
                Ok::<_, Error>(timer.read(self))
            });
            log::print(kernel, grid, &describe(), buffers, bytes, time.transpose()?);
        }
        drop(recorder);
        self.check(kernel.entry)
    }

    /// Notes that the last launch was not part of the work.
    pub(crate) fn count_poisoning(&self) {
        lock(&self.0.recorder).counters.poisonings += 1;
    }

    /// Copies `data` to the beginning of a buffer.
    pub(crate) fn upload(&self, to: &GpuBuffer, data: &[u8]) -> Result<()> {
        let bytes = data.len() as u64;
        let Some(size) = BufferSize::new(bytes) else { return Ok(()) };
        let mut recorder = lock(&self.0.recorder);
        let device = &self.0.device;
        recorder.counters.bytes_up += bytes;
        recorder.encoder(device);
        // The belt and the encoder are two fields of one struct that is behind a lock.
        let Recorder { belt, encoder: Some(encoder), .. } = &mut *recorder else { return Ok(()) };
        if bytes <= CHUNK {
            belt.write_buffer(encoder, &to.memory().buffer, 0, size).copy_from_slice(data);
        } else {
            let staging = device.create_buffer(&BufferDescriptor {
                label: Some("upload"),
                size: bytes,
                usage: BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            if let Ok(mut view) = staging.get_mapped_range_mut(..) {
                view.copy_from_slice(data);
            }
            staging.unmap();
            encoder.copy_buffer_to_buffer(&staging, 0, &to.memory().buffer, 0, bytes);
        }
        drop(recorder);
        self.check("upload")
    }

    /// Copies a buffer to another one of the same size.
    pub(crate) fn copy(&self, from: &GpuBuffer, to: &GpuBuffer, bytes: usize) -> Result<()> {
        if bytes > 0 {
            let mut recorder = lock(&self.0.recorder);
            let encoder = recorder.encoder(&self.0.device);
            encoder.copy_buffer_to_buffer(&from.memory().buffer, 0, &to.memory().buffer, 0, bytes as u64);
        }
        self.check("copy")
    }

    /// The first bytes of some buffers, one after the other, after everything recorded so far has run.
    ///
    /// # Errors
    /// Whatever went wrong on the device until now, the faults that kernels noted included.
    pub(crate) fn read(&self, from: &[(&GpuBuffer, usize)]) -> Result<Vec<u8>> {
        let bytes: usize = from.iter().map(|(_, bytes)| bytes).sum();
        let size = bytes as u64 + fault::BYTES;
        let mut recorder = lock(&self.0.recorder);
        let staging = match recorder.readback.remove(&size) {
            Some(staging) => staging,
            None => match self.create(size, BufferUsages::MAP_READ | BufferUsages::COPY_DST) {
                Some(Numbered { buffer, .. }) => buffer,
                None => {
                    let device = crate::Device::Wgpu(self.clone());
                    return Err(Error::OutOfMemory { device, asked: size, in_use: self.bytes_in_use() });
                }
            },
        };
        let faults = recorder.faults.clone();
        let encoder = recorder.encoder(&self.0.device);
        let mut end = 0;
        for (from, bytes) in from.iter().filter(|(_, bytes)| *bytes > 0) {
            encoder.copy_buffer_to_buffer(&from.memory().buffer, 0, &staging, end, *bytes as u64);
            end += *bytes as u64;
        }
        encoder.copy_buffer_to_buffer(&faults, 0, &staging, end, fault::BYTES);
        let submission = recorder.submit(&self.0.queue);
        recorder.counters.bytes_down += size;
        drop(recorder);
        self.check("submit")?;

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
                Err(RecvTimeoutError::Timeout) => self.wait(None)?,
                Err(RecvTimeoutError::Disconnected) => break Err("the buffer is gone".to_string()),
            }
        };
        self.check("read")?;
        let lost = |message| Error::DeviceLost { device: self.to_string(), message };
        mapped.map_err(lost)?;
        let view = staging.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
        let (data, table) = view.split_at(bytes);
        let data = data.to_vec();
        let table: Vec<u32> = bytemuck::pod_collect_to_vec(table);
        drop(view);
        staging.unmap();
        let mut recorder = lock(&self.0.recorder);
        // Losses and accuracies are read again and again; a large tensor hardly ever.
        if size <= CHUNK {
            if recorder.readback.len() == READBACKS {
                recorder.readback.clear();
            }
            recorder.readback.insert(size, staging);
        }
        match fault::first(&table) {
            None => Ok(data),
            Some(error) => {
                self.0.queue.write_buffer(&recorder.faults, 0, &[0xFF; fault::BYTES as usize]);
                Err(error)
            }
        }
    }

    /// Waits until a submission has run. A lost device ends the wait.
    fn wait(&self, submission_index: Option<SubmissionIndex>) -> Result<()> {
        loop {
            let timeout = Some(Duration::from_secs(1));
            match self.0.device.poll(PollType::Wait { submission_index: submission_index.clone(), timeout }) {
                Ok(_) => return Ok(()),
                // A software adapter may well take minutes.
                Err(PollError::Timeout) => self.check("wait")?,
                Err(error) => {
                    let message = error.to_string();
                    return Err(Error::DeviceLost { device: self.to_string(), message });
                }
            }
        }
    }

    /// For [`log`]: a small buffer's contents, by a submission of its own.
    pub(super) fn read_now(&self, staging: &Buffer) -> Option<Vec<u64>> {
        staging.map_async(MapMode::Read, .., |_| {});
        self.wait(None).ok()?;
        let numbers = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).ok()?);
        staging.unmap();
        Some(numbers)
    }
}
