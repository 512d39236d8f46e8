//! From a kernel to a function on the card, once per kernel.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

use cudarc::driver::sys::{CUfunction, CUmodule};

use super::driver::{call, spoken};
use super::signature::Signature;
use super::{CudaDevice, lock};
use crate::device::Kernel;
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
        match self.find(kernel) {
            // Here, where the functions are not locked: what frees memory waits for a thread that captures a
            // graph, and that one may want a function.
            Err(Error::OutOfMemory { .. }) if self.empty_pool() => self.find(kernel),
            found => found,
        }
    }

    fn find(&self, kernel: &'static Kernel) -> Result<Arc<Function>> {
        let mut functions = lock(&self.0.functions);
        let address = std::ptr::from_ref(kernel) as usize;
        if let Some(function) = functions.functions.get(&address) {
            return Ok(function.clone());
        }
        let source = std::ptr::from_ref(kernel.source) as usize;
        let module = match functions.modules.get(&source) {
            Some(module) => *module,
            None => {
                let module = self.load(kernel)?;
                functions.modules.insert(source, module);
                module
            }
        };
        let fail = |what| no_kernel(kernel, format!("{}.cu: {what}", kernel.source.name));
        let signature = Signature::of(kernel.source.cuda, kernel.entry).map_err(fail)?;
        let name = CString::new(kernel.entry).map_err(|_| fail("a name with a zero byte".into()))?;
        let mut handle = std::ptr::null_mut();
        call!(cuModuleGetFunction(&mut handle, module, name.as_ptr()))
            .map_err(|failure| self.failed(|| kernel.entry.to_string(), failure))?;
        let function = Arc::new(Function { handle, signature });
        functions.functions.insert(address, function.clone());
        Ok(function)
    }

    /// The module of a kernel's source.
    fn load(&self, kernel: &Kernel) -> Result<CUmodule> {
        let nvrtc = &self.0.nvrtc;
        let load = |fresh| {
            let code = nvrtc.machine_code(kernel.source, self.0.architecture, fresh);
            let mut code = code.map_err(|message| no_kernel(kernel, message))?;
            // What is no machine code the driver may read as a text, up to its zero.
            code.push(0);
            let mut module = std::ptr::null_mut();
            Ok::<_, Error>(call!(cuModuleLoadData(&mut module, code.as_ptr().cast())).map(|()| module))
        };
        let mut loaded = load(false)?;
        if loaded.is_err_and(|failure| failure.is_bad_code()) {
            // What the cache held was whole and yet no good: not to be trusted again.
            loaded = load(true)?;
        }
        loaded.map_err(|failure| match failure.is_bad_code() {
            true => {
                let ((a, b), driver) = (nvrtc.version, spoken(self.0.driver));
                let message = format!(
                    "{failure}: the driver, which knows CUDA {driver}, refuses what NVRTC {a}.{b} compiled; \
                     install an NVRTC of the driver's version or a newer driver"
                );
                no_kernel(kernel, message)
            }
            false => self.failed(|| kernel.entry.to_string(), failure),
        })
    }
}

fn no_kernel(kernel: &Kernel, message: String) -> Error {
    Error::Kernel { kernel: kernel.entry.to_string(), message }
}
