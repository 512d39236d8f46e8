//! Walking a tree of modules: names, the training flag, and the state dict.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::{Module, Slot};
use crate::checkpoint::{NAME, visible};
use crate::{DType, Device, Error, Result, Tensor, no_grad};

/// Every parameter, buffer and counter under its dotted name: a module's own first, then its
/// children's in order. A shared module comes up under each of its names.
pub(super) fn slots<M: Module + ?Sized>(module: &M) -> Vec<(String, Slot<'_>)> {
    let mut all: Vec<_> = module.tensors().into_iter().map(|(name, slot)| (name.to_string(), slot)).collect();
    for (child, module) in module.children() {
        all.extend(slots(module).into_iter().map(|(name, slot)| (format!("{child}.{name}"), slot)));
    }
    all
}

pub(super) fn set_training<M: Module + ?Sized>(module: &M, on: bool) {
    module.set_training(on);
    module.children().into_iter().for_each(|(_, child)| set_training(child, on));
}

pub(super) fn state_dict<M: Module + ?Sized>(module: &M) -> Result<Vec<(String, Tensor)>> {
    let entry = |(name, slot)| {
        let value = match slot {
            // An optimizer writes to a copy while anyone holds the old buffer: no need to copy here.
            Slot::Parameter(t) | Slot::Buffer(t) => t.detach(),
            Slot::Counter(n) => {
                let n = u32::try_from(n.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
                Tensor::new(&[n], [], &Device::cpu())?
            }
        };
        Ok((name, value))
    };
    slots(module).into_iter().map(entry).collect()
}

pub(super) fn load_state_dict<M: Module + ?Sized>(module: &M, state: &[(String, Tensor)]) -> Result<()> {
    let mut problems = Problems::default();
    let mut given = HashMap::new();
    for (name, value) in state {
        if given.insert(name.as_str(), value).is_some() {
            problems.repeated.push(visible(name, NAME));
        }
    }
    let mut ready = Vec::new();
    for (name, slot) in slots(module) {
        match given.remove(name.as_str()) {
            None => problems.missing.push(format!("{name} {}", describe(slot))),
            Some(value) => match fit(slot, value)? {
                Ok(change) => ready.push(change),
                Err(reason) => problems.unfit.push(format!("{name}: {reason}")),
            },
        }
    }
    let left = state.iter().filter(|(name, _)| given.contains_key(name.as_str()));
    problems
        .unexpected
        .extend(left.map(|(name, value)| format!("{} {}", visible(name, NAME), value.shape())));
    problems.into_result()?;
    ready.into_iter().try_for_each(Change::make)
}

/// A value that fits its slot and waits there until all the others do.
enum Change<'a> {
    Tensor(&'a Tensor, Tensor),
    Counter(&'a std::sync::atomic::AtomicU64, u64),
}

impl Change<'_> {
    fn make(self) -> Result<()> {
        match self {
            Change::Tensor(slot, value) => slot.set(&value),
            Change::Counter(slot, value) => {
                slot.store(value, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// `value` converted for `slot`, or why it doesn't fit. The outer result is the device's.
fn fit<'a>(slot: Slot<'a>, value: &Tensor) -> Result<std::result::Result<Change<'a>, String>> {
    Ok(match slot {
        Slot::Parameter(ours) | Slot::Buffer(ours) => {
            if value.shape() != ours.shape() {
                Err(format!("{} given, the network has {}", value.shape(), ours.shape()))
            } else if (value.dtype() == DType::U32) != (ours.dtype() == DType::U32) {
                Err(format!("{} given, the network has {}", value.dtype(), ours.dtype()))
            } else {
                let value = no_grad(|| value.detach().to_dtype(ours.dtype())?.to(&ours.device()))?;
                Ok(Change::Tensor(ours, value))
            }
        }
        Slot::Counter(ours) => {
            if !value.shape().is_empty() {
                Err(format!("{} given, a counter is a single number []", value.shape()))
            } else {
                match value.item()? {
                    n if (0.0..=f64::from(u32::MAX)).contains(&n) && n.fract() == 0.0 => {
                        Ok(Change::Counter(ours, n as u64))
                    }
                    n => Err(format!("{n} is not a count")),
                }
            }
        }
    })
}

fn describe(slot: Slot<'_>) -> String {
    slot.tensor().map_or_else(|| "[]".into(), |t| t.shape().to_string())
}

/// Everything that keeps a state dict from fitting a network.
#[derive(Default)]
struct Problems {
    missing: Vec<String>,
    unexpected: Vec<String>,
    unfit: Vec<String>,
    repeated: Vec<String>,
}

impl Problems {
    /// As many of a kind are listed: enough to see what network it is.
    const LISTED: usize = 12;

    fn into_result(self) -> Result<()> {
        let mut message = String::from("the state dict does not fit the network");
        let mut any = false;
        for (kind, list) in [
            ("missing: ", self.missing),
            ("unexpected: ", self.unexpected),
            ("", self.unfit),
            ("given twice: ", self.repeated),
        ] {
            any |= !list.is_empty();
            for problem in list.iter().take(Self::LISTED) {
                message.push_str(&format!("\n  {kind}{problem}"));
            }
            if list.len() > Self::LISTED {
                message.push_str(&format!("\n  {kind}and {} more", list.len() - Self::LISTED));
            }
        }
        if any { Err(Error::StateDict(message)) } else { Ok(()) }
    }
}
