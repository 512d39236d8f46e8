//! What the compiler says: logs, options, architectures.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::CString;

use common::{simulator, status, try_compile};
use cudarc::driver::sys::CUresult::{CUDA_ERROR_NO_BINARY_FOR_GPU, CUDA_SUCCESS};
use cudarc::nvrtc::sys::nvrtcResult::NVRTC_SUCCESS;
use cudarc::nvrtc::{CompileOptions, Ptx, result, sys};

fn log(source: &str) -> String {
    try_compile(source, CompileOptions::default()).expect_err("it is wrong")
}

#[test]
fn an_error_names_the_file_and_the_line() {
    let _s = simulator();
    let source = "extern \"C\" __global__ void kernel(float* y) {\n    __shared__ float\n        tile[4];\n    y[0] = oops;\n}";
    let said = log(source);
    assert!(said.contains("test.cu(4): error:") && said.contains("'oops'"), "{said}");
    assert!(!said.contains("/tmp"), "{said}");
    let said = log("#line 7 \"conv.cu\"\n__global__ void kernel() { return 1; }");
    assert!(said.contains("conv.cu(7): error:"), "{said}");
}

#[test]
fn what_kernels_must_not_use_is_an_error() {
    let _s = simulator();
    let body = |body: &str| log(&format!("__global__ void kernel(float* y) {{ {body} }}"));
    assert!(body("atomicAdd(y, 1.0f);").contains("deleted function"));
    for (code, name) in [
        ("y[0] = __expf(y[0]);", "__expf"),
        ("y[0] = __activemask();", "__activemask"),
        ("uint32_t n;", "uint32_t"),
    ] {
        assert!(body(code).contains(&format!("'{name}'")), "{code}");
    }
    assert!(body("threadIdx.x = 1;").contains("test.cu(1): error:"));
    assert!(log("#include <math.h>\n__global__ void kernel() {}").contains("math.h"));
}

#[test]
fn options_reach_the_source() {
    let _s = simulator();
    let source =
        "static_assert(TILE == 16 && __CUDA_ARCH__ == 900, \"as given\"); __global__ void kernel() {}";
    let options = |options: &[&str]| CompileOptions {
        options: options.iter().map(ToString::to_string).collect(),
        ..CompileOptions::default()
    };
    assert!(try_compile(source, options(&["-DTILE=16", "-std=c++17", "-lineinfo"])).is_ok());
    assert!(try_compile(source, options(&["-DTILE=8"])).unwrap_err().contains("as given"));
    assert!(
        try_compile(source, options(&["--faster"])).unwrap_err().contains("unrecognized option --faster")
    );
}

#[test]
fn code_for_another_architecture_is_refused() {
    let s = simulator();
    let source = CString::new("extern \"C\" __global__ void kernel() {}").unwrap();
    let compiled = |arch: &str, machine_code: bool| unsafe {
        let program = result::create_program(&source, None).unwrap();
        result::compile_program(program, &[format!("--gpu-architecture={arch}")]).unwrap();
        let mut size = 0;
        let bytes = if machine_code {
            assert_eq!(sys::nvrtcGetCUBINSize(program, &mut size), NVRTC_SUCCESS);
            let mut bytes = vec![0; size];
            assert_eq!(sys::nvrtcGetCUBIN(program, bytes.as_mut_ptr().cast()), NVRTC_SUCCESS);
            bytes
        } else {
            result::get_ptx(program).unwrap().into_iter().map(|byte| byte as u8).collect()
        };
        result::destroy_program(program).unwrap();
        bytes
    };
    // Machine code runs on its own family, PTX on every later one.
    let cases =
        [("sm_90", true, true), ("sm_80", true, false), ("sm_100", true, false), ("sm_80", false, true)];
    for (arch, machine_code, runs) in
        cases.into_iter().chain([("compute_75", false, true), ("sm_100", false, false)])
    {
        let loaded = s.context.load_module(Ptx::from_binary(compiled(arch, machine_code)));
        let expected = if runs { CUDA_SUCCESS } else { CUDA_ERROR_NO_BINARY_FOR_GPU };
        assert_eq!(status(loaded), expected, "{arch} {machine_code}");
    }
    assert!(compiled("compute_90", true).is_empty(), "PTX alone was asked for");
}

#[test]
fn the_version_is_the_simulators_own() {
    let _s = simulator();
    let (mut major, mut minor) = (0, 0);
    assert_eq!(unsafe { sys::nvrtcVersion(&mut major, &mut minor) }, NVRTC_SUCCESS);
    assert!(major == 13 && minor >= 1000, "{major}.{minor}");
    let mut count = 0;
    assert_eq!(unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }, NVRTC_SUCCESS);
    let mut all = vec![0; count as usize];
    assert_eq!(unsafe { sys::nvrtcGetSupportedArchs(all.as_mut_ptr()) }, NVRTC_SUCCESS);
    assert!(all.contains(&75) && all.contains(&90) && all.is_sorted());
}
