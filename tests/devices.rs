//! Networks of the lessons trained on every device: the losses of the CPU, the same bits every time,
//! and no more work for the host than it must be.

mod common;

use voxgrad::models::cifar2::nets::{Net, NetBatchNorm, NetDropout};
use voxgrad::models::luna::model::{BiasInit, LunaModel};
use voxgrad::nn::Module;
use voxgrad::ops::CrossEntropyOptions;
use voxgrad::optim::{Adam, Optimizer, SGD};
use voxgrad::random::Rng;
use voxgrad::{Device, Result, Tensor, checkpoint, manual_seed};

use std::sync::Mutex;

use common::{devices, say};

/// The counters belong to the device: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A network and its optimizer, made anew from the same seed each time.
struct Lesson {
    name: &'static str,
    model: fn() -> Result<Box<dyn Module>>,
    optimizer: fn(&dyn Module) -> Result<Box<dyn Optimizer>>,
    sample: &'static [usize],
    batch: usize,
    steps: usize,
}

const LESSONS: [Lesson; 4] = [
    Lesson {
        name: "the baseline",
        model: || Ok(Box::new(Net::new()?)),
        optimizer: |model| Ok(Box::new(SGD::new(model.parameters(), 1e-2)?)),
        sample: &[3, 32, 32],
        batch: 16,
        steps: 8,
    },
    Lesson {
        name: "the network with batch-norm",
        model: || Ok(Box::new(NetBatchNorm::new()?)),
        optimizer: |model| Ok(Box::new(SGD::new(model.parameters(), 1e-2)?.momentum(0.9)?)),
        sample: &[3, 32, 32],
        batch: 16,
        steps: 8,
    },
    Lesson {
        name: "the network with dropout",
        model: || Ok(Box::new(NetDropout::new()?)),
        optimizer: |model| Ok(Box::new(Adam::new(model.parameters(), 1e-3)?)),
        sample: &[3, 32, 32],
        batch: 16,
        steps: 8,
    },
    Lesson {
        name: "the nodule classifier",
        model: || Ok(Box::new(LunaModel::new(BiasInit::Zeros)?)),
        optimizer: |model| Ok(Box::new(SGD::new(model.parameters(), 1e-4)?.momentum(0.99)?)),
        sample: &[1, 32, 48, 48],
        batch: 2,
        steps: 2,
    },
];

/// A training in progress, and the data of one batch.
struct Training {
    model: Box<dyn Module>,
    optimizer: Box<dyn Optimizer>,
    inputs: Tensor,
    targets: Tensor,
}

impl Training {
    fn new(lesson: &Lesson, device: &Device) -> Result<Training> {
        manual_seed(5);
        let model = (lesson.model)()?;
        model.to(device)?;
        model.train();
        let optimizer = (lesson.optimizer)(&*model)?;
        let mut rng = Rng::new(5, 0);
        let shape = [&[lesson.batch], lesson.sample].concat();
        let labels: Vec<u32> = (0..lesson.batch).map(|_| rng.below(2) as u32).collect();
        // The two classes differ in brightness, so that there is something to learn.
        let each = shape[1..].iter().product::<usize>();
        let pixels = labels.iter().flat_map(|&label| std::iter::repeat_n(label as f32 - 0.5, each));
        let pixels: Vec<f32> = pixels.map(|mean| 0.5 * mean + rng.normal()).collect();
        let inputs = Tensor::new(&pixels, shape, device)?;
        let targets = Tensor::new(&labels, [lesson.batch], device)?;
        Ok(Training { model, optimizer, inputs, targets })
    }

    /// The loss, not read.
    fn step(&mut self) -> Result<Tensor> {
        let logits = self.model.forward(&self.inputs)?;
        let loss = logits.cross_entropy(&self.targets, &CrossEntropyOptions::default())?;
        self.optimizer.zero_grad();
        loss.backward()?;
        self.optimizer.step()?;
        Ok(loss.detach())
    }

    /// The losses of the lesson's steps, then all parameters, as bits.
    fn run(mut self, steps: usize) -> Result<(Vec<f32>, Vec<u32>)> {
        let losses: Vec<Tensor> = (0..steps).map(|_| self.step()).collect::<Result<_>>()?;
        let losses = Tensor::read_all::<f32>(&losses)?;
        let all = Tensor::read_all::<f32>(&self.model.parameters())?;
        let bits = losses.iter().chain(&all).map(|x| x.to_bits()).collect();
        Ok((losses, bits))
    }
}

#[test]
fn a_training_has_the_losses_of_the_cpu_and_the_same_bits_every_time() {
    let _alone = ALONE.lock();
    for lesson in &LESSONS {
        let run = |device: &Device| Training::new(lesson, device).unwrap().run(lesson.steps).unwrap();
        let (expected, _) = run(&Device::cpu());
        assert!(expected.last() < expected.first(), "{} learns nothing: {expected:?}", lesson.name);
        for device in devices::present().iter().filter(|device| **device != Device::Cpu) {
            let (losses, bits) = run(device);
            let apart = |(a, b): (&f32, &f32)| ((a - b) / b).abs();
            let worst = losses.iter().zip(&expected).map(apart).fold(0.0, f32::max);
            say(format!("{} on {device}: losses within {worst:.1e} of the CPU's", lesson.name));
            assert!(worst <= 1e-4, "{} on {device}: {losses:?}, on the CPU {expected:?}", lesson.name);
            assert!(run(device).1 == bits, "{} on {device}: a second run gives other bits", lesson.name);
        }
    }
}

/// A checkpoint says nothing of the device it comes from: on each it is the same network.
#[test]
fn a_checkpoint_of_one_device_loads_on_every_other() {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let devices = devices::present();
    for from in &devices {
        // Trained a little, so that the running means are no longer the first ones.
        let mut training = Training::new(&LESSONS[1], from).unwrap();
        for _ in 0..2 {
            training.step().unwrap();
        }
        let logits = |model: &dyn Module, x: &Tensor| {
            model.eval();
            model.forward(x).unwrap().to_vec::<f32>().unwrap()
        };
        let expected = logits(&*training.model, &training.inputs);
        checkpoint::save(&path, &training.model.state_dict().unwrap(), &Default::default()).unwrap();
        for to in &devices {
            let model = (LESSONS[1].model)().unwrap();
            model.to(to).unwrap();
            model.load_state_dict(&checkpoint::load(&path).unwrap().0).unwrap();
            let found = logits(&*model, &training.inputs.to(to).unwrap());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            say(format!("saved from {from}, loaded on {to}: logits within {worst:.1e}"));
            assert_eq!(found.len(), expected.len());
            assert!(worst <= if from == to { 0.0 } else { 1e-4 }, "from {from} to {to}: {worst}");
        }
    }
}

/// Once its buffers and pipelines are there, a step is a few dozen launches and reads nothing back.
#[test]
fn a_training_step_on_a_gpu_is_few_launches_and_no_wait() {
    let _alone = ALONE.lock();
    for device in devices::present().into_iter().filter(|device| *device != Device::Cpu) {
        let mut training = Training::new(&LESSONS[0], &device).unwrap();
        for _ in 0..2 {
            training.step().unwrap();
        }
        device.synchronize().unwrap();
        let (before, in_use) = (device.counters(), device.bytes_in_use());
        for _ in 0..10 {
            training.step().unwrap();
        }
        let after = device.counters();
        let poisonings = after.poisonings - before.poisonings;
        let launches = (after.launches - before.launches - poisonings) as f64 / 10.0;
        say(format!("a training step of the baseline on {device}: {launches} launches"));
        assert!(launches <= 40.0, "{launches} launches in a step");
        assert_eq!(after.bytes_down, before.bytes_down, "a step read something back");
        assert_eq!(device.bytes_in_use(), in_use, "the device's memory grows");
    }
}
