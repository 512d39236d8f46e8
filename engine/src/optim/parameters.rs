//! The parameters of an optimizer and what it remembers about each.

use std::collections::HashMap;
use std::fmt;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::{convert, elementwise};

use crate::{DType, Device, Error, Result, Tensor, tensor};

/// The parameters in the order they were given, with one memory each.
pub(super) struct Parameters {
    /// Whose they are, for messages.
    pub optimizer: &'static str,
    /// The names of the buffers that a memory holds.
    pub buffers: Vec<&'static str>,
    /// What new buffers are filled with.
    pub initial: f64,
    tensors: Vec<Tensor>,
    memories: Vec<Option<Memory>>,
    /// The steps that each memory had counted before the last one, of those that there were.
    before: Vec<Option<u32>>,
}

/// What an optimizer remembers about one parameter after its first step.
struct Memory {
    steps: u32,
    buffers: Vec<Storage>,
}

impl Parameters {
    /// # Errors
    /// [`Error::Value`] when there are none, one comes twice, or one is the result of an op.
    pub fn new(
        optimizer: &'static str,
        tensors: Vec<Tensor>,
        buffers: &[&'static str],
    ) -> Result<Parameters> {
        let refuse = |message| Err(Error::Value { what: optimizer, message });
        if tensors.is_empty() {
            return refuse("there are no parameters to train".into());
        }
        for (i, p) in tensors.iter().enumerate() {
            if p.node().is_some_and(|node| !node.is_leaf()) {
                return refuse(format!("parameter {i}, {p:?}, is the result of an op, not a leaf"));
            }
            if let Some(first) = tensors[..i].iter().position(|q| q.is_same(p)) {
                return refuse(format!("parameters {first} and {i} are the same tensor"));
            }
        }
        let memories = tensors.iter().map(|_| None).collect();
        Ok(Parameters {
            optimizer,
            buffers: buffers.to_vec(),
            initial: 0.0,
            tensors,
            memories,
            before: Vec::new(),
        })
    }

    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    pub fn zero_grad(&self) {
        self.tensors.iter().for_each(Tensor::zero_grad);
    }

    /// Runs `rule(step, parameter, gradient, buffers)` on every parameter that has a gradient.
    /// Steps count from 1.
    pub fn step(
        &mut self,
        rule: impl Fn(u32, &mut Storage, &Storage, &mut [Storage]) -> voxgrad_kernels::Result<()>,
    ) -> Result<()> {
        self.before = self.memories.iter().map(|memory| Some(memory.as_ref()?.steps)).collect();
        for (p, memory) in self.tensors.iter().zip(&mut self.memories) {
            let Some(grad) = p.grad() else { continue };
            let memory = match memory {
                Some(memory) => memory,
                None => {
                    // A recorded step would make it again in each replay.
                    tensor::moved();
                    memory.insert(Memory::new(p, self.buffers.len(), self.initial)?)
                }
            };
            for buffer in &mut memory.buffers {
                follow(buffer, p)?;
            }
            memory.steps = memory.steps.saturating_add(1);
            p.update(|w| Ok(rule(memory.steps, w, &grad.storage(), &mut memory.buffers)?))?;
        }
        Ok(())
    }

    /// See [`Optimizer::take_back`](super::Optimizer::take_back).
    pub fn take_back(&mut self) {
        for (memory, before) in self.memories.iter_mut().zip(&self.before) {
            match (&mut *memory, before) {
                (Some(memory), Some(steps)) => memory.steps = *steps,
                _ => *memory = None,
            }
        }
    }

    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for (i, (p, memory)) in self.tensors.iter().zip(&self.memories).enumerate() {
            let Some(memory) = memory else { continue };
            state.push((format!("step.{i}"), Tensor::new(&[memory.steps], [], &Device::cpu())?));
            for (name, buffer) in self.buffers.iter().zip(&memory.buffers) {
                state.push((format!("{name}.{i}"), Tensor::from_storage(buffer.copy()?, p.shape())));
            }
        }
        Ok(state)
    }

    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let mut problems = Vec::new();
        let mut given = HashMap::new();
        for (name, value) in state {
            if given.insert(name.as_str(), value).is_some() {
                problems.push(format!("{name} is given twice"));
            }
        }
        let mut memories = Vec::new();
        for (i, p) in self.tensors.iter().enumerate() {
            let names: Vec<String> = self.buffers.iter().map(|name| format!("{name}.{i}")).collect();
            let step = format!("step.{i}");
            if !names.iter().chain([&step]).any(|name| given.contains_key(name.as_str())) {
                // This parameter has never had a gradient.
                memories.push(None);
                continue;
            }
            let mut memory = Memory { steps: 0, buffers: Vec::new() };
            match given.remove(step.as_str()) {
                None => problems.push(format!("{step} is missing")),
                Some(value) if !value.shape().is_empty() => {
                    problems.push(format!("{step} is {}, a count is a single number []", value.shape()));
                }
                Some(value) => match value.item()? {
                    n if n >= 1.0 && n <= f64::from(u32::MAX) && n.fract() == 0.0 => memory.steps = n as u32,
                    n => problems.push(format!("{step} is {n}, not a count of steps")),
                },
            }
            for name in names {
                match given.remove(name.as_str()) {
                    None => problems.push(format!("{name} {} is missing", p.shape())),
                    Some(value) if value.shape() != p.shape() => {
                        problems.push(format!("{name} is {}, its parameter {}", value.shape(), p.shape()));
                    }
                    Some(value) if value.dtype() == DType::U32 => {
                        problems.push(format!("{name} holds {}, not floats", value.dtype()));
                    }
                    Some(value) => {
                        let mut buffer = value.storage().copy()?;
                        follow(&mut buffer, p)?;
                        memory.buffers.push(buffer);
                    }
                }
            }
            memories.push(Some(memory));
        }
        let unexpected = state.iter().filter(|(name, _)| given.contains_key(name.as_str()));
        problems.extend(unexpected.map(|(name, value)| format!("{name} {} is unexpected", value.shape())));
        if !problems.is_empty() {
            let problems = problems.join("\n  ");
            let optimizer = self.optimizer;
            return Err(Error::StateDict(format!("the state does not fit this {optimizer}:\n  {problems}")));
        }
        self.memories = memories;
        tensor::moved();
        Ok(())
    }
}

impl Memory {
    fn new(p: &Tensor, buffers: usize, initial: f64) -> Result<Memory> {
        let new = || {
            let mut buffer = Storage::empty(&p.device(), p.dtype(), p.numel())?;
            elementwise::fill(&mut buffer, initial)?;
            Ok(buffer)
        };
        Ok(Memory { steps: 0, buffers: (0..buffers).map(|_| new()).collect::<Result<_>>()? })
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors", self.tensors.len())
    }
}

/// Moves and converts `buffer` to where its parameter is: a network may move during training.
fn follow(buffer: &mut Storage, p: &Tensor) -> Result<()> {
    if buffer.device() != p.device() {
        *buffer = buffer.to_device(&p.device())?;
    }
    if buffer.dtype() != p.dtype() {
        *buffer = convert::convert(buffer, p.dtype())?;
    }
    Ok(())
}
