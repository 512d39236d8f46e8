//! Where the time goes: what this thread's steps spend in which op, forward and backward, and what between them.
//!
//! ```
//! use voxgrad_engine::nn::{Linear, Module};
//! use voxgrad_engine::profile::{Profiler, span};
//! use voxgrad_engine::{DType, Device, Tensor};
//!
//! let model = Linear::new(8, 4)?;
//! let x = Tensor::zeros(&[2, 8], DType::F32, &Device::cpu())?;
//! let profiler = Profiler::start().expect("nobody else profiles this thread");
//! let loss = span("forward", || model.forward(&x)?.sum_all())?;
//! span("backward", || loss.backward())?;
//! println!("{}", profiler.finish(&model));
//! # Ok::<(), voxgrad_engine::Error>(())
//! ```
//! An op's time is that of its kernels, by the device's clock. What is left of a phase is the host's: checks, memory,
//! the record for the way back and, on a GPU, where a profiled launch is waited for, the waiting.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use voxgrad_kernels::device::launches::{Launched, Recording};

use crate::autograd::GradNode;
use crate::nn::{Module, layers};
use crate::recorder::Place;
use crate::{Result, Tensor};

mod table;
#[cfg(test)]
mod tests;
mod trace;

pub use table::Row;

/// What an [`Event`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What [`span`] was given.
    Phase,
    /// An op, or its backward rule.
    Op,
    /// A kernel.
    Kernel,
}

/// Something that took time. Phases hold ops, and ops kernels.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// Of a kernel, the op that it computes; itself where there is none. Of an op, its name.
    pub op: &'static str,
    /// The phase that it is in; empty outside of all. Of a phase, its name.
    pub phase: &'static str,
    /// Of an op, the layer whose parameters it uses: `conv1`, or `after conv1`. Of a kernel, where its text lies.
    pub place: String,
    /// Of an op its shapes, of a kernel its parameters.
    pub what: String,
    /// When it began, after the profile did.
    pub began: Duration,
    /// How long the host was busy with it.
    pub host: Duration,
    /// Of a kernel, how long it ran by the device's clock.
    pub time: Duration,
    /// Of a kernel, its floating-point operations; 0 where nobody counted.
    pub flops: u64,
    /// Of a kernel, the bytes of its buffers.
    pub bytes: u64,
}

/// What a [`Profiler`] has seen. Its `Display` is a table: for each phase its ops, the one that took longest first.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Everything, by its beginning, and what holds something before that.
    pub events: Vec<Event>,
    /// From the start to the finish.
    pub total: Duration,
}

struct State {
    began: Instant,
    launches: Recording,
    phase: &'static str,
    /// The end of the last op or the beginning of the phase: the next op begins after it.
    mark: Instant,
    events: Vec<(Event, Option<Place>)>,
    /// Where in the network the ops were that a way back will come to.
    places: HashMap<u64, Place>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Writes down what this thread does, until it is finished or dropped.
#[derive(Debug)]
pub struct Profiler {
    /// It belongs to its thread.
    here: std::marker::PhantomData<*const ()>,
}

impl Profiler {
    /// Begins. `None` when this thread is being profiled already.
    pub fn start() -> Option<Profiler> {
        let launches = Recording::start()?;
        let began = Instant::now();
        let (events, places) = (Vec::new(), HashMap::new());
        STATE.set(Some(State { began, launches, phase: "", mark: began, events, places }));
        Some(Profiler { here: std::marker::PhantomData })
    }

    /// Ends, and gives what was seen; the layers have their names in `module`.
    pub fn finish<M: Module + ?Sized>(self, module: &M) -> Profile {
        let Some(mut state) = STATE.take() else { return Profile { events: vec![], total: Duration::ZERO } };
        let total = state.began.elapsed();
        state.take_launches("");
        let names = layers(module);
        let name = |id: usize| names.get(&id);
        let named = |(event, place): (Event, Option<Place>)| {
            let layer = match place {
                None | Some(Place::Start) => None,
                Some(Place::In(id)) => name(id).cloned(),
                Some(Place::After(id)) => name(id).map(|layer| format!("after {layer}")),
            }
            .unwrap_or_default();
            if event.kind == Kind::Kernel { event } else { Event { place: layer, ..event } }
        };
        let mut events: Vec<Event> = state.events.into_iter().map(named).collect();
        events.sort_by_key(|event| (event.began, std::cmp::Reverse(event.host), event.kind as u8));
        Profile { events, total }
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        STATE.take();
    }
}

/// Runs `body` as the phase `name`, if this thread is being profiled. A phase inside of another is part of that.
pub fn span<R>(name: &'static str, body: impl FnOnce() -> R) -> R {
    let enter = |state: &mut State| {
        state.take_launches("");
        (state.phase, state.mark) = (name, Instant::now());
        state.mark
    };
    let entered =
        STATE.with_borrow_mut(|state| state.as_mut().filter(|state| state.phase.is_empty()).map(enter));
    let result = body();
    if let Some(began) = entered {
        with(|state| {
            state.take_launches("");
            state.push(Kind::Phase, name, String::new(), began, None);
            state.phase = "";
        });
    }
    result
}

/// An op has given `output`.
pub(crate) fn forward(op: &'static str, inputs: &[&Tensor], output: &Tensor, place: Place) {
    with(|state| {
        if let Some(node) = output.node() {
            state.places.insert(node.id, place);
        }
        let began = state.take_launches(op).unwrap_or(state.mark).max(state.mark);
        let inputs: Vec<String> = inputs.iter().map(|x| format!("{:?}", x.shape())).collect();
        let shapes = format!("{} -> {:?}", inputs.join(", "), output.shape());
        state.push(Kind::Op, op, shapes, began, Some(place));
    });
}

/// Runs the backward rule of `node`, and adds up what it gives.
pub(crate) fn backward(node: &GradNode, rule: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = STATE.with_borrow_mut(|state| {
        state.as_mut().map(|state| {
            state.take_launches("");
            Instant::now()
        })
    });
    let done = rule();
    if let Some(began) = began {
        with(|state| {
            state.take_launches(node.op);
            let place = state.places.remove(&node.id);
            state.push(Kind::Op, node.op, format!("gradient {:?}", node.shape), began, place);
        });
    }
    done
}

fn with(body: impl FnOnce(&mut State)) {
    STATE.with_borrow_mut(|state| state.as_mut().map(body));
}

impl State {
    /// Writes down what was launched since the last call, as kernels of `op`. Gives when the first began.
    fn take_launches(&mut self, op: &'static str) -> Option<Instant> {
        let launches = self.launches.take();
        let first = launches.first().map(|launch| launch.began);
        for Launched { name, params, file, flops, bytes, began, host, time, .. } in launches {
            let op = if op.is_empty() { name } else { op };
            let began = began.saturating_duration_since(self.began);
            let (kind, place, phase) = (Kind::Kernel, file, self.phase);
            let event = Event { kind, name, op, phase, place, what: params, began, host, time, flops, bytes };
            self.events.push((event, None));
        }
        first
    }

    /// Writes down what ends now.
    fn push(&mut self, kind: Kind, name: &'static str, what: String, began: Instant, place: Option<Place>) {
        let now = Instant::now();
        let host = now.saturating_duration_since(began);
        let began = began.saturating_duration_since(self.began);
        let (op, phase) = (name, self.phase);
        let (time, flops, bytes) = (Duration::ZERO, 0, 0);
        let event =
            Event { kind, name, op, phase, place: String::new(), what, began, host, time, flops, bytes };
        self.events.push((event, place));
        self.mark = now;
    }
}
