//! `cuLaunchKernel`: looks at what it is given and hands it on.

use std::ffi::{c_int, c_uint, c_void};

use cudasim::seam::{Index, Parameter};

use crate::block::MOST_THREADS;
use crate::error::{Result, Status};
use crate::graph::{Call, Node};
use crate::settings::Failure;
use crate::state::{Handle, Here, here};

/// The arguments of a call, side by side as in a struct.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// In units of 16 bytes, so that every argument can be aligned.
    bytes: Vec<u128>,
}

impl Arguments {
    /// Copies them from where `cuLaunchKernel` was told that they are.
    ///
    /// # Safety
    /// `list`, or else the buffer in `extra`, must hold an argument for every parameter.
    unsafe fn gather(
        parameters: &[Parameter],
        list: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> Result<Arguments> {
        let len = parameters.iter().map(|p| (p.offset + p.size) as usize).max().unwrap_or(0);
        let mut arguments = Arguments { bytes: vec![0; len.div_ceil(16)] };
        let to = arguments.bytes.as_mut_ptr().cast::<u8>();
        if !list.is_null() {
            for (i, parameter) in parameters.iter().enumerate() {
                let from: *const u8 = unsafe { *list.add(i) }.cast();
                if from.is_null() {
                    return Err(Status::INVALID_VALUE);
                }
                unsafe { to.add(parameter.offset as usize).copy_from(from, parameter.size as usize) };
            }
        } else if !parameters.is_empty() {
            let (from, size) = unsafe { buffer(extra) }.ok_or(Status::INVALID_VALUE)?;
            if size < len {
                return Err(Status::INVALID_VALUE);
            }
            unsafe { to.copy_from(from, len) };
        }
        Ok(arguments)
    }

    /// Where they lie.
    pub fn address(&self) -> *const u8 {
        self.bytes.as_ptr().cast()
    }

    /// The eight bytes at an offset.
    pub fn word(&self, offset: usize) -> usize {
        unsafe { self.address().add(offset).cast::<usize>().read_unaligned() }
    }
}

/// The buffer that `extra` names: a list of `(1, address)`, `(2, pointer to its size)` that ends with 0.
unsafe fn buffer(extra: *mut *mut c_void) -> Option<(*const u8, usize)> {
    let (mut address, mut size) = (None, None);
    let mut at = extra;
    while !at.is_null() && unsafe { !(*at).is_null() } {
        let (key, value) = unsafe { (*at as usize, *at.add(1)) };
        match key {
            1 => address = Some(value.cast_const().cast()),
            2 => size = Some(unsafe { *value.cast::<usize>() }),
            _ => return None,
        }
        at = unsafe { at.add(2) };
    }
    Some((address?, size?))
}

impl Here<'_> {
    /// A call, if the kernel can be called so.
    pub unsafe fn call(
        &self,
        function: Handle,
        grid: Index,
        block: Index,
        dynamic: u32,
        list: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> Result<Call> {
        let known = self.context.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let module = self.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        let most = module.kernel(known.kernel).most_threads.min(MOST_THREADS as u32);
        let threads = u64::from(block.x) * u64::from(block.y) * u64::from(block.z);
        let fits = (1..=u64::from(most)).contains(&threads)
            && block.z <= 64
            && (1..=0x7fff_ffff).contains(&grid.x)
            && (1..=65_535).contains(&grid.y)
            && (1..=65_535).contains(&grid.z)
            && dynamic <= known.most_dynamic;
        if !fits {
            return Err(Status::INVALID_VALUE);
        }
        let arguments = unsafe { Arguments::gather(module.parameters(known.kernel), list, extra)? };
        Ok(Call { function, grid, block, dynamic, arguments })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic: c_uint,
    stream: Handle,
    list: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Status {
    let grid = Index { x: grid_x, y: grid_y, z: grid_z };
    let block = Index { x: block_x, y: block_y, z: block_z };
    here(|mut here| {
        let call = unsafe { here.call(function, grid, block, dynamic, list, extra)? };
        if here.settings.fails(Failure::Launch) {
            here.settings.tell("a launch fails because it was told to".to_string());
            here.context.broken = Some(Status::LAUNCH_FAILED);
            return Err(Status::LAUNCH_FAILED);
        }
        here.submit(stream, Node::Kernel(call))
    })
}

/// Calls a function of the program, in its turn.
#[unsafe(no_mangle)]
extern "C" fn cuLaunchHostFunc(
    stream: Handle,
    function: Option<extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> Status {
    here(|mut here| {
        let function = function.ok_or(Status::INVALID_VALUE)?;
        here.submit(stream, Node::Host { function, data })
    })
}

/// `CUlaunchConfig`, without the attributes that only a GPU can follow.
#[repr(C)]
struct LaunchConfig {
    grid: Index,
    block: Index,
    dynamic: c_uint,
    stream: Handle,
    attributes: *mut c_void,
    attribute_count: c_uint,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernelEx(
    config: *const LaunchConfig,
    function: Handle,
    list: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Status {
    let Some(LaunchConfig { grid, block, dynamic, stream, attribute_count, .. }) =
        (unsafe { config.as_ref() })
    else {
        return Status::INVALID_VALUE;
    };
    if *attribute_count as c_int != 0 {
        return Status::NOT_SUPPORTED;
    }
    unsafe {
        cuLaunchKernel(
            function, grid.x, grid.y, grid.z, block.x, block.y, block.z, *dynamic, *stream, list, extra,
        )
    }
}
