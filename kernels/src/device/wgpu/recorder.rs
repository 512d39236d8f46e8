//! Launches pile up in a command encoder, which is submitted when something is read or when it has
//! grown long.
//!
//! Everything a step does goes into the one encoder in its order: launches, uploads (copied from a
//! belt of staging buffers) and the copy that a read waits for (`transfer.rs`). The parameters of all launches lie in
//! one buffer, which is written just before the submission. Bindings of a kernel to the same buffers
//! as last time, which a training step has by the dozen thanks to the pool, are kept.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use ::wgpu::util::StagingBelt;
use ::wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferDescriptor,
    BufferSize, BufferUsages, CommandEncoder, ComputePass, ComputePassDescriptor, SubmissionIndex,
};

use super::log::Timer;
use super::memory::WgpuBuffer;
use super::pipeline::Pipeline;
use super::{Grid, Kernel, WgpuDevice, lock};
use crate::device::{Counters, fault, log};
use crate::{Error, Result, Storage};

/// Launches of one submission at most: enough that their overhead is shared, few enough that the
/// device does not wait long for its first work.
const LAUNCHES: usize = 128;
/// Bytes of uploads and copies after which a submission is made, because their staging memory is held
/// until they have run.
const BYTES: u64 = 64 << 20;
/// Submissions that may be on their way. A host that is faster than its device waits for the oldest, or
/// the memory that waits with them would grow without end.
const IN_FLIGHT: usize = 4;
/// Bytes between the parameters of two launches: what every adapter can bind at.
const STRIDE: usize = 256;
/// Uploads up to this size go through the belt.
pub(super) const CHUNK: u64 = 4 << 20;
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
    /// Bytes of the uploads and copies recorded.
    bytes: u64,
    /// The kernels recorded, or after a submission those of the submission: what its errors are about.
    kernels: Vec<&'static str>,
    in_flight: VecDeque<SubmissionIndex>,
    params: Vec<u8>,
    params_buffer: Buffer,
    pub(super) faults: Buffer,
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
            bytes: 0,
            kernels: Vec::new(),
            in_flight: VecDeque::new(),
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
    pub(super) fn encoder(&mut self, device: &::wgpu::Device) -> &mut CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()))
    }

    fn bind(&mut self, device: &::wgpu::Device, pipeline: &Pipeline, buffers: &[&WgpuBuffer]) -> &BindGroup {
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

    /// The belt that uploads go through, and the encoder they are recorded in.
    pub(super) fn belt(&mut self, device: &::wgpu::Device) -> (&mut StagingBelt, &mut CommandEncoder) {
        self.pass = None;
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        (&mut self.belt, encoder)
    }

    /// A buffer to read from of an earlier read of this size.
    pub(super) fn take_readback(&mut self, size: u64) -> Option<Buffer> {
        self.readback.remove(&size)
    }

    /// Keeps a buffer for the next read of its size. Losses and accuracies are read again and again; a
    /// large tensor hardly ever.
    pub(super) fn keep_readback(&mut self, buffer: Buffer) {
        if buffer.size() <= CHUNK {
            if self.readback.len() == READBACKS {
                self.readback.clear();
            }
            self.readback.insert(buffer.size(), buffer);
        }
    }

    /// The kernels of the last submission, in words.
    pub(super) fn submitted(&self) -> String {
        match &self.kernels[..] {
            [] => "a copy".into(),
            kernels => format!("one of {}", kernels.join(", ")),
        }
    }
}

impl WgpuDevice {
    /// Submits what was recorded, if anything was.
    pub(super) fn submit(&self, recorder: &mut Recorder) -> Result<Option<SubmissionIndex>> {
        recorder.pass = None;
        let Some(encoder) = recorder.encoder.take() else { return Ok(None) };
        let began = Instant::now();
        if !recorder.params.is_empty() {
            self.0.queue.write_buffer(&recorder.params_buffer, 0, &recorder.params);
            recorder.counters.bytes_up += recorder.params.len() as u64;
        }
        recorder.belt.finish_and_recall_on_submit(&encoder);
        let submission = self.0.queue.submit([encoder.finish()]);
        recorder.counters.submissions += 1;
        recorder.counters.submit_time += began.elapsed();
        // What is wrong with a launch shows here, when all of the submission is checked.
        let checked = self.check(|| recorder.submitted());
        recorder.params.clear();
        recorder.kernels.clear();
        (recorder.launches, recorder.bytes) = (0, 0);
        checked?;
        recorder.in_flight.push_back(submission.clone());
        if recorder.in_flight.len() > IN_FLIGHT {
            let oldest = recorder.in_flight.pop_front();
            self.wait(oldest)?;
        }
        Ok(Some(submission))
    }

    /// Notes that a copy of so many bytes was recorded, and submits it when they have become many.
    pub(super) fn copied(&self, recorder: &mut Recorder, bytes: u64) -> Result<()> {
        recorder.bytes += bytes;
        if recorder.bytes > BYTES {
            self.submit(recorder)?;
        }
        Ok(())
    }

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
        let gpu = buffers.iter().map(|buffer| buffer.gpu()?.wgpu()).collect::<Result<Vec<_>>>()?;
        let (columns, rows) = grid.folded(self.0.limits.max_compute_workgroups_per_dimension);

        let mut recorder = lock(&self.0.recorder);
        if recorder.launches == LAUNCHES {
            self.submit(&mut recorder)?;
        }
        let mut timer = None;
        if log::timed() {
            self.submit(&mut recorder)?;
            timer = Some(Timer::new(&self.0.device));
        }
        let began = Instant::now();
        let bindings = recorder.bind(&self.0.device, &pipeline, &gpu).clone();
        let offset = recorder.params.len();
        recorder.params.extend_from_slice(params);
        recorder.params.resize(offset + STRIDE, 0);
        if recorder.pass.is_none() {
            let descriptor = ComputePassDescriptor {
                label: Some(kernel.entry),
                timestamp_writes: timer.as_ref().and_then(Timer::writes),
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
        recorder.kernels.push(kernel.entry);
        recorder.counters.launches += 1;
        recorder.counters.launch_time += began.elapsed();
        if log::level() >= 1 || timer.is_some() {
            let time = timer.map(|timer| {
                let encoder = recorder.encoder(&self.0.device);
                timer.resolve(encoder);
                let submission = self.submit(&mut recorder)?;
                self.wait(submission)?;
                Ok::<_, Error>(timer.read(self))
            });
            let numbers = gpu.iter().map(|gpu| gpu.memory().number);
            let buffers: Vec<_> = numbers.zip(buffers).map(|(n, buffer)| (n, buffer.len(), 4)).collect();
            let (file, text) = (format!("{}.wgsl", kernel.source.name), format!("\n{}", kernel.source.wgsl));
            log::Launch {
                name: kernel.entry,
                text: (&file, &text),
                groups: Some(grid.groups),
                params: &describe(),
                buffers: &buffers,
                flops: grid.flops,
                began,
                time: time.transpose()?,
            }
            .tell();
        }
        drop(recorder);
        let sizes = || buffers.iter().map(|buffer| buffer.len()).collect::<Vec<_>>();
        self.check(|| format!("{} {} with buffers of {:?} elements", kernel.entry, describe(), sizes()))
    }

    /// Notes that the last launch was not part of the work.
    pub(crate) fn count_poisoning(&self) {
        lock(&self.0.recorder).counters.poisonings += 1;
    }
}
