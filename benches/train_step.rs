//! Whole training steps of the baseline network at batch 64: forward, loss, backward, SGD. On a GPU also
//! a large batch, and the chapter's other networks.
//!
//! Throughput is in floating-point operations (of the convolutions and linear layers, the
//! backward pass counted as twice the forward pass) and in bytes of images.

mod clock;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::optim::SGD;
use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Result, Tensor, TrainStep, manual_seed, no_grad};
use voxgrad_models::cifar2::nets::Net;
use voxgrad_models::cifar2::{MODELS, Variant};

use clock::{device, time};

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
        Ok(Training { model, images, labels, optimizer, step: TrainStep::capture() })
    }

    fn forward(&self) -> Result<Tensor> {
        no_grad(|| self.model.forward(&self.images))
    }

    /// A step as the trainer makes it: on CUDA from the third one on a recorded one.
    fn step(&mut self) -> Result<()> {
        let batch = [self.images.clone(), self.labels.clone()];
        let model = &self.model;
        let loss = |batch: &[Tensor]| {
            model.forward(&batch[0])?.cross_entropy(&batch[1], &CrossEntropyOptions::default())
        };
        self.step.run(&mut self.optimizer, &batch, loss)?;
        Ok(())
    }
}

fn train_step(criterion: &mut Criterion) {
    let device = device();
    manual_seed(0);
    let mut training = baseline(criterion, 64, &device);
    if device != Device::Cpu {
        host_side(&device, || training.step().unwrap());
    }
}

fn baseline(criterion: &mut Criterion, batch: usize, device: &Device) -> Training {
    let mut training = Training::new(Box::new(Net::new().unwrap()), batch, device).unwrap();
    let flops = 2 * (PRODUCTS * batch) as u64;
    let bytes = (4 * training.images.numel()) as u64;
    let mut group = criterion.benchmark_group(format!("baseline, batch {batch}"));
    group.throughput(Throughput::ElementsAndBytes { elements: flops, bytes });
    group.bench_function("forward", |b| time(b, device, || training.forward().unwrap()));
    group.throughput(Throughput::ElementsAndBytes { elements: 3 * flops, bytes });
    group.bench_function("training step", |b| time(b, device, || training.step().unwrap()));
    group.finish();
    training
}

/// What a GPU can do with more images, and the networks that are more than the baseline trained in
/// another way. Minutes on a CPU.
fn others(criterion: &mut Criterion) {
    let device = device();
    if device == Device::Cpu {
        return;
    }
    baseline(criterion, 1024, &device);
    for name in ["width", "dropout", "batch-norm", "depth", "res", "res-deep"] {
        let find = |variant: &&Variant| variant.name == name;
        let variant = MODELS.iter().find(find).expect("the networks of the chapter");
        let blocks = variant.n_blocks.map_or(0, |_| 10);
        let mut training = Training::new(variant.build(blocks, false).unwrap(), 64, &device).unwrap();
        let of = if blocks > 0 { format!(" of {blocks} blocks") } else { String::new() };
        let mut group = criterion.benchmark_group(format!("{name}{of}, batch 64"));
        group.bench_function("forward", |b| time(b, &device, || training.forward().unwrap()));
        group.bench_function("training step", |b| time(b, &device, || training.step().unwrap()));
        group.finish();
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
    targets = train_step, others
}
criterion_main!(benches);
