//! Recorded training steps: on every device the same bits as steps that launch every kernel on their own, also
//! where something happens between two steps that a graph knows nothing of.

mod common;

use std::cell::Cell;
use std::process::Command;
use std::sync::Mutex;

use voxgrad::models::cifar2::nets::{Net, NetBatchNorm, NetDropout};
use voxgrad::nn::Module;
use voxgrad::ops::CrossEntropyOptions;
use voxgrad::optim::{Adam, Optimizer, SGD};
use voxgrad::random::{self, Rng};
use voxgrad::{DType, Device, Error, Result, Tensor, TrainStep, manual_seed};

use common::{devices, say};

const STEPS: usize = 8;

/// A tensor that moves, in whatever thread, makes steps be recorded anew: one test at a time, so that they can
/// count.
static ALONE: Mutex<()> = Mutex::new(());

/// What the steps of a training work on.
struct Training {
    device: Device,
    model: Box<dyn Module>,
    optimizer: Box<dyn Optimizer>,
    step: TrainStep,
    rng: Rng,
    losses: Vec<Tensor>,
}

impl Training {
    fn step(&mut self, batch: usize) -> Result<()> {
        let labels: Vec<u32> = (0..batch).map(|_| self.rng.below(2) as u32).collect();
        let pixels: Vec<f32> = (0..batch * 3072).map(|_| self.rng.normal()).collect();
        let inputs = [
            Tensor::new(&pixels, [batch, 3, 32, 32], &self.device)?,
            Tensor::new(&labels, [batch], &self.device)?,
        ];
        let model = &self.model;
        let loss = self.step.run(&mut *self.optimizer, &inputs, |batch| {
            model.forward(&batch[0])?.cross_entropy(&batch[1], &CrossEntropyOptions::default())
        })?;
        self.losses.push(loss);
        Ok(())
    }

    /// Losses, gradients, parameters and buffers, as bits.
    fn bits(&self) -> Result<Vec<u32>> {
        let mut all = Tensor::read_all::<f32>(&self.losses)?;
        let grads: Vec<Tensor> = self.model.parameters().iter().filter_map(Tensor::grad).collect();
        all.extend(Tensor::read_all::<f32>(&grads)?);
        for (_, tensor) in self.model.state_dict()? {
            all.extend(tensor.to_f64_vec()?.iter().map(|x| *x as f32));
        }
        Ok(all.iter().map(|x| x.to_bits()).collect())
    }
}

/// A training by `lesson`, whose steps are `step`: its bits, and how many of its steps were replays.
fn train(
    device: &Device,
    step: TrainStep,
    lesson: &dyn Fn(&mut Training) -> Result<()>,
    model: fn() -> Result<Box<dyn Module>>,
    optimizer: fn(&dyn Module) -> Result<Box<dyn Optimizer>>,
) -> (Vec<u32>, u64) {
    manual_seed(3);
    let model = model().unwrap();
    model.to(device).unwrap();
    model.train();
    let optimizer = optimizer(&*model).unwrap();
    let rng = Rng::new(3, 0);
    let mut training = Training { device: device.clone(), model, optimizer, step, rng, losses: Vec::new() };
    lesson(&mut training).unwrap();
    (training.bits().unwrap(), training.step.replays())
}

/// Compares both ways on every device. On CUDA so many steps must have been replays.
fn same_bits(
    name: &str,
    replays: u64,
    lesson: &dyn Fn(&mut Training) -> Result<()>,
    model: fn() -> Result<Box<dyn Module>>,
    optimizer: fn(&dyn Module) -> Result<Box<dyn Optimizer>>,
) {
    for device in devices::present() {
        let (eager, none) = train(&device, TrainStep::eager(), lesson, model, optimizer);
        let (captured, replayed) = train(&device, TrainStep::capture(), lesson, model, optimizer);
        say(format!("{name} on {device}: {replayed} replays"));
        assert!(eager == captured, "{name} on {device}: a replay gives other bits");
        let expected = if matches!(device, Device::Cuda(_)) { replays } else { 0 };
        assert_eq!((none, replayed), (0, expected), "{name} on {device}");
    }
}

fn baseline() -> Result<Box<dyn Module>> {
    Ok(Box::new(Net::new()?))
}

fn sgd(model: &dyn Module) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(SGD::new(model.parameters(), 1e-2)?))
}

#[test]
fn a_learning_rate_that_changes() {
    let _alone = ALONE.lock();
    let lesson = |training: &mut Training| {
        for i in 0..STEPS {
            training.optimizer.set_lr(1e-2 / (i + 1) as f64)?;
            training.step(4)?;
        }
        Ok(())
    };
    let optimizer = |model: &dyn Module| -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(SGD::new(model.parameters(), 1e-2)?.momentum(0.9)?))
    };
    same_bits("the baseline", STEPS as u64 - 2, &lesson, baseline, optimizer);
}

#[test]
fn dropout_and_adam_with_a_smaller_batch_between() {
    let _alone = ALONE.lock();
    let lesson = |training: &mut Training| {
        for i in 0..STEPS {
            // It draws random numbers too, and leaves other gradients.
            training.step(if i == 5 { 3 } else { 4 })?;
        }
        Ok(())
    };
    let model = || -> Result<Box<dyn Module>> { Ok(Box::new(NetDropout::new()?)) };
    let optimizer = |model: &dyn Module| -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(Adam::new(model.parameters(), 1e-3)?))
    };
    same_bits("the network with dropout", STEPS as u64 - 3, &lesson, model, optimizer);
}

#[test]
fn batch_norm_that_is_measured_between() {
    let _alone = ALONE.lock();
    let lesson = |training: &mut Training| {
        for i in 0..STEPS {
            training.step(4)?;
            if i == 4 {
                training.model.eval();
                let x = Tensor::full(0.5, [2, 3, 32, 32], DType::F32, &training.device)?;
                training.model.forward(&x)?.to_f64_vec()?;
                training.model.train();
            }
        }
        Ok(())
    };
    let model = || -> Result<Box<dyn Module>> { Ok(Box::new(NetBatchNorm::new()?)) };
    same_bits("the network with batch-norm", STEPS as u64 - 2, &lesson, model, sgd);
}

/// Weights that were replaced lie in other memory: the step is recorded anew.
#[test]
fn weights_that_are_loaded_between() {
    let _alone = ALONE.lock();
    let lesson = |training: &mut Training| {
        let mut saved = None;
        for i in 0..STEPS {
            training.step(4)?;
            if i == 2 {
                saved = Some(training.model.state_dict()?);
            }
            if i == 4 {
                training.model.load_state_dict(&saved.take().expect("saved before"))?;
            }
        }
        Ok(())
    };
    // Of steps 0 to 7, 2, 6 and 7 are replays: 3 finds its memory shared with what was saved, and before 4 and 5 the
    // weights have moved.
    same_bits("a training with saved weights", 3, &lesson, baseline, sgd);
}

/// What somebody keeps of an earlier step stays what it was.
#[test]
fn copies_keep_their_values() {
    let _alone = ALONE.lock();
    for device in devices::present() {
        let lesson = |training: &mut Training| {
            for _ in 0..4 {
                training.step(4)?;
            }
            let parameters = training.model.parameters();
            let kept: Vec<Tensor> = parameters
                .iter()
                .map(Tensor::detach)
                .chain(parameters.iter().filter_map(Tensor::grad))
                .collect();
            let before = Tensor::read_all::<f32>(&kept)?;
            training.step(4)?;
            training.step(4)?;
            assert_eq!(Tensor::read_all::<f32>(&kept)?, before, "{}", training.device);
            Ok(())
        };
        train(&device, TrainStep::capture(), &lesson, baseline, sgd);
    }
}

/// A parameter whose first gradient comes in the step that is recorded: its momentum begins there, once.
#[test]
fn a_parameter_that_joins_later() {
    let _alone = ALONE.lock();
    for device in devices::present() {
        let run = |mut step: TrainStep| -> Result<(Vec<f64>, u64)> {
            let weight = || Ok::<_, Error>(Tensor::full(1.0, [10], DType::F32, &device)?.requires_grad());
            let (w, late) = (weight()?, weight()?);
            let mut optimizer = SGD::new(vec![w.clone(), late.clone()], 0.1)?.momentum(0.9)?;
            let x = Tensor::full(0.5, [10], DType::F32, &device)?;
            let calls = Cell::new(0);
            for _ in 0..6 {
                step.run(&mut optimizer, std::slice::from_ref(&x), |x| {
                    let joined = calls.replace(calls.get() + 1) > 0;
                    let y = if joined { w.mul(&late)? } else { w.clone() };
                    y.sub(&x[0])?.square()?.sum_all()
                })?;
            }
            let all = Tensor::read_all::<f32>(&[w, late])?;
            Ok((all.into_iter().map(f64::from).collect(), step.replays()))
        };
        let ((eager, _), (captured, replays)) =
            (run(TrainStep::eager()).unwrap(), run(TrainStep::capture()).unwrap());
        assert_eq!(eager, captured, "{device}");
        // Steps 1 and 2 are recorded, the second because of the momentum that the first has made.
        assert_eq!(replays, if matches!(device, Device::Cuda(_)) { 3 } else { 0 }, "{device}");
    }
}

/// Runs a test of this file in a process of its own with a variable set, and gives what that has said.
fn in_a_child(test: &str, (name, value): (&str, &str)) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("VOXGRAD_TEST_CHILD", "1").env(name, value);
    let output = command.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{out}{err}");
    format!("{out}{err}")
}

fn is_child() -> bool {
    std::env::var_os("VOXGRAD_TEST_CHILD").is_some()
}

/// Each launch with its time, where `KERNEL_LOG=2` asks for it; with 1 the recorded ones, then one line a step.
#[test]
fn kernel_log_shows_a_training() {
    let _alone = ALONE.lock();
    let Some(device) = devices::find("cuda") else { return };
    const STEPS: usize = 4;
    const PARAMETERS: usize = 8;
    if is_child() {
        let lesson = |training: &mut Training| (0..STEPS).try_for_each(|_| training.step(2));
        train(&device, TrainStep::capture(), &lesson, baseline, sgd);
        return;
    }
    let log = |level: &str| in_a_child("kernel_log_shows_a_training", ("KERNEL_LOG", level));
    let lines = |said: &str, word: &str| said.lines().filter(|line| line.starts_with(word)).count();
    let (each, whole) = (log("2"), log("1"));
    assert_eq!(lines(&each, "sgd Sgd"), STEPS * PARAMETERS, "{each}");
    assert_eq!(lines(&whole, "sgd Sgd"), 2 * PARAMETERS, "the first step and the recorded one: {whole}");
    assert_eq!(lines(&whole, "CUDA graph of"), STEPS - 1, "{whole}");
}

/// The driver has no memory for a graph: the training goes on without, and what the recording has counted,
/// drawn and moved is taken back.
#[test]
fn a_graph_that_the_driver_refuses() {
    let _alone = ALONE.lock();
    let Some(device) = devices::find("cuda") else { return };
    if !is_child() {
        // Only the simulator can be told to.
        if device.to_string().contains("cudasim") {
            in_a_child("a_graph_that_the_driver_refuses", ("CUDASIM_FAIL", "graph:1+"));
        }
        return;
    }
    let lesson = |training: &mut Training| {
        for i in 0..4 {
            // Somebody holds the weights while the second step is recorded, so that they get other memory.
            let _held = (i == 1).then(|| training.model.state_dict());
            training.step(4)?;
        }
        Ok(())
    };
    let adam = |model: &dyn Module| -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(Adam::new(model.parameters(), 1e-3)?))
    };
    let same = |model: fn() -> Result<Box<dyn Module>>| {
        let (eager, _) = train(&device, TrainStep::eager(), &lesson, model, adam);
        let (captured, replays) = train(&device, TrainStep::capture(), &lesson, model, adam);
        assert!(eager == captured, "a recording that was given up leaves something behind");
        assert_eq!(replays, 0);
    };
    same(|| Ok(Box::new(NetDropout::new()?)));
    same(|| Ok(Box::new(NetBatchNorm::new()?)));
}

/// What a step gives beside its loss is that of its own batch, and no later step writes over it.
#[test]
fn outputs_that_are_kept() {
    let _alone = ALONE.lock();
    for device in devices::present() {
        let run = |mut step: TrainStep| -> Result<(Vec<f64>, u64)> {
            manual_seed(3);
            let w = Tensor::full(0.5, [4], DType::F32, &device)?.requires_grad();
            let mut optimizer = SGD::new(vec![w.clone()], 0.1)?;
            let mut all = Vec::new();
            for i in 0..STEPS {
                let before = w.to_f64_vec()?;
                let x = Tensor::full(i as f64, [4], DType::F32, &device)?;
                let (loss, kept) = step.run_keeping(&mut optimizer, &[x], |x| {
                    let y = x[0].mul(&w)?;
                    Ok::<_, Error>((y.square()?.mean_all()?, vec![y.clone(), y.add_scalar(1.0)?]))
                })?;
                assert!(kept.iter().all(|kept| !kept.is_tracked()), "{device}");
                let y: Vec<f64> = before.iter().map(|w| f64::from(i as f32 * *w as f32)).collect();
                assert_eq!(kept[0].to_f64_vec()?, y, "step {i} on {device}");
                all.extend([loss].into_iter().chain(kept));
            }
            let values = all.iter().map(Tensor::to_f64_vec).collect::<Result<Vec<_>>>()?;
            Ok((values.concat(), step.replays()))
        };
        let (eager, none) = run(TrainStep::eager()).unwrap();
        let (captured, replayed) = run(TrainStep::capture()).unwrap();
        assert_eq!(eager, captured, "{device}");
        let expected = if matches!(device, Device::Cuda(_)) { STEPS as u64 - 2 } else { 0 };
        assert_eq!((none, replayed), (0, expected), "{device}");
    }
}

/// A loss that reads from the device cannot be recorded, and is none the worse for it.
#[test]
fn a_step_that_reads() {
    let _alone = ALONE.lock();
    for device in devices::present() {
        let run = |mut step: TrainStep| -> Result<(Vec<f64>, u64)> {
            manual_seed(3);
            let w = Tensor::full(1.0, [100], DType::F32, &device)?.requires_grad();
            let mut optimizer = SGD::new(vec![w.clone()], 0.1)?;
            let x = Tensor::full(2.0, [100], DType::F32, &device)?;
            for _ in 0..5 {
                step.run(&mut optimizer, std::slice::from_ref(&x), |x| {
                    let y = x[0].mul(&w)?.dropout(0.5)?;
                    let sum = y.sum_all()?.item()?;
                    y.mul_scalar(1.0 / (1.0 + sum))?.square()?.mean_all()
                })?;
            }
            assert_eq!(random::rng_state().offset, 5, "one draw a step");
            Ok((w.to_f64_vec()?, step.replays()))
        };
        let (eager, captured) = (run(TrainStep::eager()).unwrap(), run(TrainStep::capture()).unwrap());
        assert_eq!(eager, captured, "{device}");
    }
}

/// An error of the loss is the caller's, whether the step is recorded or not.
#[test]
fn an_error_of_the_loss() {
    let _alone = ALONE.lock();
    for device in devices::present() {
        let w = Tensor::full(1.0, [4], DType::F32, &device).unwrap().requires_grad();
        let x = Tensor::full(1.0, [3], DType::F32, &device).unwrap();
        let mut optimizer = SGD::new(vec![w.clone()], 0.1).unwrap();
        let mut step = TrainStep::capture();
        for _ in 0..3 {
            let error = step.run(&mut optimizer, std::slice::from_ref(&x), |x| x[0].add(&w)?.sum_all());
            let error: Error = error.unwrap_err();
            assert!(error.to_string().contains("[3]"), "{error}");
        }
    }
}
