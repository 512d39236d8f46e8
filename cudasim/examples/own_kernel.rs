//! Runs a kernel of one's own, `extern "C" __global__ void NAME(int n, const float* x, float* y)`, on
//! x = 0, 1, 2, .. and prints y:
//!
//! ```text
//! LD_LIBRARY_PATH=$(scripts/cudasim.sh) cargo run -q -p cudasim --example own_kernel -- my.cu NAME
//! ```
//! There is nothing of the simulator in this program: with an NVIDIA GPU it runs on that.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg as _};
    use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};

    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("which file, and which kernel in it? own_kernel FILE.cu NAME [N]".into());
    };
    let n: i32 = arguments.next().map_or(Ok(64), |n| n.parse())?;

    let options = CompileOptions { name: Some(path.clone()), ..CompileOptions::default() };
    let code =
        compile_ptx_with_opts(std::fs::read_to_string(&path)?, options).map_err(|error| match error {
            CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
            other => other.to_string(),
        })?;
    let context = CudaContext::new(0)?;
    let stream = context.default_stream();
    let kernel = context.load_module(code)?.load_function(&name)?;

    let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let x = stream.clone_htod(&x)?;
    let mut y = stream.alloc_zeros::<f32>(n as usize)?;
    let grid_dim = ((n as u32).div_ceil(32), 1, 1);
    let blocks = LaunchConfig { grid_dim, block_dim: (32, 1, 1), shared_mem_bytes: 0 };
    unsafe { stream.launch_builder(&kernel).arg(&n).arg(&x).arg(&mut y).launch(blocks) }?;
    println!("{:?}", stream.clone_dtoh(&y)?);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the simulator runs on Linux only");
}
