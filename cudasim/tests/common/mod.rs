//! The simulator, loaded as a program would load CUDA: through cudarc.

#![allow(dead_code, reason = "every test uses some of it")]

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr as _, DriverError, LaunchConfig,
    sys,
};
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// The library of one of the two packages, which cargo puts beside the test.
pub fn library(package: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let path = test.with_file_name(format!("lib{package}.so"));
    assert!(path.exists(), "{} was not built", path.display());
    path
}

/// Loads both libraries. They bear the names that cudarc looks for, so that it finds them loaded.
fn load() {
    static LOADED: LazyLock<[Library; 2]> = LazyLock::new(|| {
        let open = |path: &Path| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
        ["cudasim_driver", "cudasim_nvrtc"].map(|package| open(&library(package)).expect("it loads"))
    });
    LazyLock::force(&LOADED);
}

/// The simulated device, for one test at a time: orders and failures are set for the whole process.
pub struct Simulator {
    pub context: Arc<CudaContext>,
    pub stream: Arc<CudaStream>,
    _only: MutexGuard<'static, ()>,
}

/// A function that only the simulator has.
pub fn function<F: Copy>(name: &str) -> F {
    unsafe { *sys::culib().get::<F>(name.as_bytes()).expect("the simulator has it") }
}

/// A fresh device.
pub fn simulator() -> Simulator {
    static ONLY: Mutex<()> = Mutex::new(());
    let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    load();
    function::<extern "C" fn(c_int)>("cudasim_set_quiet")(1);
    let context = CudaContext::new(0).expect("a device");
    let stream = context.new_stream().expect("a stream");
    // Events between streams are not what these tests are about.
    unsafe { context.disable_event_tracking() };
    let simulator = Simulator { context, stream, _only: only };
    simulator.order("forward");
    simulator.memory(4 << 30);
    simulator
}

impl Simulator {
    /// The order in which threads run.
    pub fn order(&self, order: &str) {
        let order = CString::new(order).expect("no zero in it");
        assert_eq!(function::<extern "C" fn(*const c_char) -> c_int>("cudasim_set_order")(order.as_ptr()), 0);
    }

    /// Lets the n-th call of a kind fail.
    pub fn fail_next(&self, kind: &str, n: u64) {
        let kind = CString::new(kind).expect("no zero in it");
        assert_eq!(
            function::<extern "C" fn(*const c_char, u64) -> c_int>("cudasim_fail_next")(kind.as_ptr(), n),
            0
        );
    }

    /// How much memory the device has.
    pub fn memory(&self, bytes: usize) {
        function::<extern "C" fn(usize)>("cudasim_set_memory")(bytes);
    }

    /// What the last kernel that failed did wrong.
    pub fn message(&self) -> String {
        let mut text = vec![0; 1000];
        let message: extern "C" fn(*mut u8, usize) -> usize = function("cudasim_message");
        let length = message(text.as_mut_ptr(), text.len());
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// A module from its source.
    pub fn module(&self, source: &str) -> Arc<CudaModule> {
        self.context.load_module(compile(source)).expect("it loads")
    }

    /// A kernel from its source.
    pub fn kernel(&self, source: &str, name: &str) -> CudaFunction {
        self.module(source).load_function(name).expect("it is there")
    }

    /// Where a buffer lies.
    pub fn address<T>(&self, buffer: &CudaSlice<T>) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    /// Waits, and says how it went.
    pub fn wait(&self) -> Result<(), sys::CUresult> {
        self.stream.synchronize().map_err(|DriverError(error)| error)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // What a test broke is gone with the context that it broke.
        let _ = unsafe { sys::cuDevicePrimaryCtxReset_v2(0) };
    }
}

/// Compiles a source that is right.
pub fn compile(source: &str) -> Ptx {
    try_compile(source, CompileOptions::default()).unwrap_or_else(|log| panic!("{log}"))
}

/// Compiles a source, or gives the compiler's log.
pub fn try_compile(source: &str, options: CompileOptions) -> Result<Ptx, String> {
    let named = CompileOptions { name: Some("test.cu".into()), arch: Some("sm_90"), ..options };
    compile_ptx_with_opts(source, named).map_err(|error| match error {
        CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
        other => panic!("{other:?}"),
    })
}

/// How a call went.
pub fn status<T>(result: Result<T, DriverError>) -> sys::CUresult {
    result.err().map_or(sys::CUresult::CUDA_SUCCESS, |error| error.0)
}

/// Every order in which threads can run.
pub const ORDERS: [&str; 4] = ["forward", "backward", "shuffled", "shuffled:1"];

/// Blocks in a row, of threads in a row.
pub fn row(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}
