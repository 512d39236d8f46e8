//! Where in a network this thread is, and what its ops have given.
//!
//! An op that uses a parameter belongs to that parameter's layer. Ops say which one they begin with, so an
//! error can name its layer; and every result passes [`end`], where it is written down if somebody asked.
//! A network's layers need do nothing for it.

use std::cell::{Cell, RefCell};

use crate::{Tensor, profile};

/// A place in the walk through a network, by a tensor of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the first layer.
    Start,
    /// In the layer that has the tensor of this [`Tensor::id`].
    In(usize),
    /// After that layer, and before the next.
    After(usize),
}

/// An op that has run: its name, its result, and the ids of what went in.
pub(crate) struct Record {
    pub op: &'static str,
    pub output: Tensor,
    pub inputs: Vec<usize>,
    pub multiply_adds: u64,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Start) };
    /// How many networks this thread is in: a block inside a network is one too.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// Sets a cell back when it goes, by a return or a panic.
struct Restore<F: FnMut()>(F);

impl<F: FnMut()> Drop for Restore<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `forward` of a network and says where it ended.
pub(crate) fn walk<R>(forward: impl FnOnce() -> R) -> (R, Place) {
    let depth = DEPTH.get();
    let _restore = Restore(|| DEPTH.set(depth));
    DEPTH.set(depth + 1);
    if depth == 0 {
        PLACE.set(Place::Start);
    }
    (forward(), PLACE.get())
}

/// An op with this parameter begins.
pub(crate) fn begin(parameter: &Tensor) {
    PLACE.set(Place::In(parameter.id()));
}

/// An op has given its result.
pub(crate) fn end(op: &'static str, inputs: &[&Tensor], output: &Tensor) {
    let place = PLACE.get();
    if let Place::In(layer) = place {
        PLACE.set(Place::After(layer));
    }
    profile::forward(op, inputs, output, place);
    RECORDS.with_borrow_mut(|records| {
        if let Some(records) = records {
            let (output, multiply_adds) = (output.detach(), multiply_adds(op, inputs, output));
            let inputs = inputs.iter().map(|input| input.id()).collect();
            records.push(Record { op, output, inputs, multiply_adds });
        }
    });
}

/// Whether the ops on this thread are being listed.
pub(crate) fn is_recording() -> bool {
    RECORDS.with_borrow(Option::is_some)
}

/// Runs `body` and lists the ops that it ran on this thread.
pub(crate) fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<Record>) {
    let mut outer = RECORDS.replace(Some(Vec::new()));
    let restore = Restore(|| drop(RECORDS.replace(outer.take())));
    let result = body();
    let records = RECORDS.take().unwrap_or_default();
    drop(restore);
    (result, records)
}

/// How many products an op adds up: the terms of one element of the result, times the elements.
fn multiply_adds(op: &str, inputs: &[&Tensor], output: &Tensor) -> u64 {
    let terms: usize = match (op, inputs) {
        // weight: [out, in / groups, kernel..]
        ("conv2d" | "conv3d" | "linear", [_, weight, ..]) => weight.shape()[1..].iter().product(),
        ("matmul", [a, _]) => a.shape().last().copied().unwrap_or(0),
        _ => 0,
    };
    terms as u64 * output.numel() as u64
}
