//! The same seed gives the same bits, whatever the number of threads.

mod common;

use voxgrad_engine::ops::{ConvOptions, CrossEntropyOptions};
use voxgrad_engine::optim::{Adam, Optimizer};
use voxgrad_engine::random::Rng;
use voxgrad_engine::{DType, Device, Result, Tensor, manual_seed};

use common::{Case, cases, devices};

/// Runs `body` on a pool of so many threads.
fn on<R: Send>(threads: usize, body: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(body)
}

/// The losses of a few training steps and the weights after them, as bits.
fn training(seed: u64) -> Result<Vec<u32>> {
    manual_seed(seed);
    let mut rng = Rng::new(seed, 0);
    let mut random = |shape: &[usize], scale: f32| {
        let numbers: Vec<f32> = (0..shape.iter().product::<usize>()).map(|_| scale * rng.normal()).collect();
        Tensor::new(&numbers, shape, &Device::cpu())
    };
    // Large enough that every op is split between the threads.
    let images = random(&[32, 3, 32, 32], 1.0)?;
    let labels: Vec<u32> = (0..32).map(|i| i % 10).collect();
    let labels = Tensor::new(&labels, [32], &Device::cpu())?;
    let mut parameter = |shape: &[usize]| Ok::<_, voxgrad_engine::Error>(random(shape, 0.1)?.requires_grad());
    let (conv1, bias1) = (parameter(&[16, 3, 3, 3])?, parameter(&[16])?);
    let (scale, shift) = (parameter(&[16])?, parameter(&[16])?);
    let conv2 = parameter(&[24, 16, 3, 3])?;
    let (linear, bias2) = (parameter(&[10, 24 * 8 * 8])?, parameter(&[10])?);
    let mean = Tensor::zeros([16], DType::F32, &Device::cpu())?;
    let var = Tensor::full(1.0, [16], DType::F32, &Device::cpu())?;
    let parameters = [&conv1, &bias1, &scale, &shift, &conv2, &linear, &bias2].map(Tensor::clone);
    let mut optimizer = Adam::new(parameters.to_vec(), 1e-2)?;
    let same = ConvOptions { padding: [1, 1], ..ConvOptions::default() };
    let mut bits = Vec::new();
    for _ in 0..4 {
        optimizer.zero_grad();
        let loss = images
            .conv2d(&conv1, Some(&bias1), same)?
            .batch_norm(Some((&mean, &var)), Some(&scale), Some(&shift), true, 0.1, 1e-5)?
            .tanh()?
            .max_pool2d(2)?
            .dropout_channels(0.2)?
            .conv2d(&conv2, None, same)?
            .gelu()?
            .avg_pool2d(2)?
            .dropout(0.3)?
            .flatten(1)?
            .linear(&linear, Some(&bias2))?
            .cross_entropy(&labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        optimizer.step()?;
        bits.push((loss.item()? as f32).to_bits());
    }
    for tensor in parameters.iter().chain([&mean, &var]) {
        bits.extend(tensor.to_vec::<f32>()?.into_iter().map(f32::to_bits));
    }
    Ok(bits)
}

#[test]
fn a_training_gives_the_same_bits_on_1_2_and_3_threads() {
    let one = on(1, || training(42)).unwrap();
    assert!(on(2, || training(42)).unwrap() == one, "two threads give other bits than one");
    assert!(on(3, || training(42)).unwrap() == one, "three threads give other bits than one");
}

#[test]
fn a_second_run_gives_the_same_bits_and_another_seed_does_not() {
    let first = training(7).unwrap();
    assert!(training(7).unwrap() == first, "two runs with one seed differ");
    assert!(training(8).unwrap() != first, "two seeds give the same training");
}

/// The outputs and the gradients of an op, as bits.
fn bits(case: &Case, device: &Device) -> Result<Vec<u64>> {
    let inputs = case.tensors(DType::F32, device)?;
    let outputs = case.run(&inputs)?;
    if case.differentiable {
        // The gradient that arrives is the output itself: numbers that differ from one another.
        outputs[0].backward_with(&outputs[0].detach())?;
    }
    let grads = inputs.iter().filter_map(Tensor::grad);
    let all: Vec<Tensor> = outputs.iter().cloned().chain(grads).collect();
    let numbers = all.iter().map(Tensor::to_f64_vec).collect::<Result<Vec<_>>>()?;
    Ok(numbers.into_iter().flatten().map(f64::to_bits).collect())
}

/// The op that is larger than a grid is only larger: its elements do not meet.
fn cases() -> impl Iterator<Item = Case> {
    cases::all().into_iter().filter(|case| case.inputs.iter().all(|x| x.numel() < 2_000_000))
}

/// All ops were there, unless only some were asked for.
fn enough(compared: usize) {
    assert!(compared > if cases::all_asked_for() { 100 } else { 0 }, "{compared} cases");
}

#[test]
fn every_op_gives_the_same_bits_on_1_and_3_threads() {
    let mut compared = 0;
    for case in cases() {
        let run = || bits(&case, &Device::cpu());
        let (one, three) = (on(1, run).unwrap(), on(3, run).unwrap());
        assert!(one == three, "{}: one thread and three give different bits", case.name());
        compared += 1;
    }
    common::say(format!("determinism: {compared} cases give the same bits on 1 and 3 threads"));
    enough(compared);
}

#[test]
fn every_op_gives_the_same_bits_twice_on_a_gpu() {
    for device in devices::present().iter().filter(|device| **device != Device::Cpu) {
        let mut compared = 0;
        for case in cases() {
            let (first, second) = (bits(&case, device).unwrap(), bits(&case, device).unwrap());
            assert!(first == second, "{} on {device}: two runs give different bits", case.name());
            compared += 1;
        }
        common::say(format!("determinism: {compared} cases give the same bits twice on {device}"));
        enough(compared);
    }
}
