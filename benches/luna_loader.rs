//! Whether loading keeps up with training: the crops of LUNA, balanced and augmented, against the step of
//! the network that learns from them. Two drawn scans; batches of 32; throughput in crops.
//!
//! On a CPU loader and network share the cores, so the last group is the one that counts: how much longer a
//! step takes whose crops are loaded meanwhile. On a GPU the two times stand side by side.

mod clock;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxgrad_engine::data::{Batch, DataLoader, Epoch};
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::SGD;
use voxgrad_engine::random::Rng;
use voxgrad_engine::{TrainStep, manual_seed};
use voxgrad_models::luna::augment::Augmentation;
use voxgrad_models::luna::crop_cache::CropCache;
use voxgrad_models::luna::crops::Crops;
use voxgrad_models::luna::ct::CROP;
use voxgrad_models::luna::dataset::LunaDataset;
use voxgrad_models::luna::model::{BiasInit, LunaModel};
use voxgrad_models::luna::phantom::Phantom;
use voxgrad_models::luna::scans::Scans;

use clock::{device, time};

const BATCH: usize = 32;

fn loading(criterion: &mut Criterion) {
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let phantom = Phantom { candidates: 100, ..Phantom::default() };
    phantom.write_scans(folder.path(), 2, |_| ()).unwrap();
    let cache = CropCache::open(folder.path().join("cache"), 1 << 30).unwrap();
    let crops = Arc::new(Crops::new(Scans::open(folder.path()).unwrap(), Some(cache), 2));
    let candidates = crops.scans().join().unwrap().0;
    crops.prepare(&candidates, 2, &|_| ());
    let loader = |augmentation, workers| {
        let dataset = LunaDataset::new(crops.clone(), candidates.clone(), augmentation);
        let samples = dataset.balanced(100_000 * BATCH).unwrap();
        DataLoader::new(Arc::new(dataset), BATCH)
            .unwrap()
            .sampler(samples, 0)
            .workers(workers)
            .device(&device)
    };

    let mut group = criterion.benchmark_group("luna, a crop");
    group.throughput(Throughput::Elements(1));
    let (one, mut rng) = (crops.at(&candidates[0]).unwrap().hu, Rng::new(0, 0));
    group.bench_function("from the cache", |b| b.iter(|| crops.at(&candidates[0]).unwrap()));
    group.bench_function("mirror, move, scale and turn", |b| {
        b.iter(|| Augmentation { noise: 0.0, ..Augmentation::BOOK }.apply(one.clone(), CROP, &mut rng));
    });
    group.bench_function("noise", |b| {
        b.iter(|| Augmentation { noise: 25.0, ..Augmentation::NONE }.apply(one.clone(), CROP, &mut rng));
    });
    group.finish();

    let mut group = criterion.benchmark_group("luna, batch 32");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, augmentation) in [("as they are", Augmentation::NONE), ("augmented", Augmentation::BOOK)] {
        let mut batches = loader(augmentation, 2).epoch(0);
        group.bench_function(format!("load, {name}, 2 workers"), |b| b.iter(|| next(&mut batches)));
    }
    manual_seed(0);
    let model = LunaModel::new(BiasInit::Zeros).unwrap();
    model.to(&device).unwrap();
    let mut optimizer = SGD::new(model.parameters(), 0.001).unwrap().momentum(0.99).unwrap();
    let mut train_step = TrainStep::capture();
    let mut step = |batch: &Batch| {
        let inputs = [batch.inputs.clone(), batch.targets.clone()];
        let loss = train_step.run(&mut optimizer, &inputs, |inputs| {
            model.forward(&inputs[0])?.cross_entropy(&inputs[1], &Default::default())
        });
        loss.unwrap()
    };
    let batch = next(&mut loader(Augmentation::BOOK, 0).epoch(0));
    group.bench_function("training step", |b| time(b, &device, || step(&batch)));
    let mut batches = loader(Augmentation::BOOK, 2).epoch(0);
    group.bench_function("training step, loaded and augmented by 2 workers", |b| {
        time(b, &device, || step(&next(&mut batches)));
    });
    group.finish();
}

fn next(batches: &mut Epoch) -> Batch {
    batches.next().expect("more batches than are measured").unwrap()
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = loading
}
criterion_main!(benches);
