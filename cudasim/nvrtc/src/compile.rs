//! From a kernel's source to a shared object, by the C++ compiler of this machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use cudasim::SEAM_VERSION;

use crate::{options::Options, source};

/// What stands in front of every source.
const HEADERS: [(&str, &str); 7] = [
    ("vector.h", include_str!("../include/vector.h")),
    ("seam.h", include_str!("../include/seam.h")),
    ("shared.h", include_str!("../include/shared.h")),
    ("wait.h", include_str!("../include/wait.h")),
    ("atomic.h", include_str!("../include/atomic.h")),
    ("bits.h", include_str!("../include/bits.h")),
    ("math.h", include_str!("../include/math.h")),
];

/// How it is compiled. CUDA C++ lets a pointer be cast to another type and lets integers wrap around;
/// an access through a null pointer is done, and noticed, like any other;
/// a product and a sum are joined into one operation only where the kernel says `fmaf`, so that every
/// machine computes the same bits; a stack that is too small for the local variables is noticed.
const FLAGS: [&str; 19] = [
    "-x",
    "c++",
    "-O3",
    "-shared",
    "-fPIC",
    "-w",
    "-nostdinc",
    "-nostdinc++",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-asynchronous-unwind-tables",
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-fwrapv",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-delete-null-pointer-checks",
    "-ffp-contract=off",
    "-fstack-clash-protection",
];
/// The C library alone is linked, for its mathematical functions.
const LIBRARIES: [&str; 5] = ["-Wl,-Bsymbolic", "-nodefaultlibs", "-lm", "-lc", "-lgcc"];

/// A number that tells what this compiler makes apart from what another version of it made, so that
/// a cache of compiled kernels keeps them apart too: it is NVRTC's minor version.
pub fn minor_version() -> i32 {
    let texts = HEADERS.iter().map(|(_, text)| *text).chain(FLAGS).chain([include_str!("source.rs")]);
    let hash = texts
        .flat_map(str::bytes)
        .fold(SEAM_VERSION, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    1000 + (hash % 1_000_000) as i32
}

/// The shared object of a compiled source, or the compiler's log.
pub fn compile(name: &str, text: &str, options: &Options) -> Result<Vec<u8>, String> {
    let folder = Folder::new().map_err(|error| format!("cudasim: no temporary folder: {error}\n"))?;
    let (input, output) = (folder.0.join("kernel.cpp"), folder.0.join("kernel.so"));
    fs::write(&input, whole(name, text, options)).map_err(|error| format!("cudasim: {error}\n"))?;

    let mut missing = Vec::new();
    for compiler in compilers() {
        let mut words = compiler.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or("c++"));
        command.args(words).args(FLAGS).args(vector_extensions()).args(&options.arguments);
        command.arg(&input).arg("-o").arg(&output).args(LIBRARIES);
        // Messages in English, and no file of the same name as the source beside it to quote from.
        command.env("LC_ALL", "C").current_dir(&folder.0);
        match command.output() {
            Err(_) => missing.push(compiler),
            Ok(ran) if !ran.status.success() => {
                return Err(log(&String::from_utf8_lossy(&ran.stderr), &input));
            }
            Ok(_) => {
                return fs::read(&output).map_err(|error| format!("cudasim: {error}\n"));
            }
        }
    }
    Err(format!("cudasim: no C++ compiler was found; looked for {}\n", missing.join(", ")))
}

/// The headers, the source, and the list of its kernels.
fn whole(name: &str, text: &str, options: &Options) -> String {
    let architecture = options.architecture;
    let mut whole = format!(
        "#define __CUDACC__ 1\n#define __CUDACC_RTC__ 1\n#define __CUDA_ARCH__ {}\n",
        architecture * 10
    );
    for (file, header) in HEADERS {
        let _ = write!(whole, "#line 1 \"cudasim/{file}\"\n{header}\n");
    }
    let _ = write!(whole, "#line 1 \"{name}\"\n{}\n", source::with_shared_memory(text));

    let kernels = source::kernels(text);
    whole += "#line 1 \"cudasim/kernels\"\nstatic const cudasim::Kernel cudasim_kernels[] = {\n";
    for kernel in &kernels {
        let (name, most) = (&kernel.name, kernel.most_threads.as_deref().unwrap_or("1024"));
        let _ = writeln!(
            whole,
            "cudasim::Caller<&{name}>::kernel(\"{name}\", {most}, \"{}\"),",
            kernel.parameters
        );
    }
    let _ = write!(
        whole,
        "{{}}}};\nstatic const cudasim::Module cudasim_this = \
         {{{SEAM_VERSION}, {architecture}, {}, cudasim_kernels, &cudasim::state, cudasim::__ehdr_start, cudasim::_end}};\n\
         extern \"C\" __global__ const cudasim::Module* cudasim_module() {{ return &cudasim_this; }}\n",
        kernels.len()
    );
    whole
}

fn compilers() -> Vec<String> {
    let named = env::var("CXX").ok().filter(|name| !name.trim().is_empty());
    named.into_iter().chain(["c++", "g++", "clang++"].map(String::from)).collect()
}

/// Wider registers make no difference to a result; `fmaf` without them is a function call.
#[cfg(target_arch = "x86_64")]
fn vector_extensions() -> &'static [&'static str] {
    match is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        true => &["-mavx2", "-mfma"],
        false => &[],
    }
}
#[cfg(not(target_arch = "x86_64"))]
fn vector_extensions() -> &'static [&'static str] {
    &[]
}

/// What the compiler says, in NVRTC's form: `conv.cu:12:5: error: text` becomes `conv.cu(12): error: text`.
fn log(said: &str, input: &Path) -> String {
    let mut log = String::new();
    // Without the lines that it quotes, and what it says of the file that this compiler wrote.
    let own = |line: &&str| !line.starts_with(' ') && !line.contains(&*input.to_string_lossy());
    let lines: Vec<&str> = said.lines().filter(own).collect();
    // An error in the source leads to others in what was put around it.
    let around = |line: &str| line.starts_with("cudasim/");
    let enough = lines.iter().any(|line| !around(line) && line.contains("error:"));
    for line in lines.into_iter().filter(|line| !(enough && around(line))) {
        let mut parts = line.splitn(4, ':');
        let place = (parts.next(), parts.next(), parts.next(), parts.next());
        let _ = match place {
            (Some(file), Some(number), Some(column), Some(text))
                if number.parse::<u32>().is_ok() && column.parse::<u32>().is_ok() =>
            {
                writeln!(log, "{file}({number}):{text}")
            }
            _ => writeln!(log, "{line}"),
        };
    }
    log
}

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("cudasim-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Folder(path)),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_the_form_of_nvrtcs() {
        let said = "conv.cu: In function 'void f()':\nconv.cu:12:5: error: 'x' was not declared\n   12 | x\n\
                    cudasim/kernels:3:1: error: what follows from it\n";
        let log = log(said, Path::new("/tmp/kernel.cpp"));
        assert_eq!(log, "conv.cu: In function 'void f()':\nconv.cu(12): error: 'x' was not declared\n");
    }
}
