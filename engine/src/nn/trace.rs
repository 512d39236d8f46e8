//! A forward pass, op by op: what each layer made of its input, and in which one it went wrong.

use std::collections::HashMap;
use std::fmt;

use super::{Module, Slot, state};
use crate::columns::columns;
use crate::recorder::{self, Place, Record};
use crate::{Error, Result, Shape, Statistics, Tensor};

/// An op of a forward pass.
#[derive(Debug)]
pub struct Step {
    /// The dotted name of the layer whose parameters it used; empty for a function, such as tanh.
    pub layer: String,
    /// Its name; `input` for what went into the network.
    pub op: &'static str,
    /// What it gave.
    pub output: Tensor,
    /// How many numbers went in that training can change, those that no step before has used.
    pub parameters: usize,
    /// The products it added up: those of convolutions, linear layers and matrix products.
    pub multiply_adds: u64,
}

/// A forward pass: [`Module::trace`]. Its `Display` is a table of the steps: layer, op, shape, and mean,
/// deviation and share of NaN of what it gave, which reads them from the device. Where the pass failed,
/// the error stands under it.
#[derive(Debug)]
pub struct Trace {
    /// What went in, then every op in order, up to the one that failed.
    pub steps: Vec<Step>,
    /// What came out.
    pub output: Result<Tensor>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        let mut error = self.output.as_ref().err().map(Error::to_string);
        for Step { layer, op, output, .. } in &self.steps {
            match Statistics::of(output) {
                Ok(statistics) => {
                    let [_, mean, _, std, nan] = statistics.cells();
                    rows.push([layer.clone(), op.to_string(), output.shape().to_string(), mean, std, nan]);
                }
                // A device that is lost gives no numbers: not of the steps after this one either.
                Err(e) => {
                    error = Some(e.to_string());
                    break;
                }
            }
        }
        f.write_str(&columns(["layer", "op", "output", "mean", "std", "NaN"], 3, &rows))?;
        error.map_or(Ok(()), |error| writeln!(f, "error: {error}"))
    }
}

pub(super) fn trace<M: Module + ?Sized>(module: &M, x: &Tensor) -> Trace {
    let (output, records) = recorder::record(|| module.forward(x));
    let mut names = Names::of(module);
    let input =
        Step { layer: String::new(), op: "input", output: x.detach(), parameters: 0, multiply_adds: 0 };
    let steps = std::iter::once(input).chain(records.into_iter().map(|record| names.step(record)));
    Trace { steps: steps.collect(), output }
}

/// The layers of a network by the ids of their tensors.
struct Names {
    layers: HashMap<usize, Layer>,
}

struct Layer {
    /// One, or several where the network shares it, in order.
    names: Vec<String>,
    /// How often it was used.
    used: usize,
    /// The elements of this tensor, if it is a parameter.
    parameters: usize,
}

impl Names {
    fn of<M: Module + ?Sized>(module: &M) -> Names {
        let mut layers: HashMap<usize, Layer> = HashMap::new();
        for (name, slot) in state::slots(module) {
            let Some(tensor) = slot.tensor() else { continue };
            let parameters = if let Slot::Parameter(p) = slot { p.numel() } else { 0 };
            let new = Layer { names: Vec::new(), used: 0, parameters };
            layers.entry(tensor.id()).or_insert(new).names.push(layer_of(&name).to_string());
        }
        Names { layers }
    }

    fn step(&mut self, record: Record) -> Step {
        let Record { op, output, inputs, multiply_adds } = record;
        let (mut layer, mut parameters) = (None, 0);
        for id in inputs {
            let Some(found) = self.layers.get_mut(&id) else { continue };
            parameters += if found.used == 0 { found.parameters } else { 0 };
            // A layer that is used again is the next of those that share it.
            let name = &found.names[found.used.min(found.names.len() - 1)];
            layer.get_or_insert_with(|| name.clone());
            found.used += 1;
        }
        Step { layer: layer.unwrap_or_default(), op, output, parameters, multiply_adds }
    }
}

/// The layer of each tensor of a network, by the tensor's id: the first, where several share it.
pub(crate) fn layers<M: Module + ?Sized>(module: &M) -> HashMap<usize, String> {
    let mut layers = HashMap::new();
    for (name, slot) in state::slots(module) {
        if let Some(tensor) = slot.tensor() {
            layers.entry(tensor.id()).or_insert_with(|| layer_of(&name).to_string());
        }
    }
    layers
}

/// `conv1` of `conv1.weight`.
fn layer_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(layer, _)| layer)
}

/// Runs a network's forward pass; an error says in which of its layers it happened.
#[doc(hidden)]
pub fn located<M: Module + ?Sized>(
    module: &M,
    x: &Tensor,
    forward: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    let (result, place) = recorder::walk(forward);
    result.map_err(|error| {
        let name = |id| {
            let slots = state::slots(module);
            let found = slots.iter().find(|(_, slot)| slot.tensor().is_some_and(|t| t.id() == id));
            found.map(|(name, _)| layer_of(name).to_string())
        };
        let place = match place {
            Place::Start => None,
            Place::In(id) => name(id),
            Place::After(id) => name(id).map(|layer| format!("after {layer}")),
        };
        match (place, error) {
            // A block has named it already: the network around it knows the longer name.
            (Some(place), Error::Layer { source, .. }) => in_layer(place, x.shape(), source),
            (Some(place), error) => in_layer(place, x.shape(), Box::new(error)),
            (None, error) => error,
        }
    })
}

fn in_layer(place: String, given: &Shape, source: Box<Error>) -> Error {
    Error::Layer { place, given: given.clone(), source }
}
