//! Lists the devices that voxgrad can use on this machine, by the names that `--device` takes.

use voxgrad::Device;

fn main() {
    println!("cpu        {} threads", std::thread::available_parallelism().map_or(1, usize::from));
    for (number, adapter) in Device::wgpu_adapters().iter().enumerate() {
        let kind = if adapter.hardware { "GPU" } else { "in software" };
        println!("wgpu:{number:<5} {} ({kind}, {}, {})", adapter.name, adapter.backend, adapter.driver);
    }
    for name in ["wgpu", "cuda", "auto"] {
        match Device::by_name(name) {
            Ok(device) => println!("{name:<10} is {device}"),
            Err(error) => println!("{name:<10} {error}"),
        }
    }
}
