//! Lists the devices that voxgrad can use on this machine, by the names that `--device` takes.

use voxgrad::Device;
use voxgrad::models::trainer::Console;

fn main() {
    let mut console = Console::stdout();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    console.say(&format!("cpu        {threads} threads"));
    for (number, adapter) in Device::wgpu_adapters().iter().enumerate() {
        let kind = if adapter.hardware { "GPU" } else { "in software" };
        let (name, backend, driver) = (&adapter.name, &adapter.backend, &adapter.driver);
        console.say(&format!("wgpu:{number:<5} {name} ({kind}, {backend}, {driver})"));
    }
    for (number, name) in Device::cuda_cards().iter().enumerate() {
        console.say(&format!("cuda:{number:<5} {name}"));
    }
    for name in ["wgpu", "cuda", "auto"] {
        console.say(&match Device::by_name(name) {
            Ok(device) => format!("{name:<10} is {device}"),
            Err(error) => format!("{name:<10} {error}"),
        });
    }
}
