//! What the device does with launches: run them, gather them in a graph, or keep what they change of one.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use cudarc::driver::sys::{CUDA_KERNEL_NODE_PARAMS, CUdeviceptr, CUgraphExec, CUgraphNode, CUstream};

use super::driver::{Failure, call, old};
use super::function::Function;
use super::memory::{Block, CudaBuffer};
use crate::device::Kernel;
use crate::{Error, Result};

/// What happens with launches.
#[derive(Default)]
pub(super) enum Mode {
    /// They go to the stream, and run.
    #[default]
    Eager,
    /// They go to the stream too, which gathers them in a graph.
    Capturing(Recording),
    /// They are refused: this went wrong while they were captured.
    Broken(String),
    /// Those of changing kernels leave their parameters here.
    Collecting(ThreadId, Changes),
}

/// What there is to know of a graph that is being captured.
pub(super) struct Recording {
    pub owner: ThreadId,
    /// All memory that launches name or that was allocated since the beginning; the latter is `true`.
    pub blocks: HashMap<CUdeviceptr, (Arc<Block>, bool)>,
    /// Those allocated since and freed again, by size: later launches may use them.
    pub free: HashMap<u64, Vec<Arc<Block>>>,
    pub clock: CudaBuffer,
    pub changing: Vec<(CUgraphNode, Changing)>,
    pub launches: usize,
}

// SAFETY: the handles of a context may be used by every thread in which the context is current.
unsafe impl Send for Recording {}

/// A captured launch of a changing kernel.
pub(super) struct Changing {
    pub kernel: &'static Kernel,
    pub function: Arc<Function>,
    pub groups: u32,
    pub params: Vec<u8>,
    pub addresses: Vec<CUdeviceptr>,
}

impl Changing {
    /// Gives the parameters to the node of a graph.
    pub fn set(&self, exec: CUgraphExec, node: CUgraphNode) -> std::result::Result<(), Failure> {
        self.function.with_arguments(&self.params, &self.addresses, |arguments| {
            let params = CUDA_KERNEL_NODE_PARAMS {
                func: self.function.handle,
                gridDimX: self.groups,
                gridDimY: 1,
                gridDimZ: 1,
                blockDimX: self.function.signature.block,
                blockDimY: 1,
                blockDimZ: 1,
                sharedMemBytes: 0,
                kernelParams: arguments.as_mut_ptr(),
                extra: std::ptr::null_mut(),
                kern: std::ptr::null_mut(),
                ctx: std::ptr::null_mut(),
            };
            call!(cuGraphExecKernelNodeSetParams_v2(exec, node, &params))
        })
    }
}

/// The parameters of launches of changing kernels, in their order; see [`CudaDevice::collect`](super::CudaDevice::collect).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes(pub(super) Vec<(&'static str, Vec<u8>)>);

pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Kernel { kernel: "CUDA graph".into(), message: message.into() })
}

impl Mode {
    pub fn is_capturing(&self) -> bool {
        matches!(self, Mode::Capturing(_))
    }

    /// The recording, if it is this thread's.
    fn mine(&mut self) -> Option<&mut Recording> {
        match self {
            Mode::Capturing(recording) if recording.owner == thread::current().id() => Some(recording),
            _ => None,
        }
    }

    /// Memory of this size that was freed since the capture began.
    pub fn take(&mut self, bytes: u64) -> Option<Arc<Block>> {
        self.mine()?.free.get_mut(&bytes)?.pop()
    }

    /// Notes new memory.
    pub fn made(&mut self, block: &Arc<Block>) {
        if let Some(recording) = self.mine() {
            recording.blocks.insert(block.address, (block.clone(), true));
        }
    }

    /// Notes that a buffer is not needed any more. One from before the capture keeps its numbers: a launch
    /// of the graph may read them each time.
    pub fn freed(&mut self, block: &Arc<Block>) {
        if let Mode::Capturing(recording) = self
            && let Some((block, true)) = recording.blocks.get(&block.address)
        {
            recording.free.entry(block.bytes).or_default().push(block.clone());
        }
    }

    /// Notes what a launch or copy uses. Gives the graph's clock, while one is being captured.
    pub fn uses(&mut self, blocks: &[&Arc<Block>]) -> Result<Option<CUdeviceptr>> {
        let this = thread::current().id();
        match self {
            Mode::Capturing(recording) if recording.owner == this => {
                for block in blocks {
                    recording.blocks.entry(block.address).or_insert_with(|| ((*block).clone(), false));
                }
                recording.launches += 1;
                Ok(Some(recording.clock.address()))
            }
            Mode::Capturing(_) => {
                wrong("another thread is capturing one; this launch would become a part of it")
            }
            Mode::Broken(message) => wrong(message.as_str()),
            Mode::Collecting(owner, _) if *owner == this => {
                wrong("a copy between buffers cannot be given to a captured graph as a change")
            }
            Mode::Collecting(..) | Mode::Eager => Ok(None),
        }
    }

    /// Keeps the parameters of a launch instead of launching it, if that is what this thread does now.
    pub fn collects(&mut self, kernel: &'static Kernel, params: &[u8]) -> Result<bool> {
        match self {
            Mode::Collecting(owner, changes) if *owner == thread::current().id() => {
                if !kernel.changing {
                    return wrong(format!(
                        "{} has no parameters that change from step to step",
                        kernel.entry
                    ));
                }
                changes.0.push((kernel.entry, params.to_vec()));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Keeps the launch that was captured last.
    pub fn changing(&mut self, launch: Changing, stream: CUstream) -> std::result::Result<(), Failure> {
        if let Some(recording) = self.mine() {
            recording.changing.push((old::last_node(stream)?, launch));
        }
        Ok(())
    }

    /// Refuses what cannot be a part of a graph. That ends the capture; what it held is to be dropped once
    /// the mode is unlocked.
    pub fn refuse(
        &mut self,
        doing: impl FnOnce() -> String,
        stream: CUstream,
    ) -> (Result<()>, Option<Recording>) {
        let message = match self {
            Mode::Eager => return (Ok(()), None),
            Mode::Collecting(owner, _) if *owner != thread::current().id() => return (Ok(()), None),
            Mode::Collecting(..) => format!("{} while its changes are collected", doing()),
            Mode::Broken(message) => message.clone(),
            Mode::Capturing(recording) if recording.owner != thread::current().id() => {
                format!("{} while another thread is capturing one", doing())
            }
            Mode::Capturing(_) => {
                let message = format!("{} while one is being captured, which ends the capture", doing());
                discard(stream);
                let before = std::mem::replace(self, Mode::Broken(message.clone()));
                let Mode::Capturing(recording) = before else { return (wrong(message), None) };
                return (wrong(message), Some(recording));
            }
        };
        (wrong(message), None)
    }
}

/// Ends a capture and throws away what it gave.
pub(super) fn discard(stream: CUstream) {
    let mut graph = std::ptr::null_mut();
    // An invalid capture ends with an error and gives no graph.
    let _ = call!(cuStreamEndCapture(stream, &mut graph));
    if !graph.is_null() {
        let _ = call!(cuGraphDestroy(graph));
    }
}
