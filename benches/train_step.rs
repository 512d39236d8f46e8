//! Whole training steps of the baseline network at batch 64: forward, loss, backward, SGD.
//!
//! Throughput is in floating-point operations (of the convolutions and linear layers, the
//! backward pass counted as twice the forward pass) and in bytes of images.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::optim::{Optimizer, SGD};
use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Tensor, manual_seed, no_grad};
use voxgrad_models::cifar2::nets::Net;

const BATCH: usize = 64;
/// Multiplications of one image: two convolutions, two linear layers.
const PRODUCTS: usize = 16 * 3 * 9 * 32 * 32 + 8 * 16 * 9 * 16 * 16 + 512 * 32 + 32 * 2;

fn train_step(criterion: &mut Criterion) {
    let name = std::env::var("VOXGRAD_BENCH_DEVICE").unwrap_or_else(|_| "cpu".into());
    let device = Device::by_name(&name).unwrap_or_else(|error| panic!("{error}"));
    manual_seed(0);
    let model = Net::new().unwrap();
    model.to(&device).unwrap();
    let mut rng = Rng::new(0, 0);
    let images: Vec<f32> = (0..BATCH * 3 * 32 * 32).map(|_| rng.normal()).collect();
    let images = Tensor::new(&images, [BATCH, 3, 32, 32], &device).unwrap();
    let labels: Vec<u32> = (0..BATCH).map(|_| rng.below(2) as u32).collect();
    let labels = Tensor::new(&labels, [BATCH], &device).unwrap();
    let mut optimizer = SGD::new(model.parameters(), 1e-2).unwrap();

    let flops = 2 * (PRODUCTS * BATCH) as u64;
    let bytes = (4 * images.numel()) as u64;
    let mut group = criterion.benchmark_group("baseline, batch 64");
    group.throughput(Throughput::ElementsAndBytes { elements: flops, bytes });
    group.bench_function("forward", |b| {
        b.iter(|| {
            let logits = no_grad(|| model.forward(&images)).unwrap();
            device.synchronize().unwrap();
            logits
        })
    });
    group.throughput(Throughput::ElementsAndBytes { elements: 3 * flops, bytes });
    group.bench_function("training step", |b| {
        b.iter(|| {
            optimizer.zero_grad();
            let logits = model.forward(&images).unwrap();
            let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
            loss.backward().unwrap();
            optimizer.step().unwrap();
            device.synchronize().unwrap();
        })
    });
    group.finish();
    if device != Device::Cpu {
        let step = |optimizer: &mut SGD| {
            optimizer.zero_grad();
            let loss = model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?;
            loss.backward()?;
            optimizer.step()
        };
        host_side(&device, || step(&mut optimizer).unwrap());
    }
}

/// What a step costs the host, which is what a slow adapter in software says something about: the
/// median of 100 steps. The device is waited for after each, so that its work does not get in the way.
fn host_side(device: &Device, mut step: impl FnMut()) {
    let mut steps: Vec<[f64; 5]> = Vec::new();
    for _ in 0..100 {
        device.synchronize().unwrap();
        let before = device.counters();
        step();
        let recorded = device.counters();
        device.synchronize().unwrap();
        let after = device.counters();
        let launches = (recorded.launches - before.launches) as f64;
        let per_launch = |time: Duration| time.as_secs_f64() * 1e6 / launches;
        steps.push([
            launches,
            (after.bytes_up - before.bytes_up) as f64,
            (recorded.bytes_down - before.bytes_down) as f64,
            per_launch(recorded.launch_time - before.launch_time),
            per_launch(after.submit_time - before.submit_time),
        ]);
    }
    let median = |i: usize| {
        let mut all: Vec<f64> = steps.iter().map(|step| step[i]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!(
        "{device}: {} launches a step, {} bytes up, {} bytes down; host time per launch {:.1} us to record, \
         {:.1} us to submit",
        median(0),
        median(1),
        median(2),
        median(3),
        median(4)
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = train_step
}
criterion_main!(benches);
