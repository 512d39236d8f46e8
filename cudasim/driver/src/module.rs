//! `cuModule*`: the code that the compiler made, loaded into this process.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use cudasim::seam::{self, Kernel, Parameter, State};
use cudasim::{Image, SEAM_VERSION};

use crate::error::{Result, Status, put, put_if};
use crate::guard::Region;
use crate::settings::Failure;
use crate::state::{Handle, handle, here};

/// A loaded module.
pub struct Module {
    library: *mut c_void,
    seam: &'static seam::Module,
    /// The memory of its shared variables.
    pub shared: Vec<Region>,
    /// The file it was loaded from: while it is open, no other has its name.
    _file: OwnedFd,
}

/// A kernel of a module.
pub struct Function {
    pub module: Handle,
    pub kernel: usize,
    pub name: String,
    /// The most dynamic shared memory that a launch may have.
    pub most_dynamic: u32,
}

impl Module {
    fn load(image: Image<'_>, architecture: u32) -> Result<Module> {
        let file = unsafe { libc::memfd_create(c"cudasim".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(Status::UNKNOWN);
        }
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        fs::File::from(file.try_clone().map_err(|_| Status::UNKNOWN)?)
            .write_all(image.object)
            .map_err(|_| Status::OUT_OF_MEMORY)?;
        let name = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            let why = unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy();
            eprintln!("cudasim: a module cannot be loaded: {why}");
            return Err(Status::SHARED_OBJECT_INIT_FAILED);
        }
        let symbol = |name: &CStr| unsafe { libc::dlsym(library, name.as_ptr()) };
        let list = symbol(c"cudasim_module");
        let seam = (!list.is_null()).then(|| {
            let list: extern "C" fn() -> &'static seam::Module = unsafe { std::mem::transmute(list) };
            list()
        });
        let status = match seam {
            // Machine code runs on its architecture and on later ones of the family, PTX on all later ones.
            Some(seam) if seam.version == SEAM_VERSION => match seam.architecture {
                made if made > architecture => Status::NO_BINARY_FOR_GPU,
                made if made / 10 != architecture / 10 && !image.portable => Status::NO_BINARY_FOR_GPU,
                _ => Status::SUCCESS,
            },
            _ => Status::INVALID_IMAGE,
        };
        match seam {
            Some(seam) if status == Status::SUCCESS => {
                Ok(Module { library, seam, shared: Vec::new(), _file: file })
            }
            _ => {
                unsafe { libc::dlclose(library) };
                Err(status)
            }
        }
    }

    fn kernels(&self) -> &'static [Kernel] {
        unsafe { std::slice::from_raw_parts(self.seam.kernels, self.seam.kernel_count as usize) }
    }

    /// One of its kernels.
    pub fn kernel(&self, number: usize) -> &'static Kernel {
        &self.kernels()[number]
    }

    /// The parameters of a kernel.
    pub fn parameters(&self, number: usize) -> &'static [Parameter] {
        let kernel = self.kernel(number);
        unsafe { std::slice::from_raw_parts(kernel.parameters, kernel.parameter_count as usize) }
    }

    /// And how they are declared.
    pub fn declarations(&self, number: usize) -> String {
        unsafe { CStr::from_ptr(self.kernel(number).declarations) }.to_string_lossy().into_owned()
    }

    /// What its threads see.
    pub fn state(&self) -> *mut State {
        self.seam.state
    }

    /// Where its `__device__` and `__constant__` variables lie.
    pub fn globals(&self) -> Range<usize> {
        self.seam.begin as usize..self.seam.end as usize
    }

    /// The kernel of that symbol: a C++ name is found by its mangled form, as in CUDA.
    fn find(&self, name: &CStr) -> Option<usize> {
        self.kernels().iter().position(|kernel| symbol_at(kernel.function).is_some_and(|at| at == name))
    }
}

/// The name of the symbol at an address.
fn symbol_at(address: *const c_void) -> Option<&'static CStr> {
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let found = unsafe { libc::dladdr(address, &mut info) } != 0;
    (found && info.dli_saddr.cast_const() == address && !info.dli_sname.is_null())
        .then(|| unsafe { CStr::from_ptr(info.dli_sname) })
}

impl Drop for Module {
    fn drop(&mut self) {
        self.shared.iter().for_each(Region::unmap);
        unsafe { libc::dlclose(self.library) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut Handle, image: *const c_void) -> Status {
    here(|here| {
        here.context.forbid_while_capturing()?;
        if here.settings.fails(Failure::Module) {
            return Err(Status::OUT_OF_MEMORY);
        }
        let image = unsafe { Image::from_address(image.cast()) }.ok_or(Status::INVALID_IMAGE)?;
        let loaded = Module::load(image, here.settings.architecture)?;
        let new = handle();
        unsafe { put(module, new) }?;
        here.context.modules.insert(new, loaded);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut Handle,
    image: *const c_void,
    _count: c_uint,
    _options: *mut c_int,
    _values: *mut *mut c_void,
) -> Status {
    unsafe { cuModuleLoadData(module, image) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoad(module: *mut Handle, path: *const c_char) -> Status {
    if path.is_null() {
        return Status::INVALID_VALUE;
    }
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
    match fs::read(path) {
        Err(_) => Status::FILE_NOT_FOUND,
        Ok(mut bytes) => {
            bytes.push(0);
            unsafe { cuModuleLoadData(module, bytes.as_ptr().cast()) }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: Handle) -> Status {
    here(|here| {
        here.context.modules.remove(&module).ok_or(Status::INVALID_HANDLE)?;
        here.context.functions.retain(|_, function| function.module != module);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: *mut Handle,
    module: Handle,
    name: *const c_char,
) -> Status {
    here(|here| {
        if name.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let context = here.context;
        let loaded = context.modules.get(&module).ok_or(Status::INVALID_HANDLE)?;
        let name = unsafe { CStr::from_ptr(name) };
        let kernel = loaded.find(name).ok_or(Status::NOT_FOUND)?;
        let known =
            context.functions.iter().find(|(_, known)| (known.module, known.kernel) == (module, kernel));
        let found = known.map_or_else(handle, |(found, _)| *found);
        unsafe { put(function, found) }?;
        let name = name.to_string_lossy().into_owned();
        context.functions.entry(found).or_insert(Function { module, kernel, name, most_dynamic: 48 << 10 });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    bytes: *mut usize,
    module: Handle,
    name: *const c_char,
) -> Status {
    here(|here| {
        let loaded = here.context.modules.get(&module).ok_or(Status::INVALID_HANDLE)?;
        if name.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let at = unsafe { libc::dlsym(loaded.library, name) };
        let size = size_of_symbol(at).filter(|_| loaded.globals().contains(&(at as usize)));
        let size = size.ok_or(Status::NOT_FOUND)?;
        unsafe {
            put_if(address, at as u64);
            put_if(bytes, size);
        }
        Ok(())
    })
}

/// The size that the symbol table gives for what lies there.
fn size_of_symbol(at: *const c_void) -> Option<usize> {
    const SYMBOL: c_int = 1;
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let mut symbol: *mut libc::Elf64_Sym = std::ptr::null_mut();
    let found = unsafe { libc::dladdr1(at, &mut info, (&raw mut symbol).cast(), SYMBOL) } != 0;
    (found && !symbol.is_null()).then(|| unsafe { (*symbol).st_size as usize })
}
