//! How a contestant talks to `run_cpu.py`: a line comes in, a line of JSON goes out.
//!
//! ```text
//! load NET FILE OPTIMIZER LR MOMENTUM L2     {"parameters": 18090, "rss": 9000000}
//! run STEPS                                  {"seconds": [..], "losses": [..], "rss": [..], "held": 0, "peak": 0}
//! profile STEPS                              {"seconds": 0.1, "rows": [["forward", "conv2d", 0.01, flops, bytes], ..]}
//! ```
//! FILE is a safetensors file: `images`, `labels`, and the parameters in PyTorch's order. `run` begins with those
//! parameters and a new optimizer each time; a step's loss is that before its update. Memory is in bytes: of the
//! process after each step (`rss`), at its most (`peak`), and of the tensors alive at the end of a forward pass (`held`).

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

/// What a training step is.
pub struct Task {
    pub net: String,
    pub file: PathBuf,
    pub method: Method,
    /// So many times the sum of all squared parameters is added to the loss.
    pub l2: f64,
}

/// An optimizer, and how it is set.
#[derive(Clone, Copy)]
pub enum Method {
    Sgd { lr: f64, momentum: f64 },
    Adam { lr: f64 },
}

/// A network with its data, in memory.
pub trait Contest {
    /// How many numbers it learns.
    fn parameters(&self) -> usize;
    /// Back to the parameters of the file, with a new optimizer.
    fn reset(&mut self) -> Result<(), String>;
    /// Forward, loss, zero_grad, backward, optimizer step, and the loss read back.
    fn step(&mut self) -> Result<f32, String>;
    /// Bytes of tensors alive at the end of the last step's forward pass, where that is known.
    fn held(&self) -> u64 {
        0
    }
    /// Where the time of so many steps goes, where that is known: all of it, and for each phase and op the
    /// seconds, floating-point operations and bytes; the host's own time has no name.
    fn profile(&mut self, _steps: usize) -> Result<String, String> {
        Err("no profile".into())
    }
}

/// Answers the lines of standard input until there are no more.
pub fn serve<C: Contest>(load: impl Fn(&Task) -> Result<C, String>) {
    let mut contest = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match (&words[..], &mut contest) {
            (["load", task @ ..], contest) => Task::read(task).and_then(|task| {
                // The old one is gone before there is a new one.
                *contest = None;
                let parameters = contest.insert(load(&task)?).parameters();
                Ok(format!("{{\"parameters\": {parameters}, \"rss\": {}}}", memory("VmRSS:")))
            }),
            (["run", steps], Some(contest)) => text(steps.parse()).and_then(|steps| run(contest, steps)),
            (["profile", steps], Some(contest)) => {
                text(steps.parse()).and_then(|steps| contest.reset().and_then(|()| contest.profile(steps)))
            }
            _ => Err(format!("cannot do: {line}")),
        };
        let error = |error| format!("{{\"error\": {error:?}}}");
        println!("{}", answer.unwrap_or_else(error));
        let _ = std::io::stdout().flush();
    }
}

impl Task {
    fn read(words: &[&str]) -> Result<Task, String> {
        let [net, file, method, lr, momentum, l2] = words else {
            return Err("load NET FILE OPTIMIZER LR MOMENTUM L2".into());
        };
        let number = |word: &str| text(word.parse::<f64>());
        let method = match *method {
            "sgd" => Method::Sgd { lr: number(lr)?, momentum: number(momentum)? },
            "adam" => Method::Adam { lr: number(lr)? },
            other => return Err(format!("no optimizer is called {other}: sgd, adam")),
        };
        Ok(Task { net: net.to_string(), file: file.into(), method, l2: number(l2)? })
    }
}

fn run(contest: &mut impl Contest, steps: usize) -> Result<String, String> {
    contest.reset()?;
    let (mut seconds, mut losses, mut rss) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..steps {
        let start = Instant::now();
        let loss = contest.step()?;
        seconds.push(start.elapsed().as_secs_f64());
        losses.push(if loss.is_finite() { loss } else { f32::NAN });
        rss.push(memory("VmRSS:"));
    }
    Ok(format!(
        "{{\"seconds\": {seconds:?}, \"losses\": {losses:?}, \"rss\": {rss:?}, \"held\": {}, \"peak\": {}}}",
        contest.held(),
        memory("VmHWM:")
    ))
}

/// A figure of Linux about this process, in bytes; 0 elsewhere.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// An error as a line of text.
pub fn text<T, E: Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string().replace('\n', " "))
}
