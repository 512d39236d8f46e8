//! Launches: checked, given to the stream, and logged.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::time::Instant;

use cudarc::driver::sys::CUdeviceptr;

use super::driver::{Failure, call};
use super::function::Function;
use super::log::Timer;
use super::memory::CudaBuffer;
use super::mode::Changing;
use super::{CudaDevice, lock};
use crate::device::{Counters, Grid, Kernel, log};
use crate::{Error, Result, Storage};

/// Kernels that a message names.
const RECENT: usize = 8;

/// What was given to the device.
#[derive(Default)]
pub(super) struct Issued {
    pub counters: Counters,
    /// The last kernels since somebody last waited, and how many there were: an error that shows later
    /// is about one of them.
    recent: VecDeque<&'static str>,
    since: u64,
}

impl Issued {
    fn launched(&mut self, kernel: &'static str) {
        self.counters.launches += 1;
        self.since += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(kernel);
    }

    pub fn launched_graph(&mut self) {
        self.launched("a CUDA graph");
        self.counters.submissions += 1;
    }

    /// Everything has run.
    pub fn waited(&mut self) {
        self.recent.clear();
        self.since = 0;
    }

    /// What may be at fault, in words.
    pub fn suspects(&self) -> String {
        let names: Vec<&str> = self.recent.iter().copied().collect();
        match (self.since, names.len() as u64) {
            (0, _) => String::new(),
            (1, _) => format!("; launched was {}", names[0]),
            (since, shown) => format!(
                "; launched were {}{}. KERNEL_LOG=2 waits for each launch, and so shows which one it was",
                if since > shown { format!("{} kernels, the last of them ", since) } else { String::new() },
                names.join(", ")
            ),
        }
    }
}

impl Function {
    /// Calls `with` with pointers to all arguments: the parameter struct, then the buffers.
    pub fn with_arguments<T>(
        &self,
        params: &[u8],
        addresses: &[CUdeviceptr],
        with: impl FnOnce(&mut [*mut c_void]) -> T,
    ) -> T {
        // The driver reads a struct of 4-byte numbers there.
        let params: Vec<u32> = bytemuck::pod_collect_to_vec(params);
        let params = params.as_ptr().cast_mut().cast();
        let addresses = addresses.iter().map(|address| std::ptr::from_ref(address).cast_mut().cast());
        with(&mut std::iter::once(params).chain(addresses).collect::<Vec<_>>())
    }
}

impl CudaDevice {
    /// Launches a kernel, or does with it what the mode of the device asks for.
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
        self.ready()?;
        let function = self.function(kernel)?;
        let signature = &function.signature;
        let fits = signature.params.bytes() == params.len() && signature.slots.len() == buffers.len();
        assert!(
            fits,
            "{} takes parameters of {} bytes and {:?}; it got {} bytes and {buffers:?}",
            kernel.entry,
            signature.params.bytes(),
            signature.slots,
            params.len(),
        );
        if let Some((_, wrong)) = signature.slots.iter().zip(buffers).find(|(slot, b)| !slot.takes(b.dtype()))
        {
            return Err(Error::DType { op: kernel.entry, expected: "f32".into(), got: wrong.dtype() });
        }
        let gpu = buffers.iter().map(|buffer| buffer.gpu()?.cuda()).collect::<Result<Vec<&CudaBuffer>>>()?;

        let _turn = self.0.gate.turn();
        let mut mode = lock(&self.0.mode);
        if mode.collects(kernel, params)? {
            return Ok(());
        }
        let clock = mode.uses(&gpu.iter().map(|buffer| buffer.block()).collect::<Vec<_>>())?;
        let mut addresses: Vec<CUdeviceptr> = gpu.iter().map(|buffer| buffer.address()).collect();
        addresses.extend(signature.faults.then_some(self.0.faults));
        addresses.extend(signature.clock.then_some(clock.unwrap_or(self.0.clock)));

        let began = Instant::now();
        let timer = match log::timed() && clock.is_none() {
            true => Some(Timer::start(self).map_err(|failure| self.failed(|| kernel.entry.into(), failure))?),
            false => None,
        };
        let launched = self.issue(&function, grid.groups, params, &addresses).and_then(|()| {
            if kernel.changing && clock.is_some() {
                let (function, params) = (function.clone(), params.to_vec());
                mode.changing(
                    Changing { kernel, function, groups: grid.groups, params, addresses },
                    self.0.stream,
                )?;
            }
            Ok(())
        });
        drop(mode);
        let mut issued = lock(&self.0.issued);
        issued.launched(kernel.entry);
        issued.counters.launch_time += began.elapsed();
        drop(issued);
        let time = match launched.and_then(|()| timer.map(Timer::stop).transpose()) {
            Ok(time) => time,
            Err(failure) => {
                let sizes: Vec<usize> = buffers.iter().map(|buffer| buffer.len()).collect();
                let doing = || format!("{} {} with buffers of {sizes:?} elements", kernel.entry, describe());
                return Err(self.failed(doing, failure));
            }
        };
        if log::level() >= 1 || time.is_some() {
            let addresses = gpu.iter().map(|buffer| buffer.address());
            let buffers: Vec<_> = addresses.zip(buffers).map(|(a, buffer)| (a, buffer.len(), 4)).collect();
            let (file, text) = (format!("{}.cu", kernel.source.name), format!("\n{}", kernel.source.cuda));
            log::Launch {
                name: kernel.entry,
                text: (&file, &text),
                groups: Some(grid.groups),
                params: &describe(),
                buffers: &buffers,
                flops: grid.flops,
                began,
                time,
            }
            .tell();
        }
        Ok(())
    }

    /// Gives a launch to the stream.
    pub(super) fn issue(
        &self,
        function: &Function,
        groups: u32,
        params: &[u8],
        addresses: &[CUdeviceptr],
    ) -> std::result::Result<(), Failure> {
        let (block, stream, extra) = (function.signature.block, self.0.stream, std::ptr::null_mut());
        function.with_arguments(params, addresses, |arguments| {
            let arguments = arguments.as_mut_ptr();
            call!(cuLaunchKernel(function.handle, groups, 1, 1, block, 1, 1, 0, stream, arguments, extra))
        })
    }

    /// Notes that the last launch was not part of the work.
    pub(crate) fn count_poisoning(&self) {
        lock(&self.0.issued).counters.poisonings += 1;
    }
}
