//! Says what a kernel did wrong: which block and thread, which memory, how far outside.

use cudasim::seam::{Index, Parameter};

use crate::block::Failure;
use crate::error::Status;
use crate::graph::Call;
use crate::guard::{Place, Region, Regions};
use crate::trap::Trap;

/// All that is known of a launch.
pub struct Report<'a> {
    /// The kernel's name.
    pub kernel: String,
    /// What it was called with.
    pub call: &'a Call,
    /// Its parameters, as they stand in the source.
    pub declarations: String,
    /// And where they lie.
    pub parameters: &'a [Parameter],
    /// The device's memory.
    pub regions: &'a Regions,
    /// Pinned memory of the host.
    pub host: &'a Regions,
    /// The module's shared variables.
    pub shared: &'a [Region],
    /// Dynamic shared memory.
    pub dynamic: Option<Region>,
    /// The block that ran.
    pub block: Index,
    /// The thread that ran.
    pub thread: Index,
}

impl Report<'_> {
    /// What a failure means to CUDA, and in words.
    pub fn failure(&self, failure: &Failure) -> (Status, String) {
        let (kernel, block, thread) = (&self.kernel, list(self.block), list(self.thread));
        let here = format!("{kernel}: block {block}, thread {thread}");
        match failure {
            Failure::Diverged(text) => {
                (Status::LAUNCH_FAILED, format!("{kernel}: block {block}: threads diverge: {text}"))
            }
            Failure::Assert(text) => (Status::ASSERT, format!("{here}: {text}")),
            Failure::Trap(text) => (Status::LAUNCH_FAILED, format!("{here}: __trap() {text}")),
            Failure::Misaligned { address, alignment } => {
                let place = self.describe(*address);
                let text = format!("{here}: a vector {place}, which is no multiple of {alignment} bytes");
                (Status::MISALIGNED_ADDRESS, text)
            }
            Failure::Signal(Trap::Access { address, write }) => {
                let access = match write {
                    Some(true) => "write",
                    Some(false) => "read",
                    None => "access",
                };
                (Status::ILLEGAL_ADDRESS, format!("{here}: illegal {access} {}", self.describe(*address)))
            }
            Failure::Signal(Trap::Division) => {
                (Status::LAUNCH_FAILED, format!("{here}: an integer divided by zero"))
            }
            Failure::Signal(Trap::Instruction) => {
                (Status::ILLEGAL_INSTRUCTION, format!("{here}: an instruction that there is not"))
            }
            Failure::Signal(Trap::Stack) => {
                (Status::HARDWARE_STACK_ERROR, format!("{here}: more local variables than fit"))
            }
        }
    }

    /// A canary that the kernel has overwritten, in or around the memory it was given.
    pub fn overwritten(&self) -> Option<(Status, String)> {
        let given =
            self.pointers().filter_map(|(_, at)| self.regions.around(at).or_else(|| self.host.around(at)));
        let mut regions = given.chain(self.shared).chain(&self.dynamic);
        let at = regions.find_map(Region::overwritten)?;
        let text = format!("{}: illegal write, by an unknown thread, {}", self.kernel, self.describe(at));
        Some((Status::ILLEGAL_ADDRESS, text))
    }

    /// A pointer argument that points to nothing the device knows.
    pub fn stray_pointer(&self, globals: &std::ops::Range<usize>) -> Option<String> {
        let known = |at: usize| {
            at == 0
                || globals.contains(&at)
                || [self.regions, self.host].iter().any(|regions| regions.locate(at) != Place::Nowhere)
        };
        let (i, at) = self.pointers().find(|(_, at)| !known(*at))?;
        Some(format!("{} ({at:#x})", self.name(i)))
    }

    /// The pointers among the arguments, with their numbers.
    fn pointers(&self) -> impl Iterator<Item = (usize, usize)> {
        let pointers = self.parameters.iter().enumerate().filter(|(_, parameter)| parameter.pointer != 0);
        pointers.map(|(i, parameter)| (i, self.call.arguments.word(parameter.offset as usize)))
    }

    /// How far outside of what an address lies.
    fn describe(&self, at: usize) -> String {
        let shared = |region: &&Region| region.start.abs_diff(at) < 1 << 20;
        if let Some(region) = self.dynamic.iter().find(shared) {
            return outside(region, at, "dynamic shared memory");
        }
        if let Some(region) = self.shared.iter().min_by_key(|region| region.start.abs_diff(at)).filter(shared)
        {
            return outside(region, at, "a shared variable");
        }
        let known = |regions: &Regions, kind: &str| match regions.locate(at) {
            Place::Live(region) => Some(outside(&region, at, &self.memory(&region, kind))),
            Place::Freed(region) => {
                Some(outside(&region, at, &format!("freed {}", self.memory(&region, kind))))
            }
            Place::Nowhere => None,
        };
        known(self.regions, "device memory").or_else(|| known(self.host, "pinned memory")).unwrap_or_else(
            || match at {
                0..4096 => format!("{at} bytes behind a null pointer"),
                _ => format!("at {at:#x}, far from any memory"),
            },
        )
    }

    /// What memory is called: the parameter that points into it, where one does.
    fn memory(&self, region: &Region, kind: &str) -> String {
        let inside = |at: usize| (region.start..=region.end()).contains(&at);
        match self.pointers().find(|(_, at)| inside(*at)) {
            Some((i, _)) => format!("memory of {}", self.name(i)),
            None => kind.to_string(),
        }
    }

    /// The name of a parameter: the last word of its declaration.
    fn name(&self, parameter: usize) -> String {
        let declaration = self.declarations.split(',').nth(parameter).unwrap_or("");
        let word = |c: char| !(c.is_alphanumeric() || c == '_');
        let name = declaration.rsplit(word).find(|name| !name.is_empty());
        name.map_or_else(|| format!("argument {parameter}"), str::to_string)
    }
}

/// `4 bytes past the end of NAME (64 bytes)`.
fn outside(region: &Region, at: usize, name: &str) -> String {
    let size = format!("{name} ({} bytes)", region.len);
    if at >= region.end() {
        format!("{} bytes past the end of {size}", at - region.end())
    } else if at < region.start {
        format!("{} bytes before {size}", region.start - at)
    } else {
        format!("{} bytes into {size}", at - region.start)
    }
}

fn list(index: Index) -> String {
    format!("({}, {}, {})", index.x, index.y, index.z)
}
