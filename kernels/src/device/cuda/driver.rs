//! The CUDA driver: whether it is there, and its calls with their failures as values.

use std::ffi::CStr;
use std::fmt;

use cudarc::driver::sys::{self, CUresult};

/// A call of the driver that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    /// The call.
    pub call: &'static str,
    /// What it said.
    pub code: CUresult,
}

/// Calls a function of the driver: `call!(cuMemFree_v2(address))?`.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the handles and addresses that this module passes are those of its own, living
        // objects, and the pointers are to variables of the caller.
        $crate::device::cuda::driver::Failure::check(stringify!($name), unsafe {
            ::cudarc::driver::sys::$name($($argument),*)
        })
    };
}
pub(super) use call;

/// All functions that are called. Every driver since CUDA 12.0 has them; a test compares the list with
/// the calls.
pub(super) const CALLS: &[&str] = &[
    "cuCtxSetCurrent",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxReset_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphExecKernelNodeSetParams_v2",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAlloc_v2",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD32Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamGetCaptureInfo_v2",
    "cuStreamSynchronize",
];

/// Whether the driver's library has a function. cudarc panics when it calls one that is missing.
fn has(name: &str) -> bool {
    // SAFETY: the function is looked for and not called.
    unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() }
}

/// The driver's version, such as 12040; or in words what is missing of it.
pub(super) fn version() -> Result<i32, String> {
    let mut version = 0;
    if !has("cuDriverGetVersion") || !has("cuGetErrorName") || !has("cuGetErrorString") {
        return Err("the library that was found as libcuda is no CUDA driver".into());
    }
    call!(cuDriverGetVersion(&mut version)).map_err(|failure| failure.to_string())?;
    if version < 12000 {
        return Err(format!(
            "the NVIDIA driver is too old: it knows CUDA {}, and 12.0 is needed; install a newer one (525 or later)",
            spoken(version)
        ));
    }
    match CALLS.iter().find(|name| !has(name)) {
        Some(name) => Err(format!("the NVIDIA driver (CUDA {}) has no {name}", spoken(version))),
        None => Ok(version),
    }
}

/// 12040 as "12.4".
pub(super) fn spoken(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

impl Failure {
    pub fn check(call: &'static str, code: CUresult) -> Result<(), Failure> {
        match code {
            CUresult::CUDA_SUCCESS => Ok(()),
            code => Err(Failure { call, code }),
        }
    }

    /// Whether the device is gone with it: everything after it fails in the same way.
    pub fn is_final(&self) -> bool {
        use CUresult::*;
        matches!(
            self.code,
            CUDA_ERROR_DEINITIALIZED
                | CUDA_ERROR_DEVICE_UNAVAILABLE
                | CUDA_ERROR_ECC_UNCORRECTABLE
                | CUDA_ERROR_NVLINK_UNCORRECTABLE
                | CUDA_ERROR_ILLEGAL_ADDRESS
                | CUDA_ERROR_LAUNCH_TIMEOUT
                | CUDA_ERROR_CONTEXT_IS_DESTROYED
                | CUDA_ERROR_ASSERT
                | CUDA_ERROR_HARDWARE_STACK_ERROR
                | CUDA_ERROR_ILLEGAL_INSTRUCTION
                | CUDA_ERROR_MISALIGNED_ADDRESS
                | CUDA_ERROR_INVALID_ADDRESS_SPACE
                | CUDA_ERROR_INVALID_PC
                | CUDA_ERROR_LAUNCH_FAILED
                | CUDA_ERROR_TENSOR_MEMORY_LEAK
                | CUDA_ERROR_MPS_CLIENT_TERMINATED
                | CUDA_ERROR_CONTAINED
                | CUDA_ERROR_EXTERNAL_DEVICE
                | CUDA_ERROR_UNKNOWN
        )
    }

    /// Whether machine code was refused for what it is.
    pub fn is_bad_code(&self) -> bool {
        use CUresult::*;
        matches!(
            self.code,
            CUDA_ERROR_INVALID_IMAGE
                | CUDA_ERROR_INVALID_PTX
                | CUDA_ERROR_INVALID_SOURCE
                | CUDA_ERROR_JIT_COMPILATION_DISABLED
                | CUDA_ERROR_JIT_COMPILER_NOT_FOUND
                | CUDA_ERROR_NO_BINARY_FOR_GPU
                | CUDA_ERROR_SHARED_OBJECT_INIT_FAILED
                | CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND
                | CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        )
    }

    pub fn is_no_memory(&self) -> bool {
        self.code == CUresult::CUDA_ERROR_OUT_OF_MEMORY
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut name, mut words) = (std::ptr::null(), std::ptr::null());
        // SAFETY: the driver gives pointers to text that it never frees, or leaves null.
        let text = |pointer: *const std::ffi::c_char| match pointer.is_null() {
            true => format!("{:?}", self.code),
            false => unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned(),
        };
        // A code that the driver does not know leaves them null.
        let _ = call!(cuGetErrorName(self.code, &mut name));
        let _ = call!(cuGetErrorString(self.code, &mut words));
        write!(f, "{}: {} ({})", self.call, text(words), text(name))
    }
}

/// What cudarc no longer names at the level of CUDA 13, and every driver still has.
pub(super) mod old {
    use cudarc::driver::sys::{
        self, CUevent, CUgraph, CUgraphNode, CUresult, CUstream, CUstreamCaptureStatus, cuuint64_t,
    };

    use super::Failure;

    type ElapsedTime = unsafe extern "C" fn(*mut f32, CUevent, CUevent) -> CUresult;
    type CaptureInfo = unsafe extern "C" fn(
        CUstream,
        *mut CUstreamCaptureStatus,
        *mut cuuint64_t,
        *mut CUgraph,
        *mut *const CUgraphNode,
        *mut usize,
    ) -> CUresult;

    fn function<F: Copy>(name: &'static str) -> Result<F, Failure> {
        // SAFETY: the callers give the types that cuda.h gives.
        let found = unsafe { sys::culib().get::<F>(name.as_bytes()) };
        found
            .map(|function| *function)
            .map_err(|_| Failure { call: name, code: CUresult::CUDA_ERROR_NOT_FOUND })
    }

    /// Milliseconds from one event to another.
    pub fn elapsed_time(begin: CUevent, end: CUevent) -> Result<f32, Failure> {
        const NAME: &str = "cuEventElapsedTime";
        let mut milliseconds = 0.0;
        let function = function::<ElapsedTime>(NAME)?;
        // SAFETY: two events that live, and a place for the answer.
        Failure::check(NAME, unsafe { function(&mut milliseconds, begin, end) })?;
        Ok(milliseconds)
    }

    /// The node that was captured last, of a stream that captures.
    pub fn last_node(stream: CUstream) -> Result<CUgraphNode, Failure> {
        const NAME: &str = "cuStreamGetCaptureInfo_v2";
        let (mut status, mut id) = (CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE, 0);
        let (mut graph, mut nodes, mut count) = (std::ptr::null_mut(), std::ptr::null(), 0);
        let function = function::<CaptureInfo>(NAME)?;
        // SAFETY: a stream that lives, and places for the answers.
        Failure::check(NAME, unsafe {
            function(stream, &mut status, &mut id, &mut graph, &mut nodes, &mut count)
        })?;
        match count {
            // SAFETY: the driver gives an array of so many nodes. One stream makes a chain, so that the
            // next node would depend on the last one alone.
            1 => Ok(unsafe { *nodes }),
            _ => Err(Failure { call: NAME, code: CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_call_is_looked_for_before_the_first() {
        let mut called = BTreeSet::new();
        for entry in fs::read_dir(Path::new("src/device/cuda")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for before in ["call!(", "NAME: &str = \""] {
                let names = text.split(before).skip(1).filter(|rest| rest.starts_with("cu"));
                called.extend(names.map(|rest| rest.split(['(', '"']).next().unwrap().to_string()));
            }
        }
        called.remove("cuMemFree_v2(address))?`"); // the example above
        let listed: BTreeSet<String> = CALLS.iter().map(|name| name.to_string()).collect();
        assert_eq!(called, listed);
    }

    #[test]
    fn a_version_is_spoken_as_nvidia_writes_it() {
        assert_eq!([12000, 12040, 13010].map(spoken), ["12.0", "12.4", "13.1"]);
    }
}
