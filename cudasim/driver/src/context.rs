//! `cuCtx*`: which context a thread works in.

use std::ffi::{c_int, c_uint};

use crate::error::{Result, Status, put, put_if};
use crate::state::{CURRENT, Handle, here, simulator};

fn exists(context: Handle) -> bool {
    let simulator = simulator();
    let mut contexts = simulator.devices.iter().filter_map(|device| device.context.as_ref());
    contexts.any(|other| other.handle == context)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut Handle) -> Status {
    let current = CURRENT.with_borrow(|stack| stack.last().copied().unwrap_or(0));
    unsafe { put(context, current) }.into()
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: Handle) -> Status {
    if context != 0 && !exists(context) {
        return Status::INVALID_CONTEXT;
    }
    CURRENT.with_borrow_mut(|stack| {
        stack.pop();
        stack.push(context);
    });
    Status::SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxPushCurrent_v2(context: Handle) -> Status {
    if !exists(context) {
        return Status::INVALID_CONTEXT;
    }
    CURRENT.with_borrow_mut(|stack| stack.push(context));
    Status::SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut Handle) -> Status {
    match CURRENT.with_borrow_mut(Vec::pop) {
        None | Some(0) => Status::INVALID_CONTEXT,
        Some(popped) => {
            unsafe { put_if(context, popped) };
            Status::SUCCESS
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Status {
    here(|here| unsafe { put(device, here.context.device as c_int) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> Status {
    here(|here| here.context.forbid_while_capturing())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Status {
    here(|_| {
        unsafe {
            put_if(least, 0);
            put_if(greatest, 0);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetFlags(_flags: c_uint) -> Status {
    nothing()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetFlags(flags: *mut c_uint) -> Status {
    here(|_| unsafe { put(flags, 0) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetLimit(_limit: c_int, _value: usize) -> Status {
    nothing()
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCacheConfig(_config: c_int) -> Status {
    nothing()
}

/// What concerns a GPU alone.
fn nothing() -> Status {
    here(|_| Result::Ok(()))
}
