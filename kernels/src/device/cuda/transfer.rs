//! Data to the card and back, and waiting for it.
//!
//! The card copies by itself only from memory that stays in its place, so an upload is first copied to
//! such (pinned) memory: then the caller may use his own again at once, and the launches go on meanwhile.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ops::Range;

use super::driver::{Failure, call};
use super::log::Event;
use super::memory::CudaBuffer;
use super::{CudaDevice, lock};
use crate::Result;
use crate::device::fault;

/// Bytes that are copied at a time; a larger upload is cut into pieces of this size.
const CHUNK: usize = 4 << 20;
/// Bytes of the ring that uploads go through.
const RING: usize = 4 * CHUNK;
/// Uploads that may be on their way: a host that is faster than its device waits for the oldest.
const IN_FLIGHT: usize = 64;
const FAULTS: usize = fault::BYTES as usize;

/// Pinned memory of the host.
struct Pinned(*mut c_void);

// SAFETY: the memory belongs to whoever holds this.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(bytes: usize) -> std::result::Result<Pinned, Failure> {
        let mut memory = std::ptr::null_mut();
        call!(cuMemHostAlloc(&mut memory, bytes, 0)).map(|()| Pinned(memory))
    }

    /// The bytes in `range`, which must lie inside of what was allocated and not be in use by the card.
    fn bytes(&mut self, range: Range<usize>) -> &mut [u8] {
        // SAFETY: see above; the borrow of `self` keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.0.cast::<u8>().add(range.start), range.len()) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = call!(cuMemFreeHost(self.0)); // nobody is left to be told
    }
}

/// The memory that transfers go through, made when it is first needed.
#[derive(Default)]
pub(super) struct Staging {
    up: Option<Pinned>,
    ring: Ring<Event>,
    down: Option<Pinned>,
}

/// Which parts of a ring are in use, oldest first, each until its `T` has come.
struct Ring<T> {
    size: usize,
    end: usize,
    in_use: VecDeque<(Range<usize>, T)>,
}

impl<T> Default for Ring<T> {
    fn default() -> Ring<T> {
        Ring { size: RING, end: 0, in_use: VecDeque::new() }
    }
}

impl<T> Ring<T> {
    /// A place for `bytes`, no more than the whole, once `wait` has waited for all that was there.
    fn place<E>(
        &mut self,
        bytes: usize,
        wait: impl Fn(&T) -> std::result::Result<(), E>,
    ) -> std::result::Result<Range<usize>, E> {
        let start = if self.end + bytes > self.size { 0 } else { self.end };
        let place = start..start + bytes;
        let overlaps = |used: &Range<usize>| used.start < place.end && place.start < used.end;
        while self.in_use.len() >= IN_FLIGHT || self.in_use.iter().any(|(used, _)| overlaps(used)) {
            if let Some((_, oldest)) = self.in_use.front() {
                wait(oldest)?;
            }
            self.in_use.pop_front();
        }
        self.end = place.end.next_multiple_of(256);
        Ok(place)
    }
}

impl CudaDevice {
    /// Copies `data` to the beginning of a buffer.
    pub(crate) fn upload(&self, to: &CudaBuffer, data: &[u8]) -> Result<()> {
        let doing = || format!("an upload of {} bytes", data.len());
        self.ready()?;
        let _turn = self.0.gate.turn();
        self.refuse_in_capture(doing)?;
        let mut staging = lock(&self.0.staging);
        let mut copied = Ok(());
        for (i, piece) in data.chunks(CHUNK).enumerate() {
            copied = copied.and_then(|()| staging.upload(self, to.address() + (i * CHUNK) as u64, piece));
        }
        drop(staging);
        copied.map_err(|failure| self.failed(doing, failure))?;
        lock(&self.0.issued).counters.bytes_up += data.len() as u64;
        Ok(())
    }

    /// Copies a buffer to another one of the same size.
    pub(crate) fn copy(&self, from: &CudaBuffer, to: &CudaBuffer, bytes: usize) -> Result<()> {
        self.ready()?;
        if bytes == 0 {
            return Ok(());
        }
        let _turn = self.0.gate.turn();
        let mut mode = lock(&self.0.mode);
        mode.uses(&[from.block(), to.block()])?;
        call!(cuMemcpyDtoDAsync_v2(to.address(), from.address(), bytes, self.0.stream))
            .map_err(|failure| self.failed(|| format!("a copy of {bytes} bytes"), failure))
    }

    /// The first bytes of some buffers, one after the other, after everything launched so far has run.
    ///
    /// # Errors
    /// Whatever went wrong on the device until now, the faults that kernels noted included.
    pub(crate) fn read(&self, from: &[(&CudaBuffer, usize)]) -> Result<Vec<u8>> {
        let bytes: usize = from.iter().map(|(_, bytes)| bytes).sum();
        let doing = || format!("a read of {bytes} bytes");
        self.ready()?;
        let _turn = self.0.gate.turn();
        self.refuse_in_capture(doing)?;
        let mut data = vec![0; bytes];
        let read = lock(&self.0.staging).read(self, from, &mut data);
        let table = read.map_err(|failure| self.failed(doing, failure))?;
        let mut issued = lock(&self.0.issued);
        issued.waited();
        issued.counters.bytes_down += (bytes + FAULTS) as u64;
        drop(issued);
        match fault::first(&table) {
            None => Ok(data),
            Some((slot, error)) => {
                // Only this one: the others are for the reads to come.
                let place = self.0.faults + 4 * slot as u64;
                call!(cuMemsetD32Async(place, fault::NONE, 1, self.0.stream))
                    .map_err(|failure| self.failed(doing, failure))?;
                Err(error)
            }
        }
    }

    /// Nobody may wait for a stream while it is captured, and an upload would be captured as well.
    pub(super) fn refuse_in_capture(&self, doing: impl FnOnce() -> String) -> Result<()> {
        let (refused, recording) = lock(&self.0.mode).refuse(doing, self.0.stream);
        drop(recording); // now that the mode is unlocked
        refused
    }
}

impl Staging {
    /// One piece of an upload.
    fn upload(&mut self, device: &CudaDevice, to: u64, piece: &[u8]) -> std::result::Result<(), Failure> {
        let stream = device.0.stream;
        let up = match &mut self.up {
            Some(up) => up,
            up => up.insert(Pinned::new(RING)?),
        };
        let place = self.ring.place(piece.len(), Event::wait)?;
        let bytes = up.bytes(place.clone());
        bytes.copy_from_slice(piece);
        call!(cuMemcpyHtoDAsync_v2(to, bytes.as_ptr().cast(), bytes.len(), stream))?;
        let copied = Event::new()?;
        copied.record(stream)?;
        self.ring.in_use.push_back((place, copied));
        Ok(())
    }

    /// Fills `data` and gives the table of faults back, with one wait.
    fn read(
        &mut self,
        device: &CudaDevice,
        from: &[(&CudaBuffer, usize)],
        data: &mut [u8],
    ) -> std::result::Result<Vec<u32>, Failure> {
        let stream = device.0.stream;
        let down = match &mut self.down {
            Some(down) => down,
            down => down.insert(Pinned::new(CHUNK + FAULTS)?),
        };
        // A large tensor, which is hardly ever read, goes to its place directly.
        let small = data.len() <= CHUNK;
        let staged = down.bytes(0..CHUNK + FAULTS);
        let (table, staged) = staged.split_at_mut(FAULTS);
        let mut target = if small { staged.as_mut_ptr() } else { data.as_mut_ptr() };
        for (from, bytes) in from.iter().filter(|(_, bytes)| *bytes > 0) {
            call!(cuMemcpyDtoHAsync_v2(target.cast(), from.address(), *bytes, stream))?;
            target = target.wrapping_add(*bytes);
        }
        call!(cuMemcpyDtoHAsync_v2(table.as_mut_ptr().cast(), device.0.faults, FAULTS, stream))?;
        call!(cuStreamSynchronize(stream))?;
        if small {
            data.copy_from_slice(&staged[..data.len()]);
        }
        Ok(bytemuck::pod_collect_to_vec(table))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_place_is_free_before_it_is_used_again() {
        let waited = RefCell::new(Vec::new());
        let mut ring = Ring { size: 1024, end: 0, in_use: VecDeque::new() };
        let mut place = |name: u32, bytes| {
            let wait = |oldest: &u32| {
                waited.borrow_mut().push(*oldest);
                Ok::<_, ()>(())
            };
            let place = ring.place(bytes, wait).unwrap();
            ring.in_use.push_back((place.clone(), name));
            (place, waited.take())
        };
        assert_eq!(place(1, 500), (0..500, vec![]));
        assert_eq!(place(2, 100), (512..612, vec![]));
        assert_eq!(place(3, 256), (768..1024, vec![]));
        // Around: the first one is waited for, and no more than needed.
        assert_eq!(place(4, 10), (0..10, vec![1]));
        assert_eq!(place(5, 400), (256..656, vec![2]));
        assert_eq!(place(6, 1024), (0..1024, vec![3, 4, 5]));
        assert_eq!(place(7, 0), (1024..1024, vec![]));
    }

    #[test]
    fn a_host_that_is_too_fast_waits() {
        let mut ring = Ring { size: RING, end: 0, in_use: VecDeque::new() };
        for i in 0..1000 {
            let place = ring.place(4, |_| Ok::<_, ()>(())).unwrap();
            ring.in_use.push_back((place, i));
            assert!(ring.in_use.len() <= IN_FLIGHT);
        }
    }
}
