//! What `KERNEL_LOG` prints: 1 every launch with its parameters, 2 its time as well, 3 the text of
//! every kernel when it is first launched too. From 2 on each launch is waited for.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::{Grid, Kernel, lock};

/// The number in `KERNEL_LOG`; 0 without it.
pub(super) fn level() -> u32 {
    static LEVEL: OnceLock<u32> = OnceLock::new();
    let read = || std::env::var("KERNEL_LOG").ok()?.trim().parse().ok();
    *LEVEL.get_or_init(|| read().unwrap_or(0))
}

/// One launch.
pub(super) struct Launch<'a> {
    pub kernel: &'static Kernel,
    /// The ending of the kernel's file, and its text.
    pub file: (&'static str, &'static str),
    pub grid: Grid,
    pub params: &'a str,
    /// What tells a buffer apart from the others, and its elements.
    pub buffers: &'a [(u64, usize)],
    pub time: Option<Duration>,
}

impl Launch<'_> {
    /// Prints it in a line.
    pub fn print(&self) {
        static SHOWN: Mutex<Option<HashSet<(&str, &str)>>> = Mutex::new(None);
        let Launch { kernel, file: (ending, text), grid, params, buffers, time } = *self;
        let name = kernel.source.name;
        if level() >= 3 && lock(&SHOWN).get_or_insert_default().insert((name, ending)) {
            eprintln!("// {name}.{ending}\n{text}");
        }
        let sizes: Vec<usize> = buffers.iter().map(|(_, len)| *len).collect();
        let mut line = format!("{} {params} groups {} buffers {sizes:?}", kernel.entry, grid.groups);
        if let Some(time) = time {
            // A buffer may stand in for one that the kernel does not read: each counts once.
            let sizes: HashMap<u64, usize> = buffers.iter().copied().collect();
            let bytes: usize = sizes.values().map(|len| 4 * len).sum();
            let seconds = time.as_secs_f64();
            line += &format!(" {:.1} us, {:.2} GB/s", seconds * 1e6, bytes as f64 / seconds / 1e9);
            if grid.flops > 0 {
                line += &format!(", {:.2} GFLOP/s", grid.flops as f64 / seconds / 1e9);
            }
        }
        eprintln!("{line}");
    }
}
