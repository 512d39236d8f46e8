//! What `KERNEL_LOG` prints: 1 every launch with its parameters, 2 its time as well, 3 the text of
//! every kernel when it is first launched too. From 2 on each launch is waited for.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use ::wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Device, Features,
    QuerySet, QuerySetDescriptor, QueryType,
};

use super::{Grid, Kernel, WgpuDevice, lock};
use crate::Storage;

/// The number in `KERNEL_LOG`; 0 without it.
pub(super) fn level() -> u32 {
    static LEVEL: OnceLock<u32> = OnceLock::new();
    let read = || std::env::var("KERNEL_LOG").ok()?.trim().parse().ok();
    *LEVEL.get_or_init(|| read().unwrap_or(0))
}

/// Two time stamps around a pass of one launch, or, where the adapter has none, two looks at the
/// host's clock.
pub(super) struct Timer {
    stamps: Option<(QuerySet, Buffer, Buffer)>,
    began: Instant,
}

impl Timer {
    pub fn new(device: &Device) -> Timer {
        let buffer = |usage| {
            device.create_buffer(&BufferDescriptor {
                label: None,
                size: 16,
                usage,
                mapped_at_creation: false,
            })
        };
        let stamps = device.features().contains(Features::TIMESTAMP_QUERY).then(|| {
            let descriptor = QuerySetDescriptor { label: None, ty: QueryType::Timestamp, count: 2 };
            (
                device.create_query_set(&descriptor),
                buffer(BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC),
                buffer(BufferUsages::MAP_READ | BufferUsages::COPY_DST),
            )
        });
        Timer { stamps, began: Instant::now() }
    }

    pub fn writes(&self) -> Option<ComputePassTimestampWrites<'_>> {
        let (query_set, ..) = self.stamps.as_ref()?;
        Some(ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        })
    }

    pub fn resolve(&self, encoder: &mut CommandEncoder) {
        if let Some((query_set, resolved, staging)) = &self.stamps {
            encoder.resolve_query_set(query_set, 0..2, resolved, 0);
            encoder.copy_buffer_to_buffer(resolved, 0, staging, 0, 16);
        }
    }

    /// The time between the stamps, once the launch has run.
    pub fn read(&self, device: &WgpuDevice) -> Duration {
        let ticks = self.stamps.as_ref().and_then(|(_, _, staging)| device.read_now(staging));
        match ticks.as_deref() {
            Some([begin, end]) => {
                let nanoseconds = end.saturating_sub(*begin) as f64;
                Duration::from_secs_f64(nanoseconds * f64::from(device.0.queue.get_timestamp_period()) / 1e9)
            }
            _ => self.began.elapsed(),
        }
    }
}

/// One launch, in a line.
pub(super) fn print(
    kernel: &'static Kernel,
    grid: Grid,
    params: &str,
    buffers: &[&Storage],
    bytes: u64,
    time: Option<Duration>,
) {
    static SHOWN: Mutex<Option<HashSet<&str>>> = Mutex::new(None);
    if level() >= 3 && lock(&SHOWN).get_or_insert_default().insert(kernel.source.name) {
        eprintln!("// {}.wgsl\n{}", kernel.source.name, kernel.source.wgsl);
    }
    let sizes: Vec<usize> = buffers.iter().map(|buffer| buffer.len()).collect();
    let mut line = format!("{} {params} groups {} buffers {sizes:?}", kernel.entry, grid.groups);
    if let Some(time) = time {
        let seconds = time.as_secs_f64();
        line += &format!(" {:.1} us, {:.2} GB/s", seconds * 1e6, bytes as f64 / seconds / 1e9);
        if grid.flops > 0 {
            line += &format!(", {:.2} GFLOP/s", grid.flops as f64 / seconds / 1e9);
        }
    }
    eprintln!("{line}");
}
