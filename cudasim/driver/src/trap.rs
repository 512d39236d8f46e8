//! Catches the signals that a kernel raises: an access to a guard page, a division by zero. The handler lets the fiber on which it happened end with a [`Trap`], as if it had returned.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use corosensei::trap::CoroutineTrapHandler;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// An access to this address, which was a write if that is known.
    Access { address: usize, write: Option<bool> },
    /// No instruction at all: the compiler saw that this place cannot be reached.
    Instruction,
    /// A division of integers by zero.
    Division,
    /// More local variables than fit.
    Stack,
}

/// Whose signals are caught: the fiber that runs, and the thread of the machine that it runs on.
pub struct Watch {
    thread: libc::pthread_t,
    handler: Cell<Option<CoroutineTrapHandler<Trap>>>,
}

static WATCH: AtomicPtr<Watch> = AtomicPtr::new(std::ptr::null_mut());

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
static mut BEFORE: [Option<libc::sigaction>; SIGNALS.len()] = [None; SIGNALS.len()];

impl Watch {
    /// Begins to watch this thread, until the watch is dropped.
    pub fn begin() -> Box<Watch> {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(install);
        alternate_stack();
        let thread = unsafe { libc::pthread_self() };
        let watch = Box::new(Watch { thread, handler: Cell::new(None) });
        WATCH.store(&raw const *watch as *mut Watch, Ordering::Release);
        watch
    }

    /// The fiber that is about to run.
    pub fn on(&self, handler: CoroutineTrapHandler<Trap>) {
        self.handler.set(Some(handler));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCH.store(std::ptr::null_mut(), Ordering::Release);
    }
}

fn install() {
    for (i, signal) in SIGNALS.into_iter().enumerate() {
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            let mut before = std::mem::zeroed();
            libc::sigaction(signal, &action, &mut before);
            BEFORE[i] = Some(before);
        }
    }
}

/// A stack for the handler: the fiber's own may be full. Threads of Rust have one, others may not.
fn alternate_stack() {
    const SIZE: usize = 64 << 10;
    unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &mut stack);
        if stack.ss_flags & libc::SS_DISABLE != 0 {
            let memory: &'static mut [u8] = Box::leak(vec![0; SIZE].into_boxed_slice());
            let new = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
            libc::sigaltstack(&new, std::ptr::null_mut());
        }
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let watch = unsafe { WATCH.load(Ordering::Acquire).as_ref() };
    let handler = watch.filter(|watch| watch.thread == unsafe { libc::pthread_self() });
    let stack = machine::stack_pointer(context);
    match handler.and_then(|watch| watch.handler.get()) {
        Some(handler) if handler.stack_ptr_in_bounds(stack) => {
            let address = unsafe { (*info).si_addr() } as usize;
            let trap = match signal {
                libc::SIGFPE => Trap::Division,
                libc::SIGILL => Trap::Instruction,
                // Right below the stack: the page that guards it.
                _ if address.abs_diff(stack) < 64 << 10 => Trap::Stack,
                _ => Trap::Access { address, write: machine::was_write(context) },
            };
            unsafe { machine::leave(context, handler, trap) };
        }
        // Not a kernel's.
        _ => unsafe { hand_on(signal, info, std::ptr::from_mut(context).cast()) },
    }
}

/// Lets the handler that was there before have it.
unsafe fn hand_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let number = SIGNALS.iter().position(|known| *known == signal).unwrap_or(0);
    let before = unsafe { BEFORE[number] };
    match before {
        Some(before) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) => {
            if before.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                let handler: Handler = unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal);
            }
        }
        // The instruction is repeated when this returns, and ends the process.
        _ => unsafe {
            libc::signal(signal, libc::SIG_DFL);
        },
    }
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::*;

    fn register(context: &libc::ucontext_t, number: c_int) -> usize {
        context.uc_mcontext.gregs[number as usize] as usize
    }

    pub fn stack_pointer(context: &libc::ucontext_t) -> usize {
        register(context, libc::REG_RSP)
    }

    /// Bit 1 of a page fault's error code.
    pub fn was_write(context: &libc::ucontext_t) -> Option<bool> {
        (register(context, libc::REG_TRAPNO) == 14).then(|| register(context, libc::REG_ERR) & 2 != 0)
    }

    pub unsafe fn leave(context: &mut libc::ucontext_t, handler: CoroutineTrapHandler<Trap>, trap: Trap) {
        let to = unsafe { handler.setup_trap_handler(move || trap) };
        let registers = &mut context.uc_mcontext.gregs;
        registers[libc::REG_RIP as usize] = to.rip as i64;
        registers[libc::REG_RSP as usize] = to.rsp as i64;
        registers[libc::REG_RBP as usize] = to.rbp as i64;
        registers[libc::REG_RDI as usize] = to.rdi as i64;
        registers[libc::REG_RSI as usize] = to.rsi as i64;
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use super::*;

    pub fn stack_pointer(context: &libc::ucontext_t) -> usize {
        context.uc_mcontext.sp as usize
    }

    pub fn was_write(_: &libc::ucontext_t) -> Option<bool> {
        None
    }

    pub unsafe fn leave(context: &mut libc::ucontext_t, handler: CoroutineTrapHandler<Trap>, trap: Trap) {
        let to = unsafe { handler.setup_trap_handler(move || trap) };
        let registers = &mut context.uc_mcontext;
        registers.pc = to.pc;
        registers.sp = to.sp;
        registers.regs[0] = to.x0;
        registers.regs[1] = to.x1;
        registers.regs[29] = to.x29;
        registers.regs[30] = to.lr;
    }
}
