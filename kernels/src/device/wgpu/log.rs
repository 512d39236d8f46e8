//! How long a launch took, for `KERNEL_LOG`.

use std::time::{Duration, Instant};

use ::wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Device, Features,
    QuerySet, QuerySetDescriptor, QueryType,
};

use super::WgpuDevice;

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
