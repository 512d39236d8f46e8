//! `cuInit`, versions and `cuDevice*`.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::error::{Result, Status, put};
use crate::state::{Context, Handle, Simulator, simulator};

const NAME: &[u8] = b"cudasim (CUDA on the processor)\0";

/// Calls `body` if `cuInit` was called and there is such a device.
fn device(number: c_int, body: impl FnOnce(&mut Simulator, usize) -> Result) -> Status {
    let mut simulator = simulator();
    match usize::try_from(number) {
        _ if !simulator.initialized => Status::NOT_INITIALIZED,
        Ok(number) if number < simulator.devices.len() => body(&mut simulator, number).into(),
        _ => Status::INVALID_DEVICE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> Status {
    let mut simulator = simulator();
    if flags != 0 {
        return Status::INVALID_VALUE;
    }
    if simulator.devices.is_empty() {
        return Status::NO_DEVICE;
    }
    simulator.initialized = true;
    Status::SUCCESS
}

/// NVIDIA's own NVRTC, where it finds this library in place of a driver, asks it for tables of private
/// functions, without looking whether this function is there. Told that there are none it goes on.
#[unsafe(no_mangle)]
extern "C" fn cuGetExportTable(_table: *mut *const c_void, _name: *const c_void) -> Status {
    Status::NOT_FOUND
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Status {
    unsafe { put(version, simulator().settings.driver_version) }.into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Status {
    let simulator = simulator();
    if !simulator.initialized {
        return Status::NOT_INITIALIZED;
    }
    unsafe { put(count, simulator.devices.len() as c_int) }.into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(to: *mut c_int, ordinal: c_int) -> Status {
    device(ordinal, |_, _| unsafe { put(to, ordinal) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, size: c_int, number: c_int) -> Status {
    device(number, |_, _| {
        if name.is_null() || size <= 0 {
            return Err(Status::INVALID_VALUE);
        }
        let length = NAME.len().min(size as usize);
        unsafe {
            name.cast::<u8>().copy_from_nonoverlapping(NAME.as_ptr(), length);
            name.add(length - 1).write(0);
        }
        Ok(())
    })
}

unsafe fn uuid(to: *mut [u8; 16], number: c_int) -> Status {
    device(number, |_, number| {
        let mut uuid = *b"cudasim device 0";
        uuid[15] += number as u8;
        unsafe { put(to, uuid) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid(to: *mut [u8; 16], number: c_int) -> Status {
    unsafe { uuid(to, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid_v2(to: *mut [u8; 16], number: c_int) -> Status {
    unsafe { uuid(to, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, number: c_int) -> Status {
    device(number, |simulator, _| unsafe { put(bytes, simulator.settings.memory) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, number: c_int) -> Status {
    device(number, |simulator, number| {
        let architecture = simulator.settings.architecture as c_int;
        unsafe { put(value, self::attribute(attribute, architecture, number as c_int)) }
    })
}

/// `CUdevice_attribute`: the numbers are those of an H100 where they are limits of a kernel.
fn attribute(attribute: c_int, architecture: c_int, number: c_int) -> c_int {
    match attribute {
        1 => 1024,               // MAX_THREADS_PER_BLOCK
        2 | 3 => 1024,           // MAX_BLOCK_DIM_X, Y
        4 => 64,                 // MAX_BLOCK_DIM_Z
        5 => 0x7fff_ffff,        // MAX_GRID_DIM_X
        6 | 7 => 65_535,         // MAX_GRID_DIM_Y, Z
        8 => 48 << 10,           // MAX_SHARED_MEMORY_PER_BLOCK
        9 => 64 << 10,           // TOTAL_CONSTANT_MEMORY
        10 => 32,                // WARP_SIZE
        12 => 65_536,            // MAX_REGISTERS_PER_BLOCK
        13 => 1_000_000,         // CLOCK_RATE in kHz
        16 => 1,                 // MULTIPROCESSOR_COUNT
        31 => 1,                 // CONCURRENT_KERNELS
        33 => number,            // PCI_BUS_ID
        36 => 1_000_000,         // MEMORY_CLOCK_RATE in kHz
        37 => 64,                // GLOBAL_MEMORY_BUS_WIDTH
        38 => 1 << 20,           // L2_CACHE_SIZE
        39 => 2048,              // MAX_THREADS_PER_MULTIPROCESSOR
        40 => 1,                 // ASYNC_ENGINE_COUNT
        41 => 1,                 // UNIFIED_ADDRESSING
        75 => architecture / 10, // COMPUTE_CAPABILITY_MAJOR
        76 => architecture % 10, // COMPUTE_CAPABILITY_MINOR
        81 => 228 << 10,         // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        82 => 65_536,            // MAX_REGISTERS_PER_MULTIPROCESSOR
        97 => 227 << 10,         // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        106 => 32,               // MAX_BLOCKS_PER_MULTIPROCESSOR
        111 => 1 << 10,          // RESERVED_SHARED_MEMORY_PER_BLOCK
        115 => 1,                // MEMORY_POOLS_SUPPORTED
        _ => 0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(to: *mut Handle, number: c_int) -> Status {
    device(number, |simulator, number| {
        let device = &mut simulator.devices[number];
        let context = device.context.get_or_insert_with(|| Context::new(number));
        unsafe { put(to, context.handle) }?;
        device.retained += 1;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(number: c_int) -> Status {
    device(number, |simulator, number| {
        let device = &mut simulator.devices[number];
        device.retained = device.retained.checked_sub(1).ok_or(Status::INVALID_CONTEXT)?;
        if device.retained == 0 {
            device.context = None;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease(number: c_int) -> Status {
    cuDevicePrimaryCtxRelease_v2(number)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxReset_v2(number: c_int) -> Status {
    device(number, |simulator, number| {
        simulator.devices[number].context = None;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxGetState(
    number: c_int,
    flags: *mut c_uint,
    active: *mut c_int,
) -> Status {
    device(number, |simulator, number| unsafe {
        put(flags, 0)?;
        put(active, c_int::from(simulator.devices[number].context.is_some()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxSetFlags_v2(number: c_int, _flags: c_uint) -> Status {
    device(number, |_, _| Ok(()))
}

/// There is one pool of memory, and nothing to set in it.
const POOL: Handle = 1;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut Handle, number: c_int) -> Status {
    device(number, |_, _| unsafe { put(pool, POOL) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetMemPool(pool: *mut Handle, number: c_int) -> Status {
    device(number, |_, _| unsafe { put(pool, POOL) })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(pool: Handle, _attribute: c_int, _value: *mut c_void) -> Status {
    if pool == POOL { Status::SUCCESS } else { Status::INVALID_VALUE }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemPoolGetAttribute(pool: Handle, attribute: c_int, value: *mut c_void) -> Status {
    if pool != POOL || value.is_null() {
        return Status::INVALID_VALUE;
    }
    // The first three say how memory is used again, in 32 bits; the others count bytes, in 64.
    match attribute {
        1..=3 => unsafe { value.cast::<c_int>().write(1) },
        _ => unsafe { value.cast::<u64>().write(0) },
    }
    Status::SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolTrimTo(pool: Handle, _bytes: usize) -> Status {
    cuMemPoolSetAttribute(pool, 0, std::ptr::null_mut())
}
