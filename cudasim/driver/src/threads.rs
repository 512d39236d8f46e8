//! The threads of a launch's blocks, in the order in which they run.

use std::ops::Range;

use cudasim::seam::{Place, State};

use crate::block::WARP;
use crate::order::{Chance, Order};

/// What a launch is made of, for all its blocks.
pub struct Threads {
    /// The module's state.
    pub state: *mut State,
    /// Calls the kernel.
    pub run: unsafe extern "C" fn(),
    /// All threads, warp by warp, in the order in which they run.
    pub places: Vec<Place>,
    /// Where each warp stands among them.
    pub warps: Vec<Range<usize>>,
    chance: Option<Chance>,
}

impl Threads {
    /// The threads of blocks of a size, in an order.
    pub fn new(state: *mut State, run: unsafe extern "C" fn(), order: Order) -> Threads {
        let size = unsafe { (*state).block_size };
        let mut places: Vec<Place> = (0..size.x * size.y * size.z)
            .map(|number| {
                let mut place = Place { number, ..Place::default() };
                place.index.x = number % size.x;
                place.index.y = number / size.x % size.y;
                place.index.z = number / size.x / size.y;
                place
            })
            .collect();
        let all = places.len();
        let mut warps: Vec<_> = (0..all).step_by(WARP).map(|start| start..all.min(start + WARP)).collect();
        if order == Order::Backward {
            places.reverse();
            warps = warps.into_iter().rev().map(|warp| all - warp.end..all - warp.start).collect();
        }
        let chance = match order {
            Order::Shuffled(seed) => Some(Chance::new(seed)),
            _ => None,
        };
        Threads { state, run, places, warps, chance }
    }

    /// The threads, in the order in which they run.
    pub fn places(&self) -> *const Place {
        self.places.as_ptr()
    }

    /// Another order of the warps and of the threads in them, where chance rules.
    pub fn arrange(&mut self) {
        if let Some(chance) = &mut self.chance {
            chance.shuffle(&mut self.warps);
            for warp in &self.warps {
                chance.shuffle(&mut self.places[warp.clone()]);
            }
        }
    }
}
