//! A `libnvrtc.so` that compiles CUDA C++ with the C++ compiler of this machine, for tests: what comes
//! out runs on `cudasim-driver`'s `libcuda.so` and nowhere else. See `cudasim/README.md`.
//!
//! `source` rewrites the few places where CUDA is not C++, `compile` calls the compiler, and
//! `program` is NVRTC's interface over both. The headers in `include/` make the rest.

#![cfg(target_os = "linux")]

mod compile;
mod options;
mod program;
mod source;
