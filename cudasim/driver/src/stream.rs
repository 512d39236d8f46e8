//! Streams, events and capture. Work is done when it is submitted, so that a stream never has any
//! left; but while it is captured, it is written into a graph and not done.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::time::Instant;

use crate::error::{Result, Status, put, put_if};
use crate::graph::{Graph, Node};
use crate::state::{Context, Handle, Here, handle, here};

/// A stream.
#[derive(Default)]
pub struct Stream {
    /// Doesn't wait for the default stream.
    non_blocking: bool,
    capture: Option<Capture>,
}

/// A stream's capture.
struct Capture {
    graph: Handle,
    id: u64,
    mode: c_int,
    thread: libc::pthread_t,
    /// Something was asked for that a capture cannot hold.
    invalid: bool,
    /// The last node, for whoever asks what the next one depends on.
    last: Box<[Handle]>,
}

/// An event.
#[derive(Default)]
pub struct Event {
    no_timing: bool,
    /// When it was last recorded, and in which capture.
    at: Option<Instant>,
    capture: Option<u64>,
}

// `CUstreamCaptureMode`.
const THREAD_LOCAL: c_int = 1;
const RELAXED: c_int = 2;
// `CUstreamCaptureStatus`.
const NONE: c_int = 0;
const ACTIVE: c_int = 1;
const INVALIDATED: c_int = 2;

/// The default stream goes by three names.
fn is_default(stream: Handle) -> bool {
    stream <= 2
}

impl Context {
    fn stream(&mut self, stream: Handle) -> Result<&mut Stream> {
        self.streams.get_mut(&stream).ok_or(Status::INVALID_HANDLE)
    }

    /// Breaks the captures that `which` names off; an error if there is one.
    fn invalidate(&mut self, which: impl Fn(&Stream, &Capture) -> bool, status: Status) -> Result {
        let mut result = Ok(());
        for stream in self.streams.values_mut() {
            if let Some(mut capture) = stream.capture.take() {
                if which(stream, &capture) {
                    capture.invalid = true;
                    result = Err(status);
                }
                stream.capture = Some(capture);
            }
        }
        result
    }

    /// What waits for the device, or may do so, is not allowed while a stream is captured, unless the
    /// capture is relaxed or another thread's own.
    pub fn forbid_while_capturing(&mut self) -> Result {
        let this = unsafe { libc::pthread_self() };
        let strict = |_: &Stream, capture: &Capture| match capture.mode {
            RELAXED => false,
            THREAD_LOCAL => capture.thread == this,
            _ => true,
        };
        self.invalidate(strict, Status::STREAM_CAPTURE_UNSUPPORTED)
    }

    /// What cannot be captured is not allowed in a stream that is.
    pub fn forbid_in_capture(&mut self, stream: Handle) -> Result {
        if is_default(stream) {
            return self.invalidate(|stream, _| !stream.non_blocking, Status::STREAM_CAPTURE_IMPLICIT);
        }
        match &mut self.stream(stream)?.capture {
            Some(capture) => {
                capture.invalid = true;
                Err(Status::STREAM_CAPTURE_UNSUPPORTED)
            }
            None => Ok(()),
        }
    }
}

impl Here<'_> {
    /// Work for a stream: done at once, or written down if the stream is captured.
    pub fn submit(&mut self, stream: Handle, node: Node) -> Result {
        if is_default(stream) {
            self.context.forbid_in_capture(stream)?;
            return self.execute(&node);
        }
        let Some(capture) = &mut self.context.stream(stream)?.capture else {
            return self.execute(&node);
        };
        if capture.invalid {
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        let new = handle();
        capture.last = Box::new([new]);
        let graph = capture.graph;
        let graph = self.context.graphs.get_mut(&graph).ok_or(Status::INVALID_HANDLE)?;
        graph.nodes.push((new, node));
        Ok(())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut Handle, flags: c_uint) -> Status {
    here(|here| {
        let new = handle();
        unsafe { put(stream, new) }?;
        here.context.streams.insert(new, Stream { non_blocking: flags & 1 != 0, capture: None });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut Handle,
    flags: c_uint,
    _priority: c_int,
) -> Status {
    unsafe { cuStreamCreate(stream, flags) }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: Handle) -> Status {
    here(|here| here.context.streams.remove(&stream).map(drop).ok_or(Status::INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: Handle) -> Status {
    here(|here| here.context.forbid_in_capture(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: Handle) -> Status {
    cuStreamSynchronize(stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: Handle, event: Handle, _flags: c_uint) -> Status {
    here(|here| {
        let recorded = here.context.events.get(&event).ok_or(Status::INVALID_HANDLE)?;
        let (recorded, event_capture) = (recorded.at.is_some(), recorded.capture);
        if is_default(stream) {
            return match event_capture {
                Some(_) => Err(Status::STREAM_CAPTURE_IMPLICIT),
                None => here.context.forbid_in_capture(stream),
            };
        }
        match (&mut here.context.stream(stream)?.capture, event_capture) {
            (None, None) => Ok(()),
            (Some(capture), of) if of == Some(capture.id) || !recorded => Ok(()),
            (Some(capture), None) => {
                capture.invalid = true;
                Err(Status::STREAM_CAPTURE_ISOLATION)
            }
            // A capture of several streams.
            _ => Err(Status::NOT_SUPPORTED),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) -> Status {
    here(|here| {
        if is_default(stream) {
            return Err(Status::STREAM_CAPTURE_UNSUPPORTED);
        }
        let thread = unsafe { libc::pthread_self() };
        let (graph, id) = (handle(), handle() as u64);
        let known = here.context.stream(stream)?;
        if known.capture.is_some() {
            return Err(Status::ILLEGAL_STATE);
        }
        known.capture = Some(Capture { graph, id, mode, thread, invalid: false, last: Box::new([]) });
        here.context.graphs.insert(graph, Graph::default());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) -> Status {
    here(|here| {
        unsafe { put(graph, 0) }?;
        let known = here.context.stream(stream)?;
        let capture = known.capture.take().ok_or(Status::ILLEGAL_STATE)?;
        let events = here.context.events.values_mut().filter(|event| event.capture == Some(capture.id));
        events.for_each(|event| (event.at, event.capture) = (None, None));
        if capture.invalid {
            here.context.graphs.remove(&capture.graph);
            return Err(Status::STREAM_CAPTURE_INVALIDATED);
        }
        unsafe { put(graph, capture.graph) }
    })
}

/// A stream's capture: its status, number, graph and last node.
unsafe fn capture_info(
    stream: Handle,
    status: *mut c_int,
    id: *mut u64,
    graph: *mut Handle,
    last: *mut *const Handle,
    count: *mut usize,
) -> Status {
    here(|here| {
        if is_default(stream) {
            return unsafe { put(status, NONE) };
        }
        let Some(capture) = &here.context.stream(stream)?.capture else {
            return unsafe { put(status, NONE) };
        };
        unsafe {
            put(status, if capture.invalid { INVALIDATED } else { ACTIVE })?;
            put_if(id, capture.id);
            put_if(graph, capture.graph);
            put_if(last, capture.last.as_ptr());
            put_if(count, capture.last.len());
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamIsCapturing(stream: Handle, status: *mut c_int) -> Status {
    let (id, graph, last, count) = (null_mut(), null_mut(), null_mut(), null_mut());
    unsafe { capture_info(stream, status, id, graph, last, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetCaptureInfo_v2(
    stream: Handle,
    status: *mut c_int,
    id: *mut u64,
    graph: *mut Handle,
    last: *mut *const Handle,
    count: *mut usize,
) -> Status {
    unsafe { capture_info(stream, status, id, graph, last, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetCaptureInfo_v3(
    stream: Handle,
    status: *mut c_int,
    id: *mut u64,
    graph: *mut Handle,
    last: *mut *const Handle,
    edges: *mut *const c_void,
    count: *mut usize,
) -> Status {
    unsafe { put_if(edges, std::ptr::null()) };
    unsafe { capture_info(stream, status, id, graph, last, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, flags: c_uint) -> Status {
    here(|here| {
        let new = handle();
        unsafe { put(event, new) }?;
        here.context.events.insert(new, Event { no_timing: flags & 2 != 0, ..Event::default() });
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: Handle) -> Status {
    here(|here| here.context.events.remove(&event).map(drop).ok_or(Status::INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Status {
    here(|here| {
        let capture = match is_default(stream) {
            true => {
                here.context.forbid_in_capture(stream)?;
                None
            }
            false => here.context.stream(stream)?.capture.as_ref().map(|capture| capture.id),
        };
        let event = here.context.events.get_mut(&event).ok_or(Status::INVALID_HANDLE)?;
        (event.at, event.capture) = (Some(Instant::now()), capture);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: Handle) -> Status {
    here(|here| match here.context.events.get(&event) {
        None => Err(Status::INVALID_HANDLE),
        Some(Event { capture: Some(_), .. }) => Err(Status::CAPTURED_EVENT),
        Some(_) => Ok(()),
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: Handle) -> Status {
    cuEventSynchronize(event)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle) -> Status {
    here(|here| {
        let at = |event: &Handle| match here.context.events.get(event) {
            Some(Event { at: Some(at), no_timing: false, capture: None }) => Ok(*at),
            _ => Err(Status::INVALID_HANDLE),
        };
        let (start, end) = (at(&start)?, at(&end)?);
        unsafe { put(milliseconds, end.saturating_duration_since(start).as_secs_f32() * 1e3) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: Handle, end: Handle) -> Status {
    unsafe { cuEventElapsedTime(milliseconds, start, end) }
}
