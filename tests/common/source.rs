//! Where the rungs stand.

use voxgrad_engine::Device;

/// The folder of a kernel in kernels/src/ops, the files of its rungs on the CPU, and the names of those on a GPU.
fn files(kernel: &str) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
    match kernel.split('_').next().unwrap_or_default() {
        "conv2d" | "conv3d" if kernel.ends_with("weight") => {
            ("conv", &["cpu.rs", "cpu_weight.rs", "cpu_weight.rs", "cpu_weight.rs"], &["conv", "conv_tiled"])
        }
        "conv2d" | "conv3d" => {
            ("conv", &["cpu.rs", "cpu_tiled.rs", "cpu_tiled.rs", "cpu_tiled.rs"], &["conv", "conv_tiled"])
        }
        "matmul" => (
            "matmul",
            &["cpu.rs", "tile.rs", "tile.rs", "tile.rs"],
            &["matmul", "matmul_tiled", "matmul_tiled"],
        ),
        "max" | "avg" if kernel.contains("pool") => {
            ("pool", &["cpu.rs", "cpu_rows.rs"], &["pool", "pool_columns"])
        }
        "sum" => ("reduce", &["cpu.rs", "cpu.rs"], &["sum", "sum"]),
        "max" | "min" => ("reduce", &["cpu.rs"], &["extreme", "extreme"]),
        "batch" => ("batch_norm", &["cpu.rs", "cpu.rs"], &["batch_norm", "batch_norm_tree"]),
        "dropout" => ("dropout", &["cpu.rs", "cpu.rs"], &["dropout", "dropout"]),
        "softmax" => ("softmax", &["cpu.rs", "vectorised.rs"], &["softmax", "softmax"]),
        "cross" => ("cross_entropy", &["cpu.rs"], &["cross_entropy", "cross_entropy_rows"]),
        "grid" => ("grid_sample", &["cpu.rs"], &["grid_sample", "grid_sample_bricks"]),
        _ => ("elementwise", &["unary.rs", "unary.rs", "unary.rs"], &["unary"]),
    }
}

/// The files that hold a kernel's rungs on `device`, one for each.
pub fn sources(kernel: &str, device: &Device) -> Vec<String> {
    let (folder, cpu, gpu) = files(kernel);
    let path = |file: &str| format!("kernels/src/ops/{folder}/{file}");
    match device {
        Device::Cpu => cpu.iter().map(|file| path(file)).collect(),
        Device::Cuda(_) => gpu.iter().map(|name| path(&format!("{name}.cu"))).collect(),
        Device::Wgpu(_) => gpu.iter().map(|name| path(&format!("{name}.wgsl"))).collect(),
    }
}
