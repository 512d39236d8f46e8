//! Whole training steps of the baseline network at batch 64: forward, loss, backward, SGD. On a GPU also
//! a large batch, and the chapter's other networks; with CUDA each step also captured as one graph, which
//! is how the trainer runs it.
//!
//! Throughput is in floating-point operations (of the convolutions and linear layers, the
//! backward pass counted as twice the forward pass) and in bytes of images.

mod clock;
mod networks;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::optim::SGD;
use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Result, Tensor, TrainStep, manual_seed, no_grad};

use clock::{device, time};
use networks::Network;

/// Multiplications of one image in the baseline: two convolutions, two linear layers.
const PRODUCTS: usize = 16 * 3 * 9 * 32 * 32 + 8 * 16 * 9 * 16 * 16 + 512 * 32 + 32 * 2;

/// A network with a batch, and what trains it.
struct Training {
    model: Box<dyn Module>,
    images: Tensor,
    labels: Tensor,
    optimizer: SGD,
    step: TrainStep,
}

impl Training {
    fn new(model: Box<dyn Module>, batch: usize, device: &Device) -> Result<Training> {
        model.to(device)?;
        let mut rng = Rng::new(0, 0);
        let images: Vec<f32> = (0..batch * 3 * 32 * 32).map(|_| rng.normal()).collect();
        let images = Tensor::new(&images, [batch, 3, 32, 32], device)?;
        let labels: Vec<u32> = (0..batch).map(|_| rng.below(2) as u32).collect();
        let labels = Tensor::new(&labels, [batch], device)?;
        let optimizer = SGD::new(model.parameters(), 1e-2)?;
        Ok(Training { model, images, labels, optimizer, step: TrainStep::eager() })
    }

    fn forward(&self) -> Result<Tensor> {
        no_grad(|| self.model.forward(&self.images))
    }

    fn step(&mut self) -> Result<()> {
        let batch = [self.images.clone(), self.labels.clone()];
        let model = &self.model;
        let loss = |batch: &[Tensor]| {
            model.forward(&batch[0])?.cross_entropy(&batch[1], &CrossEntropyOptions::default())
        };
        self.step.run(&mut self.optimizer, &batch, loss)?;
        Ok(())
    }

    /// Captures the step, where the device can: whether the steps from now on are replays.
    fn capture(&mut self) -> Result<bool> {
        self.step = TrainStep::capture();
        // The first one warms up, the second one is captured.
        for _ in 0..3 {
            self.step()?;
        }
        Ok(self.step.replays() > 0)
    }
}

fn train_step(criterion: &mut Criterion) {
    voxgrad::compute_here();
    let device = device();
    manual_seed(0);
    let networks = networks::all();
    // The others would take minutes on a CPU.
    let wanted = if device == Device::Cpu { 1 } else { networks.len() };
    for (i, network) in networks[..wanted].iter().enumerate() {
        let mut training = times(criterion, network, &device);
        if i == 0 && device != Device::Cpu {
            training.step = TrainStep::eager();
            host_side(&device, "launch by launch", || training.step().unwrap());
            if training.capture().is_ok_and(|captured| captured) {
                host_side(&device, "captured", || training.step().unwrap());
            }
        }
    }
}

/// Times a network's forward pass and its training step.
fn times(criterion: &mut Criterion, network: &Network, device: &Device) -> Training {
    let mut training = Training::new(network.build().unwrap(), network.batch, device).unwrap();
    let flops = 2 * (PRODUCTS * network.batch) as u64;
    let bytes = (4 * training.images.numel()) as u64;
    // Only the baseline's operations are counted.
    let throughput = |times| match network.name() {
        "baseline" => Throughput::ElementsAndBytes { elements: times * flops, bytes },
        _ => Throughput::Bytes(bytes),
    };
    let mut group = criterion.benchmark_group(network.group());
    group.throughput(throughput(1));
    group.bench_function("forward", |b| time(b, device, || training.forward().unwrap()));
    group.throughput(throughput(3));
    group.bench_function("training step", |b| time(b, device, || training.step().unwrap()));
    match (device, training.capture()) {
        (_, Ok(true)) => {
            group.bench_function("training step, captured", |b| time(b, device, || training.step().unwrap()));
        }
        // Said, so that the other networks are timed all the same.
        (Device::Cuda(_), Ok(false)) => println!("not captured: {}", network.group()),
        (_, Ok(false)) => {}
        (_, Err(error)) => println!("not captured: {}: {error}", network.group()),
    }
    group.finish();
    training
}

/// What a step costs the host, which is what a slow adapter in software says something about: the
/// median of 100 steps. The device is waited for after each, so that its work does not get in the way.
fn host_side(device: &Device, how: &str, mut step: impl FnMut()) {
    let mut steps: Vec<[f64; 6]> = Vec::new();
    for _ in 0..100 {
        device.synchronize().unwrap();
        let before = device.counters();
        let start = Instant::now();
        step();
        let busy = start.elapsed();
        let recorded = device.counters();
        device.synchronize().unwrap();
        let after = device.counters();
        let launches = (recorded.launches - before.launches) as f64;
        let per_launch = |time: Duration| time.as_secs_f64() * 1e6 / launches;
        steps.push([
            launches,
            (after.bytes_up - before.bytes_up) as f64,
            (recorded.bytes_down - before.bytes_down) as f64,
            busy.as_secs_f64() * 1e6,
            per_launch(recorded.launch_time - before.launch_time),
            per_launch(after.submit_time - before.submit_time),
        ]);
    }
    let median = |i: usize| {
        let mut all: Vec<f64> = steps.iter().map(|step| step[i]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    print!("host, {how}: launches {}, bytes up {}, bytes down {}", median(0), median(1), median(2));
    print!(", microseconds until the step returns {:.1}", median(3));
    // A graph is not recorded kernel by kernel, and CUDA's launches are not gathered.
    for (what, time) in [("record a launch", median(4)), ("submit it", median(5))] {
        if time > 0.0 {
            print!(", to {what} {time:.1}");
        }
    }
    println!();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = train_step
}
criterion_main!(benches);
