//! voxgrad's part in `benches/peers/run_cpu.py`, which times training steps here and in other engines in turns.
//!
//! ```text
//! cpu_steps              a contestant: benches/peers/rust/src/serve.rs says what it is asked and answers
//! cpu_steps loader       how fast batches of CIFAR-2 are made, and what they cost a training: a line of JSON
//! ```

#[path = "peers/rust/src/serve.rs"]
mod serve;

use std::time::Instant;

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::{Adam, Optimizer, SGD};
use voxgrad_engine::profile::{Profiler, Row, span};
use voxgrad_engine::{Device, Tensor, checkpoint, manual_seed};
use voxgrad_models::Result;
use voxgrad_models::cifar2::MODELS;
use voxgrad_models::cifar10::Cifar10Cnn;
use voxgrad_models::data::cifar2::Cifar2;
use voxgrad_models::luna::model::{BiasInit, LunaModel};
use voxgrad_models::mnist::net::{Activation, cnn_with};
use voxgrad_models::penalty::Penalty;

use serve::{Contest, Method, Task, serve, text};

/// A network, its data and what trains it.
struct Training {
    model: Box<dyn Module>,
    /// What the parameters and buffers are before the first step.
    start: Vec<(String, Tensor)>,
    optimizer: Box<dyn Optimizer>,
    method: Method,
    penalty: Option<Penalty>,
    images: Tensor,
    labels: Tensor,
    held: u64,
}

fn network(name: &str) -> std::result::Result<Box<dyn Module>, String> {
    let deep = name.strip_prefix("res-deep-").and_then(|blocks| blocks.parse().ok());
    let (name, blocks) = if deep.is_some() { ("res-deep", deep) } else { (name, None) };
    Ok(match (name, MODELS.iter().find(|variant| variant.name == name)) {
        (_, Some(variant)) => text(variant.build(blocks.unwrap_or(0), false))?,
        ("mnist", _) => Box::new(text(cnn_with(Activation::ReLU, false))?),
        ("cifar10", _) => Box::new(text(Cifar10Cnn::new())?),
        ("luna", _) => Box::new(text(LunaModel::new(BiasInit::Zeros))?),
        _ => return Err(format!("no network is called {name}")),
    })
}

fn optimizer(model: &dyn Module, method: Method) -> Result<Box<dyn Optimizer>> {
    let parameters = model.parameters();
    Ok(match method {
        Method::Sgd { lr, momentum } => Box::new(SGD::new(parameters, lr)?.momentum(momentum)?),
        Method::Adam { lr } => Box::new(Adam::new(parameters, lr)?),
    })
}

impl Training {
    fn new(task: &Task) -> std::result::Result<Training, String> {
        let model = network(&task.net)?;
        let mut given = text(checkpoint::load(&task.file))?.0;
        let mut take = |name: &str| match given.iter().position(|(given, _)| given == name) {
            Some(at) => Ok(given.remove(at).1),
            None => Err(format!("{} holds no {name}", task.file.display())),
        };
        let (images, labels) = (take("images")?, take("labels")?);
        // The names of the parameters are the file's own; their order is that of all who read it.
        let mut start = text(model.state_dict())?;
        let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        if names.len() != given.len() {
            return Err(format!("{} parameters for a network of {}", given.len(), names.len()));
        }
        for (name, (_, value)) in names.iter().zip(given) {
            start.iter_mut().filter(|(own, _)| own == name).for_each(|(_, own)| *own = value.clone());
        }
        let optimizer = text(optimizer(&*model, task.method))?;
        let penalty = (task.l2 > 0.0).then_some(Penalty::L2(task.l2));
        let method = task.method;
        Ok(Training { model, start, optimizer, method, penalty, images, labels, held: 0 })
    }

    fn train(&mut self, images: &Tensor, labels: &Tensor) -> Result<f32> {
        let loss = span("forward", || {
            let loss = self.model.forward(images)?.cross_entropy(labels, &Default::default())?;
            match self.penalty {
                Some(penalty) => {
                    Ok::<_, voxgrad_models::Error>(loss.add(&penalty.of(self.optimizer.parameters())?)?)
                }
                None => Ok(loss),
            }
        })?;
        self.held = Device::Cpu.bytes_in_use();
        self.optimizer.zero_grad();
        span("backward", || loss.backward())?;
        span("optimizer", || self.optimizer.step())?;
        Ok(loss.item()? as f32)
    }
}

impl Contest for Training {
    fn parameters(&self) -> usize {
        self.model.num_parameters()
    }

    fn reset(&mut self) -> std::result::Result<(), String> {
        text(self.model.load_state_dict(&self.start))?;
        self.optimizer = text(optimizer(&*self.model, self.method))?;
        Ok(())
    }

    fn step(&mut self) -> std::result::Result<f32, String> {
        let (images, labels) = (self.images.clone(), self.labels.clone());
        text(self.train(&images, &labels))
    }

    fn held(&self) -> u64 {
        self.held
    }

    fn profile(&mut self, steps: usize) -> std::result::Result<String, String> {
        let profiler = Profiler::start().ok_or("it is being profiled already")?;
        for _ in 0..steps {
            self.step()?;
        }
        let profile = profiler.finish(&*self.model);
        let row = |row: Row| {
            let Row { phase, op, time, flops, bytes, .. } = row;
            format!("[{phase:?}, {op:?}, {:?}, {flops}, {bytes}]", time.as_secs_f64())
        };
        let rows: Vec<String> = profile.rows().into_iter().map(row).collect();
        Ok(format!("{{\"seconds\": {:?}, \"rows\": [{}]}}", profile.total.as_secs_f64(), rows.join(", ")))
    }
}

/// Images in a batch of the lesson, and how many it trains on.
const BATCH: usize = 64;
const IMAGES: usize = 10_000;
const ROUNDS: usize = 7;

/// Seconds per batch, in several rounds of an epoch each: loading alone by 0, 1 and 2 workers; the baseline's steps
/// alone, and with batches that are loaded meanwhile.
fn loader() -> Result<String> {
    manual_seed(0);
    let data = Cifar2::drawn(IMAGES, BATCH, 0, "only their number matters here")?;
    let loader = |workers| Ok(DataLoader::new(data.train.clone(), BATCH)?.shuffle(0).workers(workers));
    let loaders = [0, 1, 2].into_iter().map(loader).collect::<Result<Vec<_>>>()?;
    let model = network("baseline").map_err(voxgrad_models::Error::Usage)?;
    let method = Method::Sgd { lr: 1e-2, momentum: 0.0 };
    let one = loaders[0].epoch(0).next().transpose()?;
    let one = one.ok_or_else(|| voxgrad_models::Error::Run("an epoch without a batch".into()))?;
    let mut training = Training {
        start: Vec::new(),
        optimizer: optimizer(&*model, method)?,
        model,
        method,
        penalty: None,
        images: one.inputs,
        labels: one.targets,
        held: 0,
    };
    let batches = IMAGES.div_ceil(BATCH);
    let mut rows = vec![Vec::new(); 2 * loaders.len() + 1];
    // The first round warms up.
    for round in 0..=ROUNDS as u64 {
        let mut row = rows.iter_mut();
        let mut time = |work: &mut dyn FnMut() -> Result<()>| {
            let start = Instant::now();
            work()?;
            let seconds = start.elapsed().as_secs_f64() / batches as f64;
            row.next().filter(|_| round > 0).into_iter().for_each(|row: &mut Vec<f64>| row.push(seconds));
            Ok::<(), voxgrad_models::Error>(())
        };
        for loader in &loaders {
            time(&mut || Ok(loader.epoch(round).try_for_each(|batch| batch.map(drop))?))?;
        }
        let (images, labels) = (training.images.clone(), training.labels.clone());
        time(&mut || (0..batches).try_for_each(|_| training.train(&images, &labels).map(drop)))?;
        for loader in &loaders {
            time(&mut || {
                loader.epoch(round).try_for_each(|batch| {
                    let batch = batch?;
                    training.train(&batch.inputs, &batch.targets).map(drop)
                })
            })?;
        }
    }
    Ok(format!(
        "{{\"batch\": {BATCH}, \"load\": {:?}, \"step\": {:?}, \"both\": {:?}}}",
        &rows[..3],
        rows[3],
        &rows[4..]
    ))
}

fn main() {
    voxgrad::compute_here();
    if !std::env::args().any(|argument| argument == "loader") {
        return serve(Training::new);
    }
    match loader() {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}
