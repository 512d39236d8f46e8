//! Memory: `cuMem*`.

use std::ffi::{c_int, c_uint, c_void};

use crate::error::{Result, Status, put, put_if};
use crate::graph::Node;
use crate::settings::Failure;
use crate::state::{Handle, Here, here};

/// An address on the device, which here is an address like any other.
type Address = u64;

impl Here<'_> {
    fn allocate(&mut self, to: *mut Address, bytes: usize) -> Result {
        if bytes == 0 || to.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let full = bytes > self.settings.memory.saturating_sub(self.context.used);
        if self.settings.fails(Failure::Alloc) || full {
            return Err(Status::OUT_OF_MEMORY);
        }
        let region = self.context.regions.allocate(bytes).ok_or(Status::OUT_OF_MEMORY)?;
        self.context.used += bytes;
        unsafe { put(to, region.start as Address) }
    }

    fn free(&mut self, address: Address) -> Result {
        if address == 0 {
            return Ok(());
        }
        let region = *self.context.regions.get(address as usize).ok_or(Status::INVALID_VALUE)?;
        let overwritten = region.overwritten();
        self.context.regions.free(region.start);
        self.context.used -= region.len;
        if let Some(at) = overwritten {
            let (start, end) = (region.start, region.end());
            self.settings.tell(format!(
                "memory of {} bytes was freed, and somebody had written next to it: at {at:#x}, it was {start:#x}..{end:#x}",
                region.len
            ));
            self.context.broken = Some(Status::ILLEGAL_ADDRESS);
            return Err(Status::ILLEGAL_ADDRESS);
        }
        Ok(())
    }

    /// Refuses memory that is not the device's, or too short.
    fn on_device(&self, address: Address, len: usize) -> Result {
        let at = address as usize;
        let global = |module: &crate::module::Module| {
            let globals = module.globals();
            globals.contains(&at) && len <= globals.end - at
        };
        let there = self.context.regions.holds(at, len) || self.host.holds(at, len);
        if there || self.context.modules.values().any(global) { Ok(()) } else { Err(Status::INVALID_VALUE) }
    }

    /// A copy in a stream.
    fn copy(
        &mut self,
        to: Address,
        from: Address,
        len: usize,
        on_device: [bool; 2],
        stream: Handle,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        for (address, on_device) in [(to, on_device[0]), (from, on_device[1])] {
            if on_device {
                self.on_device(address, len)?;
            } else if address == 0 {
                return Err(Status::INVALID_VALUE);
            }
        }
        self.fail_copy()?;
        self.submit(stream, Node::Copy { to: to as usize, from: from as usize, len })
    }

    fn fill(&mut self, to: Address, value: u32, width: usize, count: usize, stream: Handle) -> Result {
        self.on_device(to, width * count)?;
        self.fail_copy()?;
        self.submit(stream, Node::Fill { to: to as usize, value, width, count })
    }

    fn fail_copy(&mut self) -> Result {
        if self.settings.fails(Failure::Copy) {
            self.settings.tell("a copy fails because it was told to".to_string());
            self.context.broken = Some(Status::LAUNCH_FAILED);
            return Err(Status::LAUNCH_FAILED);
        }
        Ok(())
    }
}

/// Waits for the device, so that it cannot be part of a capture.
fn waiting(body: impl FnOnce(&mut Here<'_>) -> Result) -> Status {
    here(|mut here| {
        here.context.forbid_while_capturing()?;
        body(&mut here)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(to: *mut Address, bytes: usize) -> Status {
    waiting(|here| here.allocate(to, bytes))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: Address) -> Status {
    waiting(|here| here.free(address))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(to: *mut Address, bytes: usize, stream: Handle) -> Status {
    here(|mut here| {
        here.context.forbid_in_capture(stream)?;
        here.allocate(to, bytes)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: Address, stream: Handle) -> Status {
    here(|mut here| {
        here.context.forbid_in_capture(stream)?;
        here.free(address)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    here(|here| unsafe {
        put(free, here.settings.memory.saturating_sub(here.context.used))?;
        put(total, here.settings.memory)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetAddressRange_v2(
    base: *mut Address,
    size: *mut usize,
    address: Address,
) -> Status {
    here(|here| {
        let region = here.context.regions.around(address as usize).ok_or(Status::NOT_FOUND)?;
        unsafe {
            put_if(base, region.start as Address);
            put_if(size, region.len);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(to: *mut *mut c_void, bytes: usize, _flags: c_uint) -> Status {
    waiting(|here| {
        let region = here.host.allocate(bytes).ok_or(Status::OUT_OF_MEMORY)?;
        unsafe { put(to, region.start as *mut c_void) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocHost_v2(to: *mut *mut c_void, bytes: usize) -> Status {
    unsafe { cuMemHostAlloc(to, bytes, 0) }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(address: *mut c_void) -> Status {
    waiting(|here| here.host.free(address as usize).map(drop).ok_or(Status::INVALID_VALUE))
}

/// Copies that wait are in the default stream.
const DEFAULT: Handle = 0;

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoD_v2(to: Address, from: *const c_void, len: usize) -> Status {
    waiting(|here| here.copy(to, from as Address, len, [true, false], DEFAULT))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: Address, len: usize) -> Status {
    waiting(|here| here.copy(to as Address, from, len, [false, true], DEFAULT))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: Address, from: Address, len: usize) -> Status {
    waiting(|here| here.copy(to, from, len, [true, true], DEFAULT))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(to: Address, from: *const c_void, len: usize, stream: Handle) -> Status {
    here(|mut here| here.copy(to, from as Address, len, [true, false], stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Address, len: usize, stream: Handle) -> Status {
    here(|mut here| here.copy(to as Address, from, len, [false, true], stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, len: usize, stream: Handle) -> Status {
    here(|mut here| here.copy(to, from, len, [true, true], stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(to: Address, value: u8, count: usize) -> Status {
    waiting(|here| here.fill(to, value.into(), 1, count, DEFAULT))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32_v2(to: Address, value: u32, count: usize) -> Status {
    waiting(|here| here.fill(to, value, 4, count, DEFAULT))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(to: Address, value: u8, count: usize, stream: Handle) -> Status {
    here(|mut here| here.fill(to, value.into(), 1, count, stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async(to: Address, value: u32, count: usize, stream: Handle) -> Status {
    here(|mut here| here.fill(to, value, 4, count, stream))
}

/// `CUpointer_attribute`: what kind of memory it is, and whose.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuPointerGetAttribute(to: *mut c_void, attribute: c_int, address: Address) -> Status {
    here(|here| {
        let (on_device, at) = (here.context.regions.around(address as usize), address as usize);
        if on_device.or_else(|| here.host.around(at)).is_none() {
            return Err(Status::INVALID_VALUE);
        }
        match attribute {
            1 => unsafe { put(to.cast(), here.context.handle) },
            2 => unsafe { put(to.cast(), if on_device.is_some() { 2 } else { 1 }) },
            9 => unsafe { put(to.cast(), here.context.device as c_int) },
            _ => Err(Status::NOT_SUPPORTED),
        }
    })
}
