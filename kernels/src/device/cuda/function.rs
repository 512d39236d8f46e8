//! From a kernel to a function on the card, once per kernel.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

use cudarc::driver::sys::{CUfunction, CUmodule, CUresult};

use super::driver::{call, spoken};
use super::signature::Signature;
use super::{CudaDevice, lock};
use crate::device::{Kernel, Source};
use crate::{Error, Result};

/// A kernel ready to be launched.
pub(super) struct Function {
    pub handle: CUfunction,
    pub signature: Signature,
}

/// All functions of a device by the address of their kernel, and the modules of their sources.
#[derive(Default)]
pub(super) struct Functions {
    functions: HashMap<usize, Arc<Function>>,
    modules: HashMap<usize, CUmodule>,
}

// SAFETY: the handles of a context may be used by every thread in which the context is current.
unsafe impl Send for Functions {}
unsafe impl Send for Function {}
unsafe impl Sync for Function {}

impl CudaDevice {
    /// The function of a kernel, compiled when something of its source is first asked for.
    pub(super) fn function(&self, kernel: &'static Kernel) -> Result<Arc<Function>> {
        let mut functions = lock(&self.0.functions);
        let address = std::ptr::from_ref(kernel) as usize;
        if let Some(function) = functions.functions.get(&address) {
            return Ok(function.clone());
        }
        let fail = |message| Error::Kernel { kernel: kernel.entry.to_string(), message };
        let source = std::ptr::from_ref(kernel.source) as usize;
        let module = match functions.modules.get(&source) {
            Some(module) => *module,
            None => {
                let module = self.load(kernel.source).map_err(fail)?;
                functions.modules.insert(source, module);
                module
            }
        };
        let missing = |what| fail(format!("{}.cu: {what}", kernel.source.name));
        let signature = Signature::of(kernel.source.cuda, kernel.entry).map_err(missing)?;
        let name = CString::new(kernel.entry).map_err(|_| fail("a name with a zero byte".into()))?;
        let mut handle = std::ptr::null_mut();
        call!(cuModuleGetFunction(&mut handle, module, name.as_ptr()))
            .map_err(|failure| self.failed(|| kernel.entry.to_string(), failure))?;
        let function = Arc::new(Function { handle, signature });
        functions.functions.insert(address, function.clone());
        Ok(function)
    }

    /// The module of a source.
    fn load(&self, source: &Source) -> std::result::Result<CUmodule, String> {
        use CUresult::{
            CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_INVALID_SOURCE, CUDA_ERROR_NO_BINARY_FOR_GPU,
            CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
        };
        let (nvrtc, architecture) = (&self.0.nvrtc, self.0.architecture);
        let mut module = std::ptr::null_mut();
        let mut load = |fresh| {
            let code = nvrtc.machine_code(source, architecture, fresh)?;
            Ok::<_, String>(call!(cuModuleLoadData(&mut module, code.as_ptr().cast())))
        };
        let mut loaded = load(false)?;
        if loaded.is_err_and(|failure| !failure.is_final()) {
            // What the cache held was whole and yet no good: not to be trusted again.
            loaded = load(true)?;
        }
        match loaded {
            Ok(()) => Ok(module),
            Err(failure) => {
                let refused = [
                    CUDA_ERROR_INVALID_IMAGE,
                    CUDA_ERROR_INVALID_SOURCE,
                    CUDA_ERROR_NO_BINARY_FOR_GPU,
                    CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
                ];
                let ((a, b), driver) = (nvrtc.version, spoken(self.0.driver));
                Err(match refused.contains(&failure.code) {
                    true => format!(
                        "{failure}: the driver, which knows CUDA {driver}, refuses what NVRTC {a}.{b} compiled; \
                         install an NVRTC of the driver's version or a newer driver"
                    ),
                    false => failure.to_string(),
                })
            }
        }
    }
}
