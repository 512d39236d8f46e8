//! Runs the threads of one block: each until it returns or has to wait for others.
//!
//! A warp runs until all of its threads stand at a barrier of the block or have returned; then comes
//! the next one. A thread that waits leaves its fiber standing and the others go on, on other fibers.
//! What nobody can complete any more is a mistake in the kernel, and is told: a barrier that a thread
//! of the block doesn't reach, a shuffle that a lane of its mask isn't part of.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, Ordering};

use cudasim::seam::{Host, Place, State, Stop, WaitKind};

use crate::fiber::{Current, Fiber, Leave};
use crate::guard::Region;
use crate::threads::Threads;
use crate::trap::{Trap, Watch};

/// Threads of a warp.
pub const WARP: usize = 32;
/// The most threads of a block.
pub const MOST_THREADS: usize = 1024;

/// Why a block ended early.
#[derive(Debug)]
pub enum Failure {
    /// The running thread did what a processor doesn't do.
    Signal(Trap),
    /// The running thread ended the launch, there.
    Trap(String),
    /// What the running thread asserted isn't so.
    Assert(String),
    /// The running thread read or wrote a vector at an address that isn't a multiple of its alignment.
    Misaligned { address: usize, alignment: c_int },
    /// Threads wait for each other that will never meet.
    Diverged(String),
}

/// What a thread waits for.
#[derive(Clone, Copy)]
struct Wait {
    kind: WaitKind,
    mask: u32,
    source: u32,
    line: c_int,
    file: *const c_char,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Hasn't begun, is running, or has returned.
    Away,
    Waiting,
    Ready,
}

/// A thread of the block.
#[derive(Clone)]
struct Thread {
    stand: Cell<Stand>,
    fiber: Cell<usize>,
    wait: Cell<Wait>,
    /// What it brings along, and later what it gets.
    value: Cell<u64>,
}

/// What the running threads and their scheduler both write to: there is one, and one launch at a time.
struct Board {
    state: Cell<*mut State>,
    run: Cell<unsafe extern "C" fn()>,
    threads: Vec<Thread>,
    /// How many of them wait.
    waiting: Cell<usize>,
    leave: Current,
    fiber: Cell<usize>,
    idle: RefCell<Vec<usize>>,
    stop: RefCell<Option<Failure>>,
    shared: RefCell<Vec<Region>>,
}

/// Runs blocks; it keeps its fibers from one to the next.
pub struct Runner {
    fibers: Vec<Fiber>,
    board: Box<Board>,
}

/// The board of the launch that runs.
static BOARD: AtomicPtr<Board> = AtomicPtr::new(std::ptr::null_mut());

fn board() -> &'static Board {
    unsafe { &*BOARD.load(Ordering::Relaxed) }
}

/// What modules may call.
pub static HOST: Host = Host { wait, stop, shared };

/// The work of a fiber: threads, until none is left to start.
fn work(leave: &Leave) {
    board().leave.set(leave);
    unsafe { (board().run.get())() };
    board().idle.borrow_mut().push(board().fiber.get());
    leave.suspend(());
}

unsafe extern "C" fn wait(
    kind: WaitKind,
    mask: u32,
    value: u64,
    source: u32,
    file: *const c_char,
    line: c_int,
) -> u64 {
    let board = board();
    let (leave, state) = (board.leave.get(), board.state.get());
    let place = unsafe { (*state).thread };
    let thread = &board.threads[place.number as usize];
    thread.stand.set(Stand::Waiting);
    thread.fiber.set(board.fiber.get());
    thread.wait.set(Wait { kind, mask, source, line, file });
    thread.value.set(value);
    board.waiting.set(board.waiting.get() + 1);
    unsafe {
        (*leave).suspend(());
        // Others ran meanwhile.
        (*state).thread = place;
    }
    board.leave.set(leave);
    thread.value.get()
}

unsafe extern "C" fn stop(why: Stop, what: *const c_void, file: *const c_char, line: c_int) {
    let board = board();
    let failure = match why {
        Stop::Trap => Failure::Trap(format!("at {}:{line}", text(file))),
        Stop::Assert => {
            Failure::Assert(format!("assert({}) failed at {}:{line}", text(what.cast()), text(file)))
        }
        Stop::Misaligned => Failure::Misaligned { address: what as usize, alignment: line },
    };
    *board.stop.borrow_mut() = Some(failure);
    loop {
        unsafe { (*board.leave.get()).suspend(()) };
    }
}

unsafe extern "C" fn shared(bytes: usize) -> *mut u8 {
    let region = Region::map(bytes).expect("memory for a shared variable");
    board().shared.borrow_mut().push(region);
    region.start as *mut u8
}

fn text(text: *const c_char) -> String {
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

impl Runner {
    /// A runner without fibers.
    pub fn new() -> Runner {
        unsafe extern "C" fn nothing() {}
        let wait = Wait { kind: WaitKind::Block, mask: 0, source: 0, line: 0, file: std::ptr::null() };
        let (stand, wait) = (Cell::new(Stand::Away), Cell::new(wait));
        let away = Thread { stand, wait, fiber: Cell::new(0), value: Cell::new(0) };
        let board = Board {
            state: Cell::new(std::ptr::null_mut()),
            run: Cell::new(nothing),
            threads: vec![away; MOST_THREADS],
            waiting: Cell::new(0),
            leave: Cell::new(std::ptr::null()),
            fiber: Cell::new(0),
            idle: RefCell::default(),
            stop: RefCell::default(),
            shared: RefCell::default(),
        };
        Runner { fibers: Vec::new(), board: Box::new(board) }
    }

    /// Gets ready for the blocks of a launch.
    pub fn begin(&mut self, threads: &Threads) -> Box<Watch> {
        self.board.state.set(threads.state);
        self.board.run.set(threads.run);
        BOARD.store(&raw mut *self.board, Ordering::Relaxed);
        Watch::begin()
    }

    /// Memory that the module asked for since it was last asked.
    pub fn take_shared(&mut self) -> Vec<Region> {
        self.board.shared.take()
    }

    /// Runs one block.
    pub fn block(&mut self, threads: &mut Threads, watch: &Watch) -> Result<(), Failure> {
        let result = self.phases(threads, watch);
        if result.is_err() {
            // Every thread that stands somewhere is forgotten.
            self.fibers = self.fibers.drain(..).map(|fiber| fiber.reset(work)).collect();
            *self.board.idle.borrow_mut() = (0..self.fibers.len()).collect();
            self.board.waiting.set(0);
            self.board.threads.iter().for_each(|thread| thread.stand.set(Stand::Away));
        }
        result
    }

    /// From the beginning to the first barrier, from there to the next, to the end.
    fn phases(&mut self, threads: &mut Threads, watch: &Watch) -> Result<(), Failure> {
        threads.arrange();
        for warp in 0..threads.warps.len() {
            let Range { start, end } = threads.warps[warp].clone();
            unsafe { ((*threads.state).next, (*threads.state).end) = (start as u32, end as u32) };
            // The module counts it up.
            let next = unsafe { &raw const (*threads.state).next };
            while unsafe { next.read_volatile() } < end as u32 {
                let fiber = self.idle_fiber();
                self.resume(fiber, watch)?;
            }
            self.warp(&threads.places[start..end], watch)?;
        }
        while self.board.waiting.get() > 0 {
            self.barrier(&threads.places)?;
            threads.arrange();
            for warp in &threads.warps {
                self.warp(&threads.places[warp.clone()], watch)?;
            }
        }
        Ok(())
    }

    /// Runs the threads of a warp until all are at a barrier of the block or have returned.
    fn warp(&mut self, places: &[Place], watch: &Watch) -> Result<(), Failure> {
        loop {
            if self.board.waiting.get() == 0 {
                return Ok(());
            }
            for place in places {
                let thread = &self.board.threads[place.number as usize];
                if thread.stand.get() == Stand::Ready {
                    thread.stand.set(Stand::Away);
                    self.board.waiting.set(self.board.waiting.get() - 1);
                    self.resume(thread.fiber.get(), watch)?;
                }
            }
            if !self.exchange(places)? {
                return Ok(());
            }
        }
    }

    fn idle_fiber(&mut self) -> usize {
        let idle = self.board.idle.borrow_mut().pop();
        idle.unwrap_or_else(|| {
            self.fibers.push(Fiber::new(self.fibers.len(), work));
            self.fibers.len() - 1
        })
    }

    fn resume(&mut self, fiber: usize, watch: &Watch) -> Result<(), Failure> {
        self.board.fiber.set(fiber);
        let fiber = &mut self.fibers[fiber];
        watch.on(fiber.trap_handler());
        fiber.resume().map_err(Failure::Signal)?;
        match self.board.stop.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets go the lanes of a warp that wait for each other. False if none waits; an error if none of
    /// those that wait can go on.
    fn exchange(&self, places: &[Place]) -> Result<bool, Failure> {
        let first = places[0].number as usize / WARP * WARP;
        let lanes = &self.board.threads[first..first + places.len()];
        let (mut released, mut stuck) = (false, None);
        for (lane, thread) in lanes.iter().enumerate() {
            let wait = thread.wait.get();
            if thread.stand.get() != Stand::Waiting || wait.kind == WaitKind::Block {
                continue;
            }
            let takes_part = |lane: usize| lane < lanes.len() && wait.mask >> lane & 1 != 0;
            if !takes_part(lane) {
                let at = self.whereabouts(first + lane);
                let text = format!("{at}, with a mask {:#x} that it is not in", wait.mask);
                return Err(Failure::Diverged(text));
            }
            let absent = (0..WARP).find(|other| takes_part(*other) && !lanes[*other].meets(&wait));
            if let Some(other) = absent {
                stuck = stuck.or(Some((first + lane, first + other)));
                continue;
            }
            let values: [u64; WARP] =
                std::array::from_fn(|lane| if takes_part(lane) { lanes[lane].value.get() } else { 0 });
            let votes = (0..WARP).fold(0, |votes, lane| votes | u64::from(values[lane] != 0) << lane);
            for lane in (0..WARP).filter(|lane| takes_part(*lane)) {
                let source = lanes[lane].wait.get().source as usize;
                if wait.kind == WaitKind::Shuffle && !takes_part(source) {
                    let at = self.whereabouts(first + lane);
                    return Err(Failure::Diverged(format!(
                        "{at}, and reads lane {source}, which takes no part"
                    )));
                }
                let value = if wait.kind == WaitKind::Shuffle { values[source] } else { votes };
                lanes[lane].release(value);
            }
            released = true;
        }
        match stuck {
            Some((lane, other)) if !released => Err(self.diverged(lane, other)),
            _ => Ok(released),
        }
    }

    /// Lets all threads of the block go, which all wait at the same barrier.
    fn barrier(&self, places: &[Place]) -> Result<(), Failure> {
        let threads = &self.board.threads[..places.len()];
        let waits = |thread: &Thread| thread.stand.get() == Stand::Waiting;
        let first = threads.iter().position(waits).unwrap_or(0);
        let wait = threads[first].wait.get();
        if let Some(other) = threads.iter().position(|thread| !thread.meets(&wait)) {
            return Err(self.diverged(first, other));
        }
        let count = threads.iter().filter(|thread| thread.value.get() != 0).count();
        threads.iter().for_each(|thread| thread.release(count as u64));
        Ok(())
    }

    fn diverged(&self, one: usize, other: usize) -> Failure {
        Failure::Diverged(format!("{}, but {}", self.whereabouts(one), self.whereabouts(other)))
    }

    /// Where a thread stands, in words.
    fn whereabouts(&self, number: usize) -> String {
        let thread = &self.board.threads[number];
        let wait = thread.wait.get();
        let size = unsafe { (*self.board.state.get()).block_size };
        let (x, y, z) = (size.x as usize, size.y as usize, size.z as usize);
        let name = format!("thread ({}, {}, {})", number % x, number / x % y, number / (x * y) % z);
        if thread.stand.get() == Stand::Away {
            return format!("{name} has returned");
        }
        let what = match wait.kind {
            WaitKind::Block => "__syncthreads",
            WaitKind::Warp => "__syncwarp",
            WaitKind::Vote => "a vote",
            WaitKind::Shuffle => "a shuffle",
        };
        format!("{name} waits in {what} at {}:{}", text(wait.file), wait.line)
    }
}

impl Thread {
    /// Whether this thread waits for the same as another.
    fn meets(&self, other: &Wait) -> bool {
        let Wait { kind, mask, line, file, .. } = self.wait.get();
        self.stand.get() == Stand::Waiting
            && (kind, mask, line) == (other.kind, other.mask, other.line)
            && (file == other.file || unsafe { CStr::from_ptr(file) == CStr::from_ptr(other.file) })
    }

    /// Lets it go on, with what it gets.
    fn release(&self, value: u64) {
        self.value.set(value);
        self.stand.set(Stand::Ready);
    }
}
