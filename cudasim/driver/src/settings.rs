//! What the environment and a running test can set. `CUDASIM_` names are read when the driver is first
//! used; the functions here change the same things later.

use std::env;
use std::ffi::{CStr, c_char, c_int};

use crate::order::Order;
use crate::state::simulator;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `cuMemAlloc` and its like: out of memory.
    Alloc,
    /// `cuLaunchKernel` itself: launch failed, and the context is lost.
    Launch,
    /// A kernel, after it was launched: whoever comes next is told, and the context is lost.
    Kernel,
    /// A copy or a fill: launch failed, and the context is lost.
    Copy,
    /// `cuModuleLoadData`: out of memory.
    Module,
    /// `cuGraphInstantiate`: out of memory.
    Graph,
}

/// All settings.
#[derive(Debug)]
pub struct Settings {
    /// `CUDASIM_ORDER=forward|backward|shuffled[:seed]`: the order of threads and blocks.
    pub order: Order,
    /// `CUDASIM_MEMORY=bytes`: how much memory each device has.
    pub memory: usize,
    /// `CUDASIM_DEVICES=n`.
    pub devices: c_int,
    /// `CUDASIM_ARCH=90`: the compute capability.
    pub architecture: u32,
    /// `CUDASIM_DRIVER_VERSION=12000`.
    pub driver_version: c_int,
    /// `CUDASIM_QUIET=1`: what a kernel did wrong isn't written to the standard error.
    pub quiet: bool,
    /// `CUDASIM_FAIL=alloc:3,graph:1+`: how many calls until one fails, and whether all after it fail too.
    failures: [(u64, bool); 6],
    /// What the last kernel did wrong.
    pub message: String,
}

impl Settings {
    /// What the environment says.
    pub fn from_environment() -> Settings {
        fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
            let Ok(text) = env::var(name) else { return otherwise };
            text.parse().unwrap_or_else(|_| {
                eprintln!("cudasim: {name}={text} is not a number");
                otherwise
            })
        }
        let mut settings = Settings {
            order: Order::Forward,
            memory: number("CUDASIM_MEMORY", 4 << 30),
            devices: number("CUDASIM_DEVICES", 1),
            architecture: number("CUDASIM_ARCH", 90),
            driver_version: number("CUDASIM_DRIVER_VERSION", 13000),
            quiet: number("CUDASIM_QUIET", 0) != 0,
            failures: [(0, false); 6],
            message: String::new(),
        };
        if let Ok(order) = env::var("CUDASIM_ORDER") {
            match order.parse() {
                Ok(order) => settings.order = order,
                Err(()) => {
                    eprintln!("cudasim: CUDASIM_ORDER={order} is none of forward, backward, shuffled[:seed]")
                }
            }
        }
        for part in env::var("CUDASIM_FAIL").iter().flat_map(|text| text.split(',')) {
            let set = part.split_once(':').and_then(|(kind, n)| {
                let (n, all) = n.strip_suffix('+').map_or((n, false), |n| (n, true));
                settings.fail_next(kind, n.parse().ok()?, all)
            });
            if set.is_none() {
                eprintln!(
                    "cudasim: CUDASIM_FAIL={part} is none of alloc:N, launch:N, kernel:N, copy:N, module:N, graph:N, \
                     or one of them with a + behind"
                );
            }
        }
        settings
    }

    /// The `n`-th call from now fails, and those after it if `all` says so; 0 is never.
    fn fail_next(&mut self, kind: &str, n: u64, all: bool) -> Option<()> {
        let kind = match kind {
            "alloc" => Failure::Alloc,
            "launch" => Failure::Launch,
            "kernel" => Failure::Kernel,
            "copy" => Failure::Copy,
            "module" => Failure::Module,
            "graph" => Failure::Graph,
            _ => return None,
        };
        self.failures[kind as usize] = (n, all);
        Some(())
    }

    /// Whether the call that is being made is the one that fails.
    pub fn fails(&mut self, kind: Failure) -> bool {
        let (left, all) = &mut self.failures[kind as usize];
        let fails = *left == 1;
        if !(fails && *all) {
            *left = left.saturating_sub(1);
        }
        fails
    }

    /// Says what a kernel did wrong, and keeps it for [`cudasim_message`].
    pub fn tell(&mut self, message: String) {
        if !self.quiet {
            eprintln!("cudasim: {message}");
        }
        self.message = message;
    }
}

fn text<'a>(text: *const c_char) -> &'a str {
    if text.is_null() { "" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("") }
}

/// Sets the order in which threads and blocks run, as `CUDASIM_ORDER` does. 0 if there is such an order.
#[unsafe(no_mangle)]
extern "C" fn cudasim_set_order(order: *const c_char) -> c_int {
    match text(order).parse() {
        Ok(order) => simulator().settings.order = order,
        Err(()) => return 1,
    }
    0
}

/// Lets the `n`-th call of a kind fail, as `CUDASIM_FAIL` does; 0 is never. 0 if there is such a kind.
#[unsafe(no_mangle)]
extern "C" fn cudasim_fail_next(kind: *const c_char, n: u64) -> c_int {
    c_int::from(simulator().settings.fail_next(text(kind), n, false).is_none())
}

/// Sets how many bytes each device has, as `CUDASIM_MEMORY` does.
#[unsafe(no_mangle)]
extern "C" fn cudasim_set_memory(bytes: usize) {
    simulator().settings.memory = bytes;
}

/// Whether messages stay unwritten, as `CUDASIM_QUIET` says.
#[unsafe(no_mangle)]
extern "C" fn cudasim_set_quiet(quiet: c_int) {
    simulator().settings.quiet = quiet != 0;
}

/// Copies what the last kernel that failed did wrong to `to`, cut at `size` bytes, with a 0 at its end.
/// Returns its whole length.
#[unsafe(no_mangle)]
extern "C" fn cudasim_message(to: *mut c_char, size: usize) -> usize {
    let simulator = simulator();
    let message = simulator.settings.message.as_bytes();
    if !to.is_null() && size > 0 {
        let length = message.len().min(size - 1);
        unsafe {
            to.cast::<u8>().copy_from_nonoverlapping(message.as_ptr(), length);
            to.add(length).write(0);
        }
    }
    message.len()
}
