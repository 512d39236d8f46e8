//! NVRTC's functions: <https://docs.nvidia.com/cuda/nvrtc/>.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use cudasim::Image;

use crate::compile::{compile, minor_version};
use crate::options::{ARCHITECTURES, Options};

/// `nvrtcResult`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Success = 0,
    ProgramCreationFailure = 2,
    InvalidInput = 3,
    InvalidProgram = 4,
    InvalidOption = 5,
    Compilation = 6,
}

/// A source, and what became of it.
struct Program {
    name: String,
    text: String,
    log: CString,
    /// What it was compiled to.
    images: Option<Images>,
}

/// The same code twice: here PTX is machine code of which it is said that it is portable.
struct Images {
    ptx: Vec<u8>,
    /// Empty, if only PTX was asked for.
    cubin: Vec<u8>,
}

/// A program's number, which a caller holds for an address.
type Handle = usize;

struct Programs {
    all: HashMap<Handle, Program>,
    next: Handle,
}

fn programs() -> MutexGuard<'static, Programs> {
    static PROGRAMS: LazyLock<Mutex<Programs>> =
        LazyLock::new(|| Mutex::new(Programs { all: HashMap::new(), next: 0x10 }));
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what `read` finds in the program to `to`.
unsafe fn get<T>(handle: Handle, to: *mut T, read: impl FnOnce(&Program) -> Option<T>) -> Status {
    if to.is_null() {
        return Status::InvalidInput;
    }
    match programs().all.get(&handle).map(read) {
        None | Some(None) => Status::InvalidProgram,
        Some(Some(value)) => {
            unsafe { to.write(value) };
            Status::Success
        }
    }
}

/// Copies the bytes that `read` finds in the program to `to`.
unsafe fn copy(handle: Handle, to: *mut c_char, read: impl Fn(&Program) -> Option<&[u8]>) -> Status {
    if to.is_null() {
        return Status::InvalidInput;
    }
    let programs = programs();
    let Some(bytes) = programs.all.get(&handle).and_then(read) else {
        return Status::InvalidProgram;
    };
    unsafe { to.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Status::Success
}

impl Images {
    fn new(object: &[u8], machine_code: bool) -> Images {
        let bytes = |portable| Image { object, portable }.to_bytes();
        Images { ptx: bytes(true), cubin: if machine_code { bytes(false) } else { Vec::new() } }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcVersion(major: *mut c_int, minor: *mut c_int) -> Status {
    if major.is_null() || minor.is_null() {
        return Status::InvalidInput;
    }
    unsafe {
        major.write(13);
        minor.write(minor_version());
    }
    Status::Success
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetNumSupportedArchs(count: *mut c_int) -> Status {
    if count.is_null() {
        return Status::InvalidInput;
    }
    unsafe { count.write(ARCHITECTURES.len() as c_int) };
    Status::Success
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetSupportedArchs(architectures: *mut c_int) -> Status {
    if architectures.is_null() {
        return Status::InvalidInput;
    }
    for (i, number) in ARCHITECTURES.into_iter().enumerate() {
        unsafe { architectures.add(i).write(number as c_int) };
    }
    Status::Success
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcCreateProgram(
    program: *mut Handle,
    text: *const c_char,
    name: *const c_char,
    headers: c_int,
    _header_texts: *const *const c_char,
    _header_names: *const *const c_char,
) -> Status {
    if program.is_null() || text.is_null() {
        return Status::InvalidInput;
    }
    // Kernels that include something are not what this compiler is for.
    if headers != 0 {
        return Status::ProgramCreationFailure;
    }
    let read = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    let name = if name.is_null() { "default_program".into() } else { read(name) };
    let new = Program { name, text: read(text), log: CString::default(), images: None };
    let mut programs = programs();
    let handle = programs.next;
    programs.next += 0x10;
    programs.all.insert(handle, new);
    unsafe { program.write(handle) };
    Status::Success
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcDestroyProgram(program: *mut Handle) -> Status {
    if program.is_null() {
        return Status::InvalidProgram;
    }
    match programs().all.remove(unsafe { &*program }) {
        Some(_) => Status::Success,
        None => Status::InvalidProgram,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcCompileProgram(
    program: Handle,
    count: c_int,
    options: *const *const c_char,
) -> Status {
    let options: Vec<String> = (0..count.max(0) as usize)
        .map(|i| unsafe { CStr::from_ptr(*options.add(i)) }.to_string_lossy().into_owned())
        .collect();
    // The lock is not held while the compiler runs: several programs are compiled at once.
    let Some((name, text)) = programs().all.get(&program).map(|p| (p.name.clone(), p.text.clone())) else {
        return Status::InvalidProgram;
    };
    let (status, log, images) = match Options::read(&options) {
        Err(log) => (Status::InvalidOption, log, None),
        Ok(options) => match compile(&name, &text, &options) {
            Err(log) => (Status::Compilation, log, None),
            Ok(object) => (Status::Success, String::new(), Some(Images::new(&object, options.machine_code))),
        },
    };
    match programs().all.get_mut(&program) {
        None => Status::InvalidProgram,
        Some(program) => {
            program.log = CString::new(log.replace('\0', "")).unwrap_or_default();
            program.images = images;
            status
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetProgramLogSize(program: Handle, size: *mut usize) -> Status {
    unsafe { get(program, size, |program| Some(program.log.as_bytes_with_nul().len())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetProgramLog(program: Handle, log: *mut c_char) -> Status {
    unsafe { copy(program, log, |program| Some(program.log.as_bytes_with_nul())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetCUBINSize(program: Handle, size: *mut usize) -> Status {
    unsafe { get(program, size, |program| program.images.as_ref().map(|images| images.cubin.len())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetCUBIN(program: Handle, cubin: *mut c_char) -> Status {
    unsafe { copy(program, cubin, |program| program.images.as_ref().map(|images| &*images.cubin)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetPTXSize(program: Handle, size: *mut usize) -> Status {
    unsafe { get(program, size, |program| program.images.as_ref().map(|images| images.ptx.len())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetPTX(program: Handle, ptx: *mut c_char) -> Status {
    unsafe { copy(program, ptx, |program| program.images.as_ref().map(|images| &*images.ptx)) }
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcGetErrorString(status: c_int) -> *const c_char {
    let name = match status {
        0 => c"NVRTC_SUCCESS",
        2 => c"NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        3 => c"NVRTC_ERROR_INVALID_INPUT",
        4 => c"NVRTC_ERROR_INVALID_PROGRAM",
        5 => c"NVRTC_ERROR_INVALID_OPTION",
        6 => c"NVRTC_ERROR_COMPILATION",
        _ => c"NVRTC_ERROR unknown",
    };
    name.as_ptr()
}
