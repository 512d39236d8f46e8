//! A stack on which threads of a block run, one after the other, until one of them has to wait; its
//! fiber then stands still with it, and the next threads run on another.

use std::cell::Cell;

use corosensei::stack::{DefaultStack, Stack, StackPointer};
use corosensei::trap::CoroutineTrapHandler;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::trap::Trap;

/// Room for a thread's local variables, as much as CUDA has; what isn't touched costs nothing.
const STACK: usize = 512 << 10;

type Inner = Coroutine<(), (), Trap, Offset>;

/// How a thread leaves its fiber and gives the word back to [`Fiber::resume`].
pub type Leave = Yielder<(), ()>;

/// A fiber.
pub struct Fiber(Inner);

/// A stack that begins a little below its end, each a little further: if all began at the end of a
/// page, all would fall into the same few lines of the cache.
struct Offset {
    stack: DefaultStack,
    below: usize,
}

unsafe impl Stack for Offset {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.stack.base().get() - self.below).expect("no stack ends at address 0")
    }

    fn limit(&self) -> StackPointer {
        self.stack.limit()
    }
}

impl Fiber {
    /// A fiber, the `number`-th, that calls `work` for as long as it is resumed.
    pub fn new(number: usize, work: fn(&Leave)) -> Fiber {
        let stack = DefaultStack::new(STACK).expect("address space for a stack");
        Fiber::on(Offset { stack, below: number % 61 * 192 }, work)
    }

    fn on(stack: Offset, work: fn(&Leave)) -> Fiber {
        Fiber(Coroutine::with_stack(stack, move |leave, ()| {
            loop {
                work(leave);
            }
        }))
    }

    /// Runs until the thread on it leaves; a trap if it did what it must not do.
    pub fn resume(&mut self) -> Result<(), Trap> {
        match self.0.resume(()) {
            CoroutineResult::Yield(()) => Ok(()),
            CoroutineResult::Return(trap) => Err(trap),
        }
    }

    /// What brings a trap back to [`Fiber::resume`].
    pub fn trap_handler(&self) -> CoroutineTrapHandler<Trap> {
        self.0.trap_handler()
    }

    /// Forgets the thread that stands on it.
    pub fn reset(mut self, work: fn(&Leave)) -> Fiber {
        // What stands on the stack are frames of C++ without anything to clean up.
        unsafe { self.0.force_reset() };
        Fiber::on(self.0.into_stack(), work)
    }
}

/// A cell for the fiber that runs now.
pub type Current = Cell<*const Leave>;
