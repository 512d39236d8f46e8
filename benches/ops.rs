//! Every op of the table of cases, forward and with its backward pass, and every rung of every ladder.
//! Throughput is in floating-point operations and in bytes moved (inputs read, outputs written).
//!
//! `cargo bench --bench ops` times the CPU; `VOXGRAD_BENCH_DEVICE=wgpu` (or `cuda`) another device.
//! `cargo bench --bench ops -- conv2d` times one op.

mod clock;
#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxgrad_engine::{DType, Tensor, no_grad};

use clock::{device, time};
use common::cases;

/// The ops as the engine calls them, which is with their top rung.
fn ops(criterion: &mut Criterion) {
    let device = device();
    for case in cases::all() {
        let Some(flops) = case.flops else { continue };
        let mut group = criterion.benchmark_group(case.op);
        let inputs = case.tensors(DType::F32, &device).unwrap();
        let outputs = no_grad(|| case.run(&inputs)).unwrap();
        let bytes: usize = inputs.iter().chain(&outputs).map(|x| x.numel() * x.dtype().size()).sum();
        group.throughput(Throughput::ElementsAndBytes { elements: flops, bytes: bytes as u64 });
        group.bench_function(BenchmarkId::new("forward", &case.what), |b| {
            time(b, &device, || no_grad(|| case.run(black_box(&inputs))).unwrap())
        });
        if case.differentiable {
            let upstream = Tensor::full(1.0, outputs[0].shape(), DType::F32, &device).unwrap();
            // The backward pass of a product is one product per factor: about twice the forward pass.
            let both = Throughput::ElementsAndBytes { elements: 3 * flops, bytes: 3 * bytes as u64 };
            group.throughput(both);
            group.bench_function(BenchmarkId::new("forward and backward", &case.what), |b| {
                time(b, &device, || {
                    inputs.iter().for_each(Tensor::zero_grad);
                    case.run(black_box(&inputs)).unwrap()[0].backward_with(&upstream).unwrap();
                })
            });
        }
        group.finish();
    }
}

/// Every kernel that has several rungs, rung by rung.
fn ladders(criterion: &mut Criterion) {
    let device = device();
    for ladder in cases::ladders().into_iter().filter(|ladder| ladder.flops > 1_000_000) {
        let mut group = criterion.benchmark_group(format!("{} rungs", ladder.kernel));
        let buffers = ladder.buffers(DType::F32, &device).unwrap();
        let outputs = ladder.run(usize::MAX, &buffers).unwrap();
        let bytes: usize = buffers.iter().chain(&outputs).map(|x| x.len() * x.dtype().size()).sum();
        group.throughput(Throughput::ElementsAndBytes { elements: ladder.flops, bytes: bytes as u64 });
        for (number, name) in ladder.rungs_on(&device).iter().enumerate() {
            group.bench_function(BenchmarkId::new(*name, &ladder.what), |b| {
                time(b, &device, || ladder.run(number, black_box(&buffers)).unwrap())
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = ops, ladders
}
criterion_main!(benches);
