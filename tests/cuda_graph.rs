//! CUDA graphs: what a captured step gives, and what cannot be captured. One test at a
//! time, because they look at all the memory that the device has given.

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use voxgrad_kernels::device::CudaDevice;
use voxgrad_kernels::device::cuda::Changes;
use voxgrad_kernels::ops::dropout::{self, Dropout};
use voxgrad_kernels::ops::elementwise::{add_assign, fill};
use voxgrad_kernels::ops::optimizer::{Sgd, sgd};
use voxgrad_kernels::{DType, Device, Result, Storage, philox};

static ALONE: Mutex<()> = Mutex::new(());

/// The device, for as long as the guard is held.
fn cuda() -> Option<(MutexGuard<'static, ()>, CudaDevice)> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    match common::devices::find("cuda")? {
        Device::Cuda(gpu) => Some((alone, gpu)),
        other => panic!("{other} is no CUDA device"),
    }
}

const N: usize = 1000;
/// How far a step moves the random numbers on.
const DRAWS: u64 = 3;

/// Everything that changes from step to step: a batch, random numbers, a learning rate.
struct Training {
    batch: Storage,
    w: Storage,
    momentum: Vec<Storage>,
    offset: u64,
}

impl Training {
    fn new(gpu: &CudaDevice) -> Training {
        let gpu = Device::Cuda(gpu.clone());
        let zeros = || Storage::zeros(&gpu, DType::F32, N).unwrap();
        // So that the graph's count carries into the upper half.
        Training { batch: zeros(), w: zeros(), momentum: vec![zeros()], offset: 0xffff_fffe }
    }

    fn load(&mut self, number: u64) {
        let numbers: Vec<f32> =
            (0..N as u64).map(|i| philox::uniform(philox::random_u32(1, number, i))).collect();
        self.batch.copy_from(&Storage::from_slice(&Device::Cpu, &numbers).unwrap()).unwrap();
    }

    /// g = dropout(batch) + dropout(w), and a step by it.
    fn step(&mut self, number: u64) -> Result<Storage> {
        let mut draw = |x: &Storage| {
            self.offset += 1;
            dropout::forward(&Dropout::new(N as u32, 1, 7, self.offset), 0.3, x)
        };
        let mut g = draw(&self.batch)?;
        // Takes the memory of what is freed here, the first time round and in the graph.
        drop(draw(&self.batch)?);
        add_assign(&mut g, &draw(&self.w)?)?;
        self.update(number, &g)?;
        Ok(g)
    }

    fn update(&mut self, number: u64, g: &Storage) -> Result<()> {
        let lr = 0.1 / (number + 1) as f64;
        let first = u32::from(number == 0);
        let p = Sgd { lr, momentum: 0.9, mix: 1.0, weight_decay: 0.01, nesterov: 0, first };
        sgd(&p, &mut self.w, g, &mut self.momentum)
    }

    fn bits(&self, g: &Storage) -> Vec<u32> {
        let all = Storage::read_all::<f32>(&[g, &self.w, &self.momentum[0]]).unwrap();
        all.into_iter().map(f32::to_bits).collect()
    }
}

#[test]
fn a_graph_gives_the_bits_of_single_launches() {
    let Some((_alone, gpu)) = cuda() else { return };
    const STEPS: u64 = 6;
    /// Before this step somebody else draws so many numbers.
    const ELSEWHERE: (u64, u64) = (4, 1 << 33 | 5);

    let mut eager = Training::new(&gpu);
    let mut wanted = Vec::new();
    for number in 0..STEPS {
        if number == ELSEWHERE.0 {
            eager.offset += ELSEWHERE.1;
        }
        eager.load(number);
        let g = eager.step(number).unwrap();
        wanted.push(eager.bits(&g));
    }

    let mut training = Training::new(&gpu);
    training.load(0);
    let g = training.step(0).unwrap();
    assert!(training.bits(&g) == wanted[0]);
    let capture = gpu.begin_capture().unwrap();
    let g = training.step(1).unwrap();
    let mut graph = capture.end(DRAWS).unwrap();
    for number in 1..STEPS {
        if number == ELSEWHERE.0 {
            graph.set_clock(graph.clock() + ELSEWHERE.1).unwrap();
        }
        training.load(number);
        let (done, changes) = gpu.collect(|| training.update(number, &g)).unwrap();
        done.unwrap();
        let before = gpu.counters();
        graph.launch(Some(&changes)).unwrap();
        assert_eq!(gpu.counters().submissions, before.submissions + 1);
        assert!(training.bits(&g) == wanted[number as usize], "step {number}");
    }
    // Dropout's two buffers, the sum, the copy of the optimizer: no more than was launched.
    assert!(graph.launches() >= 5, "{graph:?}");
}

#[test]
fn nobody_else_gets_the_memory_of_a_graph() {
    let Some((_alone, gpu)) = cuda() else { return };
    let device = Device::Cuda(gpu.clone());
    let mut training = Training::new(&gpu);
    training.load(0);
    drop(training.step(0).unwrap());
    let before = gpu.bytes_in_use();
    let capture = gpu.begin_capture().unwrap();
    drop(training.step(1).unwrap());
    let mut graph = capture.end(DRAWS).unwrap();
    // What the step freed before it needed the next was used twice: two buffers at a time, and the clock.
    assert_eq!(gpu.bytes_in_use() - before, 2 * 4 * N as u64 + 8);

    let others: Vec<Storage> = (0..8)
        .map(|i| {
            let mut other = Storage::empty(&device, DType::F32, N).unwrap();
            fill(&mut other, f64::from(i)).unwrap();
            other
        })
        .collect();
    // Also the memory of what the caller drops while the graph still uses it.
    let w = std::mem::replace(&mut training.w, Storage::zeros(&device, DType::F32, N).unwrap());
    drop(w);
    let another = Storage::zeros(&device, DType::F32, N).unwrap();
    graph.launch(None).unwrap();
    for (i, other) in others.iter().enumerate() {
        assert_eq!(other.to_vec::<f32>().unwrap(), vec![i as f32; N]);
    }
    assert_eq!(another.to_vec::<f32>().unwrap(), vec![0.0; N]);
    drop((others, another));
    drop(graph);
    assert_eq!(gpu.bytes_in_use(), before);
}

#[test]
fn what_cannot_be_captured_is_an_error_and_leaves_nothing_behind() {
    let Some((_alone, gpu)) = cuda() else { return };
    let device = Device::Cuda(gpu.clone());
    let mut training = Training::new(&gpu);
    drop(training.step(0).unwrap());
    let before = gpu.bytes_in_use();
    let read = |training: &mut Training| training.w.to_vec::<f32>().map(drop);
    let upload = |training: &mut Training| {
        let numbers = Storage::from_slice(&Device::Cpu, &[1.0f32; N])?;
        training.w.copy_from(&numbers)
    };
    let wait = |_: &mut Training| Device::Cuda(CudaDevice::open(0)?).synchronize();
    type Forbidden<'a> = (&'a str, &'a dyn Fn(&mut Training) -> Result<()>);
    let all: [Forbidden; 3] =
        [("a read of 4000 bytes", &read), ("an upload of", &upload), ("a read of 0 bytes", &wait)];
    for (word, forbidden) in all {
        let capture = gpu.begin_capture().unwrap();
        let g = training.step(1).unwrap();
        for _ in 0..2 {
            let message = forbidden(&mut training).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("being captured"), "{message}");
        }
        // What follows is told the same.
        let message = training.step(2).map(drop).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
        let message = capture.end(DRAWS).map(drop).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
        drop(g);
        assert_eq!(gpu.bytes_in_use(), before);
        // And then all is as before.
        let g = training.step(2).unwrap();
        assert!(training.bits(&g).len() == 3 * N);
    }
    // A step that fails by itself: the capture is dropped.
    let capture = gpu.begin_capture().unwrap();
    let message = gpu.begin_capture().unwrap_err().to_string();
    assert!(message.contains("this thread is capturing"), "{message}");
    drop(training.step(3).unwrap());
    // Another thread's launch would become a part of it, so that one waits.
    std::thread::scope(|scope| {
        let (sender, filled) = mpsc::channel();
        let device = &device;
        scope.spawn(move || {
            sender.send(Storage::zeros(device, DType::F32, 3).and_then(|zeros| zeros.to_vec::<f32>()))
        });
        let early = filled.recv_timeout(Duration::from_millis(100));
        drop(capture);
        assert!(early.is_err(), "a launch went through while another thread captured");
        assert_eq!(filled.recv().unwrap().unwrap(), [0.0; 3]);
    });
    assert_eq!(gpu.bytes_in_use(), before);
    device.synchronize().unwrap();
}

/// A capture that another thread begins meanwhile waits, with all that it does: nothing of it becomes a part
/// of this thread's graph, or this one would set the other's clock back whenever it is launched.
#[test]
fn captures_of_two_threads_leave_each_other_alone() {
    let Some((_alone, gpu)) = cuda() else { return };
    let mut training = Training::new(&gpu);
    drop(training.step(0).unwrap());
    let mut ones = Storage::empty(&Device::Cuda(gpu.clone()), DType::F32, N).unwrap();
    fill(&mut ones, 1.0).unwrap();
    let capture = gpu.begin_capture().unwrap();
    std::thread::scope(|scope| {
        let (sender, captured) = mpsc::channel();
        let gpu = &gpu;
        scope.spawn(move || {
            let capture = gpu.begin_capture().unwrap();
            let drawn = dropout::forward(&Dropout::new(N as u32, 1, 7, 0), 0.3, &ones).unwrap();
            sender.send((capture.end(1).unwrap(), drawn)).unwrap();
        });
        std::thread::sleep(Duration::from_millis(100));
        drop(training.step(1).unwrap());
        let mut first = capture.end(DRAWS).unwrap();
        let (mut second, drawn) = captured.recv().unwrap();
        let mut bits = || {
            second.launch(None).unwrap();
            drawn.to_vec::<f32>().unwrap()
        };
        let before = bits();
        first.launch(None).unwrap();
        assert!(bits() != before, "the same random numbers twice");
    });
}

/// Memory that the pool gives up during a capture is put aside, since nobody may wait then, and freed when memory
/// is missing.
#[test]
fn what_was_put_aside_is_freed_when_memory_is_missing() {
    let Some((_alone, gpu)) = cuda() else { return };
    if std::env::var_os("VOXGRAD_TEST_CHILD").is_none() {
        // Only the simulator has as little memory as it is told.
        if gpu.name().contains("cudasim") {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "what_was_put_aside_is_freed_when_memory_is_missing", "--nocapture"]);
            command.env("VOXGRAD_TEST_CHILD", "1").env("CUDASIM_MEMORY", (90 << 20).to_string());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        return;
    }
    let device = Device::Cuda(gpu.clone());
    let mebibytes = |n: usize| Storage::empty(&device, DType::F32, n << 18);
    drop(mebibytes(40).unwrap());
    let second = mebibytes(41).unwrap();
    let capture = gpu.begin_capture().unwrap();
    // The pool never holds more than 64 MiB where no more was ever in use.
    drop(second);
    drop(capture);
    drop(mebibytes(60).unwrap());
}

#[test]
fn changes_that_do_not_fit_are_refused() {
    let Some((_alone, gpu)) = cuda() else { return };
    let mut training = Training::new(&gpu);
    drop(training.step(0).unwrap());
    let capture = gpu.begin_capture().unwrap();
    let g = training.step(1).unwrap();
    let mut graph = capture.end(DRAWS).unwrap();
    let (result, changes) = gpu.collect(|| training.step(2).map(drop)).unwrap();
    let message = result.unwrap_err().to_string();
    assert!(message.contains("no parameters that change"), "{message}");
    let message = graph.launch(Some(&changes)).unwrap_err().to_string();
    assert!(message.contains("\"sgd_momentum\"") && message.contains("\"\""), "{message}");
    let (result, changes) = gpu.collect(|| g.to_vec::<f32>().map(drop)).unwrap();
    assert!(result.unwrap_err().to_string().contains("collected"));
    assert_eq!(changes, Changes::default());
    graph.launch(None).unwrap();
}
