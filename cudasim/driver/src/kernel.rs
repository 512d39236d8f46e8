//! Runs a kernel over a grid, and looks afterwards whether it kept to its memory.

use std::sync::atomic::{AtomicU64, Ordering};

use cudasim::seam::Index;

use crate::block::HOST;
use crate::error::{Result, Status};
use crate::graph::Call;
use crate::guard::Region;
use crate::order;
use crate::report::Report;
use crate::settings::Failure;
use crate::state::Here;
use crate::threads::Threads;

/// Counts the blocks of this process.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// Writes what kernels have printed.
fn flush() {
    unsafe extern "C" {
        static mut stdout: *mut libc::FILE;
    }
    unsafe { libc::fflush(stdout) };
}

impl Here<'_> {
    /// Runs a call of a kernel. What goes wrong in it is told to whoever comes next.
    pub fn run(&mut self, call: &Call) -> Result {
        let function = self.context.functions.get(&call.function).ok_or(Status::INVALID_HANDLE)?;
        let module = self.context.modules.get(&function.module).ok_or(Status::INVALID_HANDLE)?;
        let kernel = module.kernel(function.kernel);
        let mut report = Report {
            kernel: function.name.clone(),
            call,
            declarations: module.declarations(function.kernel),
            parameters: module.parameters(function.kernel),
            regions: &self.context.regions,
            host: self.host,
            shared: &module.shared,
            dynamic: None,
            block: Index::default(),
            thread: Index::default(),
        };
        let mut taken = Vec::new();
        let failed = if self.settings.fails(Failure::Kernel) {
            Some((Status::LAUNCH_FAILED, format!("{}: fails because it was told to", report.kernel)))
        } else if let Some(parameter) = report.stray_pointer(&module.globals()) {
            Some((
                Status::ILLEGAL_ADDRESS,
                format!("{}: {parameter} is no address of this device", report.kernel),
            ))
        } else {
            report.dynamic = Some(Region::map(call.dynamic as usize).ok_or(Status::OUT_OF_MEMORY)?);
            let state = module.state();
            unsafe {
                (*state).block_size = call.block;
                (*state).grid_size = call.grid;
                (*state).arguments = call.arguments.address();
                (*state).dynamic = report.dynamic.map_or(0, |region| region.start) as *mut u8;
                (*state).host = &raw const HOST;
            }
            let mut threads = Threads::new(state, kernel.run, self.settings.order);
            unsafe { (*state).places = threads.places() };
            let watch = self.runner.begin(&threads);
            let Index { x, y, z } = call.grid;
            let blocks = u64::from(x) * u64::from(y) * u64::from(z);
            let mut failure = None;
            for block in order::blocks(self.settings.order, blocks) {
                let (x, y) = (u64::from(x), u64::from(y));
                let index =
                    Index { x: (block % x) as u32, y: (block / x % y) as u32, z: (block / x / y) as u32 };
                unsafe {
                    (*state).block = index;
                    (*state).serial = SERIAL.fetch_add(1, Ordering::Relaxed);
                }
                if call.dynamic > 0 {
                    report.dynamic.iter().for_each(Region::refresh);
                }
                if let Err(why) = self.runner.block(&mut threads, &watch) {
                    (report.block, report.thread) = (index, unsafe { (*state).thread.index });
                    failure = Some(why);
                    break;
                }
            }
            drop(watch);
            taken = self.runner.take_shared();
            flush();
            let shared: Vec<Region> = module.shared.iter().chain(&taken).copied().collect();
            report.shared = &shared;
            let failed = failure.map(|why| report.failure(&why)).or_else(|| report.overwritten());
            report.dynamic.iter().for_each(Region::unmap);
            failed
        };
        let module = function.module;
        if let Some((status, message)) = failed {
            self.settings.tell(message);
            self.context.broken = Some(status);
        }
        if let Some(module) = self.context.modules.get_mut(&module) {
            module.shared.extend(taken);
        }
        Ok(())
    }
}
