//! A `libcuda.so` that runs kernels on the processor, for tests. See `cudasim/README.md`.
//!
//! From the bottom up: `guard` is memory between guard pages; `fiber` is a stack on which threads
//! run; `block` runs the threads of a block, which wait for each other; `trap` catches what they do
//! wrong and `report` says it; `kernel` runs a grid. `state` is what the driver remembers, and the
//! other modules are CUDA's functions, each on its subject.

#![cfg(target_os = "linux")]
// CUDA's functions say what they want of their pointers; here they look for null and no more.
#![allow(clippy::missing_safety_doc)]

mod block;
mod context;
mod device;
mod error;
mod fiber;
mod function;
mod graph;
mod guard;
mod kernel;
mod launch;
mod memory;
mod module;
mod order;
mod report;
mod settings;
mod state;
mod stream;
mod threads;
mod trap;
