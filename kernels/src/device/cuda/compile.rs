//! From a kernel's text to machine code for the card, with NVRTC.
//!
//! Machine code (CUBIN) and not PTX: a driver older than NVRTC would refuse PTX.

use std::ffi::CString;

use cudarc::nvrtc::sys::{self, nvrtcResult};

use super::cache::Cache;
use crate::device::Source;

/// What every kernel file is put behind.
const PRELUDE: &str = concat!("#line 1 \"prelude.cu\"\n", include_str!("prelude.cu"), "\n");

/// The compiler that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nvrtc {
    pub version: (i32, i32),
    /// The architectures that it compiles for: 90 is sm_90.
    pub architectures: Vec<i32>,
}

/// Calls a function of NVRTC.
macro_rules! nvrtc {
    ($name:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the program lives, and the pointers are to variables of the caller.
        match unsafe { sys::$name($($argument),*) } {
            nvrtcResult::NVRTC_SUCCESS => Ok(()),
            code => Err(format!("{}: {code:?}", stringify!($name))),
        }
    };
}

/// All functions that are called; NVRTC 12.0 has them.
const CALLS: &[&str] = &[
    "nvrtcCompileProgram",
    "nvrtcCreateProgram",
    "nvrtcDestroyProgram",
    "nvrtcGetCUBIN",
    "nvrtcGetCUBINSize",
    "nvrtcGetNumSupportedArchs",
    "nvrtcGetProgramLog",
    "nvrtcGetProgramLogSize",
    "nvrtcGetSupportedArchs",
    "nvrtcVersion",
];

/// The text of a source as it is compiled. The line numbers of messages are those of the files.
pub(crate) fn text(source: &Source) -> String {
    format!("{PRELUDE}{}", source.cuda)
}

/// What the compiler is told for sm_`architecture`.
pub(crate) fn options(architecture: i32) -> Vec<String> {
    vec![format!("--gpu-architecture=sm_{architecture}"), "-std=c++17".into()]
}

impl Nvrtc {
    /// Asks the library what it is. It must be there.
    pub fn open() -> Result<Nvrtc, String> {
        let has = |name: &&&str| {
            // SAFETY: the function is looked for and not called.
            unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() }
        };
        if let Some(name) = CALLS.iter().find(|name| !has(name)) {
            return Err(format!("the NVRTC library that was found has no {name}; 12.0 or newer is needed"));
        }
        let mut version = (0, 0);
        nvrtc!(nvrtcVersion(&mut version.0, &mut version.1))?;
        let mut count = 0;
        nvrtc!(nvrtcGetNumSupportedArchs(&mut count))?;
        let mut architectures = vec![0; count.max(0) as usize];
        nvrtc!(nvrtcGetSupportedArchs(architectures.as_mut_ptr()))?;
        Ok(Nvrtc { version, architectures })
    }

    /// The architecture to compile for: the card's own, or the nearest before it whose machine code it
    /// runs, which must be of the same generation.
    pub fn architecture(&self, (major, minor): (i32, i32)) -> Result<i32, String> {
        let card = 10 * major + minor;
        let runs = |architecture: &&i32| **architecture <= card && *architecture / 10 == major;
        self.architectures.iter().filter(runs).max().copied().ok_or_else(|| {
            let (a, b) = self.version;
            let known: Vec<String> = self.architectures.iter().map(|sm| format!("sm_{sm}")).collect();
            format!(
                "NVRTC {a}.{b} cannot compile for the card's sm_{card}; it knows {}. Install another version",
                known.join(", ")
            )
        })
    }

    /// The machine code of a source: from the cache, or else compiled and kept there. `fresh` passes what
    /// the cache holds by.
    pub fn machine_code(&self, source: &Source, architecture: i32, fresh: bool) -> Result<Vec<u8>, String> {
        let text = text(source);
        let options = options(architecture);
        let cache = Cache::of_user();
        let key = cache.key(&[&text, &options.join(" "), &format!("{self:?}")]);
        if let Some(code) = cache.read(&key).filter(|_| !fresh) {
            return Ok(code);
        }
        let code = self.compile(source.name, &text, &options)?;
        cache.write(&key, &code);
        Ok(code)
    }

    /// Compiles a text. The compiler's own words are the error.
    pub fn compile(&self, name: &str, text: &str, options: &[String]) -> Result<Vec<u8>, String> {
        let c_string = |text: &str| CString::new(text).map_err(|_| format!("{name}.cu holds a zero byte"));
        let (text, file) = (c_string(text)?, c_string(&format!("{name}.cu"))?);
        let options = options.iter().map(|option| c_string(option)).collect::<Result<Vec<_>, _>>()?;
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program = std::ptr::null_mut();
        let none = std::ptr::null();
        nvrtc!(nvrtcCreateProgram(&mut program, text.as_ptr(), file.as_ptr(), 0, none, none))?;
        let compiled = nvrtc!(nvrtcCompileProgram(program, options.len() as i32, options.as_ptr()));
        let code = match compiled {
            Ok(()) => cubin(program),
            Err(code) => Err(log(program).filter(|log| !log.is_empty()).unwrap_or(code)),
        };
        nvrtc!(nvrtcDestroyProgram(&mut program))?;
        let (major, minor) = self.version;
        code.map_err(|message| format!("NVRTC {major}.{minor} says:\n{message}"))
    }
}

fn cubin(program: sys::nvrtcProgram) -> Result<Vec<u8>, String> {
    let mut size = 0;
    nvrtc!(nvrtcGetCUBINSize(program, &mut size))?;
    let mut code = vec![0u8; size];
    nvrtc!(nvrtcGetCUBIN(program, code.as_mut_ptr().cast()))?;
    Ok(code)
}

/// What the compiler printed, without the zero at the end.
fn log(program: sys::nvrtcProgram) -> Option<String> {
    let mut size = 0;
    nvrtc!(nvrtcGetProgramLogSize(program, &mut size)).ok()?;
    let mut bytes = vec![0u8; size];
    nvrtc!(nvrtcGetProgramLog(program, bytes.as_mut_ptr().cast())).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\0', '\n']).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nvrtc() -> Option<Nvrtc> {
        // SAFETY: NVRTC does nothing of note when it is loaded.
        let there = unsafe { cudarc::nvrtc::sys::is_culib_present() };
        if !there {
            eprintln!("skipped, needs NVRTC");
        }
        there.then(|| Nvrtc::open().unwrap())
    }

    #[test]
    fn the_nearest_architecture_of_the_same_generation_is_compiled_for() {
        let nvrtc = Nvrtc { version: (13, 0), architectures: vec![75, 80, 86, 90, 100, 120] };
        for (card, chosen) in [((7, 5), 75), ((8, 6), 86), ((8, 9), 86), ((9, 0), 90), ((10, 3), 100)] {
            assert_eq!(nvrtc.architecture(card), Ok(chosen));
        }
        let message = nvrtc.architecture((7, 0)).unwrap_err();
        assert!(message.contains("sm_70") && message.contains("sm_75, sm_80"), "{message}");
        assert!(nvrtc.architecture((11, 0)).is_err());
    }

    /// CUBIN is ELF.
    #[test]
    fn machine_code_comes_out() {
        let Some(nvrtc) = nvrtc() else { return };
        static ONE: Source = Source {
            name: "one",
            wgsl: "",
            cuda: "struct One { u32 n; };\nextern \"C\" __global__ __launch_bounds__(1)\nvoid one(One p, float* x) { x[0] = INFINITY; }\n",
        };
        for architecture in [75, 90] {
            let code = nvrtc.compile("one", &text(&ONE), &options(architecture)).unwrap();
            // The simulator puts a few words of its own before it.
            assert!(code.windows(4).any(|bytes| bytes == b"\x7fELF"));
        }
    }

    #[test]
    fn an_error_names_the_file_and_its_line() {
        let Some(nvrtc) = nvrtc() else { return };
        static BROKEN: Source = Source {
            name: "broken",
            wgsl: "",
            cuda: "#line 1 \"first.cu\"\nu32 one() { return 1; }\n#line 1 \"second.cu\"\n\nint f() { return x; }\n",
        };
        let message = nvrtc.compile("broken", &text(&BROKEN), &options(90)).unwrap_err();
        assert!(
            message.contains("second.cu") && message.contains("\"x\"") | message.contains("'x'"),
            "{message}"
        );
        assert!(message.contains("second.cu(2)") || message.contains("second.cu:2"), "{message}");
        assert!(!message.contains("\\n"), "{message}");
    }
}
