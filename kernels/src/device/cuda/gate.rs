//! Whose turn it is: while one thread captures a graph, what other threads launched would become a part of it,
//! so they wait.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::lock;

/// Lets many threads use the stream, or one that captures.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The thread that has shut the others out.
    owner: Option<ThreadId>,
    /// How many turns each thread takes at the moment: one may begin within another.
    turns: HashMap<ThreadId, usize>,
}

/// Held while something is given to the stream.
pub(super) struct Turn<'a>(&'a Gate, ThreadId);

/// Held by the thread that has shut the others out.
pub(super) struct Shut<'a>(&'a Gate);

impl Gate {
    /// Waits until no other thread has shut the gate.
    pub fn turn(&self) -> Turn<'_> {
        let this = thread::current().id();
        let mut state = lock(&self.state);
        // Whoever shuts the gate waits for the turns that have begun, so these must go on.
        while !state.turns.contains_key(&this) && state.owner.is_some_and(|owner| owner != this) {
            state = self.wait(state);
        }
        *state.turns.entry(this).or_default() += 1;
        Turn(self, this)
    }

    /// Shuts all other threads out, once their turns are over. `None` for a thread that has done so before.
    pub fn shut(&self) -> Option<Shut<'_>> {
        let this = thread::current().id();
        let mut state = lock(&self.state);
        while let Some(owner) = state.owner {
            if owner == this {
                return None;
            }
            state = self.wait(state);
        }
        state.owner = Some(this);
        while state.turns.keys().any(|thread| *thread != this) {
            state = self.wait(state);
        }
        Some(Shut(self))
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shut<'_> {
    /// Leaves the gate shut, for [`Gate::open`] to end it.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Gate {
    /// Lets the others in again.
    pub fn open(&self) {
        lock(&self.state).owner = None;
        self.changed.notify_all();
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if let Some(turns) = state.turns.get_mut(&self.1) {
            *turns -= 1;
            if *turns == 0 {
                state.turns.remove(&self.1);
            }
        }
        if state.owner.is_some() {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Turns within turns, while others shut the gate: nobody waits for ever, and nobody is inside with
    /// somebody who has shut it.
    #[test]
    fn one_thread_or_many() {
        let (gate, inside) = (Gate::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..4 {
                let (gate, inside) = (&gate, &inside);
                scope.spawn(move || {
                    for round in 0..200 {
                        if (round + number) % 10 == 0 {
                            let shut = gate.shut().expect("not shut by this thread");
                            assert!(gate.shut().is_none(), "shut twice by one thread");
                            let _mine = gate.turn();
                            assert_eq!(inside.load(Ordering::SeqCst), 0);
                            thread::sleep(Duration::from_micros(50));
                            assert_eq!(inside.load(Ordering::SeqCst), 0);
                            drop(shut);
                        } else {
                            let _turn = gate.turn();
                            inside.fetch_add(1, Ordering::SeqCst);
                            drop(gate.turn());
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
    }

    /// A turn at one device lets nobody in at another.
    #[test]
    fn two_gates() {
        let (mine, shut) = (Gate::default(), Gate::default());
        let (sender, entered) = mpsc::channel();
        thread::scope(|scope| {
            let closed = shut.shut().unwrap();
            let (mine, shut) = (&mine, &shut);
            scope.spawn(move || {
                let _turn = mine.turn();
                sender.send(()).unwrap();
                let _other = shut.turn();
                sender.send(()).unwrap();
            });
            entered.recv().unwrap();
            assert!(entered.recv_timeout(Duration::from_millis(50)).is_err(), "in while it was shut");
            drop(closed);
            entered.recv().unwrap();
        });
    }
}
