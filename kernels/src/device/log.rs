//! What `KERNEL_LOG` prints: 1 every launch with its parameters, 2 its time as well, 3 where every kernel's text
//! lies too, and on a GPU the text itself, when it is first launched. From 2 on each launch is waited for.
//!
//! On the CPU a launch is what one function of `ops/` computes: `for_float!` begins it, and the buffers are those
//! that it opens meanwhile.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::launches::{self, Launched};
use crate::DType;

/// The number in `KERNEL_LOG`; 0 without it.
pub(super) fn level() -> u32 {
    static LEVEL: OnceLock<u32> = OnceLock::new();
    let read = || std::env::var("KERNEL_LOG").ok()?.trim().parse().ok();
    *LEVEL.get_or_init(|| read().unwrap_or(0))
}

/// Whether the time of every launch on a GPU is wanted.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) fn timed() -> bool {
    level() >= 2 || launches::wanted()
}

/// One launch.
pub(super) struct Launch<'a> {
    pub name: &'static str,
    /// What tells its text apart from others, and the text, or where it lies.
    pub text: (&'a str, &'a str),
    /// Workgroups of a GPU.
    pub groups: Option<u32>,
    pub params: &'a str,
    /// What tells a buffer apart from the others, its elements, and the bytes of one.
    pub buffers: &'a [(u64, usize, usize)],
    /// Floating-point operations; 0 where nobody counted.
    pub flops: u64,
    /// When the host began it.
    pub began: Instant,
    pub time: Option<Duration>,
}

impl Launch<'_> {
    /// Prints it in a line, if `KERNEL_LOG` asks for that, and keeps it for whoever records launches.
    pub fn tell(&self) {
        let Launch { name, text: (file, text), groups, params, buffers, flops, began, time } = *self;
        // A buffer may stand in for one that the kernel does not read: each counts once.
        let sizes: HashMap<u64, usize> =
            buffers.iter().map(|&(number, len, width)| (number, len * width)).collect();
        let bytes: usize = sizes.values().sum();
        let lens: Vec<usize> = buffers.iter().map(|&(_, len, _)| len).collect();
        if level() >= 1 {
            static SHOWN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
            let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
            if level() >= 3 && shown.get_or_insert_default().insert(file.to_string()) {
                eprintln!("// {file}{text}");
            }
            let mut line = [name, params].join(" ").trim_end().to_string();
            line += &groups.map(|groups| format!(" groups {groups}")).unwrap_or_default();
            line += &format!(" buffers {lens:?}");
            if let Some(seconds) = time.filter(|_| level() >= 2).map(|time| time.as_secs_f64()) {
                line += &format!(" {:.1} us, {:.2} GB/s", seconds * 1e6, bytes as f64 / seconds / 1e9);
                if flops > 0 {
                    line += &format!(", {:.2} GFLOP/s", flops as f64 / seconds / 1e9);
                }
            }
            eprintln!("{line}");
        }
        if let Some(time) = time {
            let (host, bytes) = (began.elapsed(), bytes as u64);
            let (params, file) = (params.to_string(), file.to_string());
            launches::keep(|| Launched {
                name,
                params,
                file,
                buffers: lens,
                bytes,
                flops,
                began,
                host,
                time,
            });
        }
    }
}

/// A launch on the CPU, from its beginning until it is dropped.
pub(crate) struct OnCpu {
    name: &'static str,
    at: &'static Location<'static>,
    began: Instant,
}

/// What the launch at hand has said of itself.
#[derive(Default)]
struct Said {
    params: String,
    flops: u64,
    buffers: Vec<(u64, usize, usize)>,
}

thread_local! {
    static AT_HAND: RefCell<Option<Said>> = const { RefCell::new(None) };
}

/// Begins a launch on the CPU. Where nobody looks at launches, and inside of another, it is none.
#[track_caller]
pub(crate) fn begin(name: &'static str) -> Option<OnCpu> {
    if level() == 0 && !launches::wanted() {
        return None;
    }
    let at = Location::caller();
    AT_HAND.with_borrow_mut(|at_hand| {
        at_hand.is_none().then(|| {
            *at_hand = Some(Said::default());
            OnCpu { name, at, began: Instant::now() }
        })
    })
}

/// Says what the launch at hand was told, and how many floating-point operations it takes (0: nobody counted).
pub(crate) fn describe(params: &dyn std::fmt::Debug, flops: u64) {
    if level() > 0 || launches::wanted() {
        AT_HAND.with_borrow_mut(|at_hand| {
            if let Some(said) = at_hand {
                (said.params, said.flops) = (format!("{params:?}"), flops);
            }
        });
    }
}

/// Notes that a buffer of the processor's memory was opened.
pub(crate) fn opened(address: *const u8, len: usize, dtype: DType) {
    if level() > 0 || launches::wanted() {
        AT_HAND.with_borrow_mut(|at_hand| {
            if let Some(said) = at_hand {
                said.buffers.push((address as u64, len, dtype.size()));
            }
        });
    }
}

impl Drop for OnCpu {
    fn drop(&mut self) {
        let time = Some(self.began.elapsed());
        let Some(Said { params, flops, buffers }) = AT_HAND.take() else { return };
        let file = format!("{}:{}", self.at.file(), self.at.line());
        let (name, text, began) = (self.name, (&*file, ""), self.began);
        let (params, buffers) = (&*params, &*buffers);
        Launch { name, text, groups: None, params, buffers, flops, began, time }.tell();
    }
}
