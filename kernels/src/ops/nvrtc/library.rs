//! As much of NVRTC, NVIDIA's compiler of CUDA C++, as the test needs.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::Path;
use std::ptr::{null, null_mut};

use libloading::Library;
use libloading::os::unix::{Library as Global, RTLD_GLOBAL, RTLD_NOW};

/// `nvrtcProgram`: what it points to is NVRTC's own affair.
type Program = *mut std::ffi::c_void;
/// `nvrtcResult`; 0 is success.
type Code = c_int;

/// An opened library.
pub struct Nvrtc {
    library: Library,
    /// What the library looks for beside itself, and does not always find there.
    _builtins: Option<Global>,
}

impl Nvrtc {
    /// Opens `path`, and the built-in functions that lie beside it first.
    pub fn open(path: &Path) -> Result<Nvrtc, libloading::Error> {
        let beside = path.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
        let is_builtins = |path: &Path| path.to_string_lossy().contains("libnvrtc-builtins.so");
        let builtins = beside.map(|file| file.path()).find(|path| is_builtins(path));
        // SAFETY: both are NVIDIA's libraries, or what the caller says to be so; nothing is run on opening.
        unsafe {
            let open = |path| Global::open(Some(path), RTLD_NOW | RTLD_GLOBAL);
            Ok(Nvrtc { _builtins: builtins.map(open).transpose()?, library: Library::new(path)? })
        }
    }

    /// Major and minor.
    pub fn version(&self) -> (i32, i32) {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: `Code nvrtcVersion(int*, int*)`.
        unsafe { self.call::<fn(*mut c_int, *mut c_int) -> Code>("nvrtcVersion")(&mut major, &mut minor) };
        (major, minor)
    }

    /// The architectures it compiles for: 75, 80, ...
    pub fn architectures(&self) -> Vec<i32> {
        let mut n = 0;
        // SAFETY: the two take an int and an array of as many as the first one says.
        unsafe {
            self.call::<fn(*mut c_int) -> Code>("nvrtcGetNumSupportedArchs")(&mut n);
            let mut all = vec![0; n as usize];
            self.call::<fn(*mut c_int) -> Code>("nvrtcGetSupportedArchs")(all.as_mut_ptr());
            all
        }
    }

    /// Compiles `text` to machine code, and returns whether it went well and what the compiler says.
    pub fn compile(&self, name: &str, text: &str, options: &[String]) -> (bool, String) {
        type Create = fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> Code;
        let c = |text: &str| CString::new(text).expect("no text holds a zero");
        let (text, name) = (c(text), c(name));
        let options: Vec<CString> = options.iter().map(|option| c(option)).collect();
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: as nvrtc.h declares them; all strings outlive the program.
        unsafe {
            let mut program: Program = null_mut();
            let created = self.call::<Create>("nvrtcCreateProgram")(
                &mut program,
                text.as_ptr(),
                name.as_ptr(),
                0,
                null(),
                null(),
            );
            assert_eq!(created, 0, "nvrtcCreateProgram");
            let compile =
                self.call::<fn(Program, c_int, *const *const c_char) -> Code>("nvrtcCompileProgram");
            let code = compile(program, options.len() as c_int, options.as_ptr());
            let mut size = 0usize;
            self.call::<fn(Program, *mut usize) -> Code>("nvrtcGetProgramLogSize")(program, &mut size);
            // One more, so that there is a zero at the end in any case.
            let mut log = vec![0u8; size + 1];
            self.call::<fn(Program, *mut u8) -> Code>("nvrtcGetProgramLog")(program, log.as_mut_ptr());
            self.call::<fn(*mut Program) -> Code>("nvrtcDestroyProgram")(&mut program);
            let log = CStr::from_bytes_until_nul(&log).expect("a zero at the end");
            (code == 0, log.to_string_lossy().into_owned())
        }
    }

    /// The function `name`.
    ///
    /// # Safety
    /// Its type must be `F`.
    unsafe fn call<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the caller says so.
        unsafe { *self.library.get::<F>(name.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}")) }
    }
}
