//! `cuFunc*` and `cuOccupancy*`: what is to be known of a kernel.

use std::ffi::{c_char, c_int, c_uint};

use crate::error::{Result, Status, put};
use crate::state::{Handle, Here, here};

/// The most dynamic shared memory that a kernel can be allowed.
const MOST_SHARED: u32 = 227 << 10;

// `CUfunction_attribute`.
const MAX_THREADS_PER_BLOCK: c_int = 0;
const SHARED_SIZE_BYTES: c_int = 1;
const NUM_REGS: c_int = 4;
const PTX_VERSION: c_int = 5;
const BINARY_VERSION: c_int = 6;
const MAX_DYNAMIC_SHARED_SIZE_BYTES: c_int = 8;
const ATTRIBUTES: c_int = 18;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle) -> Status {
    here(|here| {
        let known = here.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let module = here.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        let found = match attribute {
            MAX_THREADS_PER_BLOCK => module.kernel(known.kernel).most_threads as c_int,
            // Of the whole module, as far as its kernels have run.
            SHARED_SIZE_BYTES => module.shared.iter().map(|region| region.len).sum::<usize>() as c_int,
            NUM_REGS => 32,
            PTX_VERSION | BINARY_VERSION => here.settings.architecture as c_int,
            MAX_DYNAMIC_SHARED_SIZE_BYTES => known.most_dynamic as c_int,
            other if (0..ATTRIBUTES).contains(&other) => 0,
            _ => return Err(Status::INVALID_VALUE),
        };
        unsafe { put(value, found) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int) -> Status {
    here(|here| {
        let known = here.context.functions.get_mut(&function).ok_or(Status::INVALID_HANDLE)?;
        if attribute == MAX_DYNAMIC_SHARED_SIZE_BYTES {
            let value = u32::try_from(value).ok().filter(|value| *value <= MOST_SHARED);
            known.most_dynamic = value.ok_or(Status::INVALID_VALUE)?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetCacheConfig(function: Handle, _config: c_int) -> Status {
    here(|here| here.context.functions.get(&function).map(drop).ok_or(Status::INVALID_HANDLE))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetParamInfo(
    function: Handle,
    number: usize,
    offset: *mut usize,
    size: *mut usize,
) -> Status {
    here(|here| {
        let known = here.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let module = here.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        let parameter = module.parameters(known.kernel).get(number).ok_or(Status::INVALID_VALUE)?;
        unsafe {
            put(offset, parameter.offset as usize)?;
            put(size, parameter.size as usize)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetName(name: *mut *const c_char, function: Handle) -> Status {
    here(|here| {
        let known = here.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let module = here.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        unsafe { put(name, module.kernel(known.kernel).name) }
    })
}

impl Here<'_> {
    /// How many blocks of a size one multiprocessor takes: as many as its threads and shared memory allow.
    fn blocks(&self, function: Handle, threads: c_int, dynamic: usize) -> Result<c_int> {
        self.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        if threads <= 0 {
            return Err(Status::INVALID_VALUE);
        }
        let by_threads = if threads > 1024 { 0 } else { (2048 / threads).min(32) };
        let by_memory = (228 << 10) / (dynamic + 1024);
        Ok(by_threads.min(by_memory as c_int))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: Handle,
    threads: c_int,
    dynamic: usize,
) -> Status {
    here(|here| unsafe { put(blocks, here.blocks(function, threads, dynamic)?) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    blocks: *mut c_int,
    function: Handle,
    threads: c_int,
    dynamic: usize,
    _flags: c_uint,
) -> Status {
    unsafe { cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, dynamic) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: *mut c_int,
    threads: *mut c_int,
    function: Handle,
    _dynamic_of: Option<extern "C" fn(c_int) -> usize>,
    _dynamic: usize,
    limit: c_int,
) -> Status {
    here(|here| {
        let known = here.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let module = here.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        let most = module.kernel(known.kernel).most_threads as c_int;
        unsafe {
            put(grid, 1)?;
            put(threads, if limit > 0 { most.min(limit) } else { most })
        }
    })
}
