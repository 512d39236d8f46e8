//! Memory stays where it is: a training does not grow, and a long chain of ops needs no stack.

use std::sync::Mutex;

use voxgrad_engine::ops::{ConvOptions, CrossEntropyOptions};
use voxgrad_engine::optim::{Optimizer, SGD};
use voxgrad_engine::{DType, Device, Result, Tensor, manual_seed};
use voxgrad_kernels::device::cpu::bytes_in_use;

/// The counters belong to the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The memory that the process holds now.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * resident.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
}

fn random(stream: u64, shape: &[usize]) -> Result<Tensor> {
    let number =
        |i| voxgrad_kernels::philox::uniform(voxgrad_kernels::philox::random_u32(3, stream, i)) - 0.5;
    let numbers: Vec<f32> = (0..shape.iter().product::<usize>() as u64).map(number).collect();
    Tensor::new(&numbers, shape, &Device::cpu())
}

/// A small network with one of everything that keeps something for the way back.
struct Network {
    parameters: Vec<Tensor>,
    statistics: (Tensor, Tensor),
    optimizer: SGD,
}

impl Network {
    fn new() -> Result<Network> {
        manual_seed(1);
        let shapes: [&[usize]; 6] = [&[8, 3, 3, 3], &[8], &[8], &[8], &[4, 8 * 8 * 8], &[4]];
        let parameters: Vec<Tensor> = (0..)
            .zip(shapes)
            .map(|(i, shape)| Ok(random(i, shape)?.requires_grad()))
            .collect::<Result<_>>()?;
        let statistics = (
            Tensor::zeros([8], DType::F32, &Device::cpu())?,
            Tensor::full(1.0, [8], DType::F32, &Device::cpu())?,
        );
        let optimizer = SGD::new(parameters.clone(), 0.01)?.momentum(0.9)?;
        Ok(Network { parameters, statistics, optimizer })
    }

    fn step(&mut self, x: &Tensor, labels: &Tensor) -> Result<f64> {
        let [conv, conv_bias, weight, bias, linear, linear_bias] = &self.parameters[..] else {
            unreachable!()
        };
        self.optimizer.zero_grad();
        let same = ConvOptions { padding: [1, 1], ..ConvOptions::default() };
        let (mean, var) = &self.statistics;
        let y = x
            .conv2d(conv, Some(conv_bias), same)?
            .batch_norm(Some((mean, var)), Some(weight), Some(bias), true, 0.1, 1e-5)?
            .relu()?
            .max_pool2d(2)?
            .dropout(0.2)?
            .flatten(1)?
            .linear(linear, Some(linear_bias))?;
        let loss = y.cross_entropy(labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        self.optimizer.step()?;
        loss.item()
    }
}

#[test]
fn two_hundred_steps_do_not_grow_the_process() {
    let _alone = ALONE.lock();
    let x = random(100, &[16, 3, 16, 16]).unwrap();
    let labels: Vec<u32> = (0..16).map(|i| i % 4).collect();
    let labels = Tensor::new(&labels, [16], &Device::cpu()).unwrap();
    let mut network = Network::new().unwrap();
    let first = network.step(&x, &labels).unwrap();
    for _ in 0..20 {
        network.step(&x, &labels).unwrap();
    }
    let in_use = bytes_in_use();
    #[cfg(target_os = "linux")]
    let resident = resident_bytes();
    let mut last = first;
    for step in 0..200 {
        last = network.step(&x, &labels).unwrap();
        assert_eq!(bytes_in_use(), in_use, "after step {step}");
    }
    assert!(last < first, "it does learn: loss {first} at first, {last} at last");
    #[cfg(target_os = "linux")]
    {
        // One step's tensors are about 2 MB: leaking them would be 400 MB, and one activation 25 MB.
        let grown = resident_bytes().saturating_sub(resident);
        assert!(grown < 4 << 20, "the process grew by {grown} bytes in 200 steps");
    }
}

/// The gradients of the leaves are all that a step leaves behind.
#[test]
fn backward_gives_back_what_forward_saved() {
    let _alone = ALONE.lock();
    let before = bytes_in_use();
    let x = random(1, &[64, 64]).unwrap().requires_grad();
    let with_leaf = bytes_in_use();
    let mut y = x.clone();
    for _ in 0..10 {
        y = y.tanh().unwrap();
    }
    let loss = y.sum_all().unwrap();
    drop(y);
    assert!(bytes_in_use() >= with_leaf + 10 * 64 * 64 * 4, "every tanh keeps its output");
    loss.backward().unwrap();
    assert_eq!(bytes_in_use(), with_leaf + 64 * 64 * 4 + 4, "left are the gradient and the loss");
    drop((x, loss));
    assert_eq!(bytes_in_use(), before);
}

const DEEP: usize = 100_000;

/// x + 1 + 1 + ..: every sum is made from the one before it.
fn chain(x: &Tensor) -> Tensor {
    let one = Tensor::full(1.0, [], DType::F32, &Device::cpu()).unwrap();
    (0..DEEP).fold(x.clone(), |y, _| y.add(&one).unwrap())
}

/// On a thread with a small stack, so that recursion of any kind would overflow it.
fn on_a_small_stack(test: fn()) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn a_chain_of_100_000_ops_goes_back_without_recursion() {
    let _alone = ALONE.lock();
    on_a_small_stack(|| {
        let x = Tensor::full(2.0, [], DType::F32, &Device::cpu()).unwrap().requires_grad();
        let y = chain(&x);
        assert_eq!(y.item().unwrap(), (DEEP + 2) as f64);
        y.backward().unwrap();
        assert_eq!(x.grad().unwrap().item().unwrap(), 1.0);
    });
}

#[test]
fn a_chain_of_100_000_ops_is_dropped_without_recursion() {
    let _alone = ALONE.lock();
    let before = bytes_in_use();
    on_a_small_stack(|| {
        let x = Tensor::full(2.0, [], DType::F32, &Device::cpu()).unwrap().requires_grad();
        drop(chain(&x));
        // The other way round: the last tensor outlives all before it.
        let y = chain(&x);
        drop(x);
        drop(y);
    });
    assert_eq!(bytes_in_use(), before);
}

#[test]
fn a_deep_graph_is_drawn_without_recursion() {
    let _alone = ALONE.lock();
    on_a_small_stack(|| {
        let x = Tensor::full(2.0, [], DType::F32, &Device::cpu()).unwrap().requires_grad();
        let dot = voxgrad_engine::graph::to_dot(&chain(&x));
        assert_eq!(dot.matches(" -> ").count(), DEEP);
    });
}
