//! How a compiled module and the driver talk: the same structs as in `nvrtc/include/seam.h`.

use std::ffi::{c_char, c_int, c_void};

/// Three numbers: an index, or the size of a grid or a block.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Index {
    /// Fastest.
    pub x: u32,
    /// Middle.
    pub y: u32,
    /// Slowest.
    pub z: u32,
}

/// A thread's place in its block.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// `threadIdx`.
    pub index: Index,
    /// The same counted through: `x + y * blockDim.x + z * blockDim.x * blockDim.y`.
    pub number: u32,
}

/// What the running thread sees of the launch. It belongs to the module; the driver writes it.
#[repr(C)]
#[derive(Debug)]
pub struct State {
    /// The running thread.
    pub thread: Place,
    /// The running block.
    pub block: Index,
    /// Threads of a block.
    pub block_size: Index,
    /// Blocks of the grid.
    pub grid_size: Index,
    /// Threads to start next: `places[next..end]`.
    pub next: u32,
    /// Where they end.
    pub end: u32,
    /// The threads of a block, in the order in which they run.
    pub places: *const Place,
    /// A number no other block of the process has had: shared memory is as good as new in each.
    pub serial: u64,
    /// The arguments, each at its [`Parameter::offset`].
    pub arguments: *const u8,
    /// Dynamic shared memory.
    pub dynamic: *mut u8,
    /// What the module may call.
    pub host: *const Host,
}

/// What a running thread may ask of the driver.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// Waits for other threads: see [`WaitKind`]. `value` is what this thread brings along, the result
    /// is what it gets back.
    pub wait: unsafe extern "C" fn(WaitKind, u32, u64, u32, *const c_char, c_int) -> u64,
    /// Ends the launch: a [`Stop`], what belongs to it, a file and line.
    pub stop: unsafe extern "C" fn(Stop, *const c_void, *const c_char, c_int),
    /// Memory for a `__shared__` variable of so many bytes, for as long as the module is loaded.
    pub shared: unsafe extern "C" fn(usize) -> *mut u8,
}

/// Whom a thread waits for, and what they exchange.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// All threads of the block; each gets the number of threads whose value isn't 0.
    Block = 0,
    /// The lanes of the warp that the mask names.
    Warp = 1,
    /// The same; each gets a bit for every lane whose value isn't 0.
    Vote = 2,
    /// The same; each gets the value of the lane that it names as its source.
    Shuffle = 3,
}

/// Why a kernel ends itself.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// `__trap()`.
    Trap = 0,
    /// `assert(...)`, and its text.
    Assert = 1,
    /// A vector at an address that isn't a multiple of its alignment, which stands for the line.
    Misaligned = 2,
}

/// One parameter of a kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Where it lies among the arguments.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
    /// 1 if it is a pointer.
    pub pointer: u32,
}

/// One kernel of a module.
#[repr(C)]
#[derive(Debug)]
pub struct Kernel {
    /// Its name in the source.
    pub name: *const c_char,
    /// The function itself, by whose symbol it is looked up.
    pub function: *const c_void,
    /// Runs the threads `next..end` of the module's [`State`].
    pub run: unsafe extern "C" fn(),
    /// `__launch_bounds__`, or what any block may have.
    pub most_threads: u32,
    /// How many parameters.
    pub parameter_count: u32,
    /// Their places.
    pub parameters: *const Parameter,
    /// Their declarations, as they stand in the source.
    pub declarations: *const c_char,
}

/// What a module's one exported function, `cudasim_module`, returns.
#[repr(C)]
#[derive(Debug)]
pub struct Module {
    /// [`crate::SEAM_VERSION`].
    pub version: u32,
    /// What it was compiled for: `sm_90` is 90.
    pub architecture: u32,
    /// How many kernels.
    pub kernel_count: u32,
    /// The kernels.
    pub kernels: *const Kernel,
    /// What their threads see.
    pub state: *mut State,
    /// Where the module begins in memory, with all its variables,
    pub begin: *const u8,
    /// and where it ends.
    pub end: *const u8,
}
