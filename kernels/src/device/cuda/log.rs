//! How long a launch took, for `KERNEL_LOG`.

use std::time::Duration;

use cudarc::driver::sys::{CUevent, CUevent_flags, CUstream};

use super::CudaDevice;
use super::driver::{Failure, call, old};

/// Two events around a launch, which is waited for.
pub(super) struct Timer {
    stream: CUstream,
    begin: Event,
    end: Event,
}

/// A place in the stream.
pub(super) struct Event(CUevent);

// SAFETY: the handles of a context may be used by every thread in which the context is current.
unsafe impl Send for Event {}

impl Event {
    /// One that can be waited for.
    pub fn new() -> Result<Event, Failure> {
        Event::with(CUevent_flags::CU_EVENT_DISABLE_TIMING)
    }

    fn with(flags: CUevent_flags) -> Result<Event, Failure> {
        let mut event = std::ptr::null_mut();
        call!(cuEventCreate(&mut event, flags as u32)).map(|()| Event(event))
    }

    /// Now: after all that was given to the stream.
    pub fn record(&self, stream: CUstream) -> Result<(), Failure> {
        call!(cuEventRecord(self.0, stream))
    }

    /// Waits until the device has come to it.
    pub fn wait(&self) -> Result<(), Failure> {
        call!(cuEventSynchronize(self.0))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // A device that is lost has lost its events.
        let _ = call!(cuEventDestroy_v2(self.0));
    }
}

impl Timer {
    pub fn start(device: &CudaDevice) -> Result<Timer, Failure> {
        let event = || Event::with(CUevent_flags::CU_EVENT_DEFAULT);
        let timer = Timer { stream: device.0.stream, begin: event()?, end: event()? };
        timer.begin.record(timer.stream)?;
        Ok(timer)
    }

    /// The time from the start to now, once the device has come here.
    pub fn stop(self) -> Result<Duration, Failure> {
        self.end.record(self.stream)?;
        self.end.wait()?;
        let milliseconds = old::elapsed_time(self.begin.0, self.end.0)?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }
}
