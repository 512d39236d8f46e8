//! Work that can be done: a kernel, a copy, a fill. And graphs: work that was written down, to be
//! done again and again, in the order in which it was written.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

use cudasim::seam::Index;

use crate::error::{Result, Status, put, put_if};
use crate::launch::Arguments;
use crate::settings::Failure;
use crate::state::{Context, Handle, Here, handle, here};

/// A kernel with all that it is called with.
#[derive(Debug, Clone)]
pub struct Call {
    pub function: Handle,
    pub grid: Index,
    pub block: Index,
    /// Bytes of dynamic shared memory.
    pub dynamic: u32,
    pub arguments: Arguments,
}

/// A piece of work.
#[derive(Debug, Clone)]
pub enum Node {
    Kernel(Call),
    /// Addresses of the device or of the host.
    Copy {
        to: usize,
        from: usize,
        len: usize,
    },
    /// `count` values of `width` bytes.
    Fill {
        to: usize,
        value: u32,
        width: usize,
        count: usize,
    },
    Host {
        function: extern "C" fn(*mut c_void),
        data: *mut c_void,
    },
}

/// Nodes, each done after the one before.
#[derive(Default)]
pub struct Graph {
    pub nodes: Vec<(Handle, Node)>,
    /// What [`cuGraphKernelNodeGetParams_v2`] gave pointers to.
    lists: Vec<Box<[*mut c_void]>>,
}

/// A graph that can be launched.
pub struct Executable {
    nodes: Vec<(Handle, Node)>,
}

impl Here<'_> {
    /// Does a piece of work.
    pub fn execute(&mut self, node: &Node) -> Result {
        match *node {
            Node::Kernel(ref call) => self.run(call)?,
            Node::Copy { to, from, len } => unsafe { (to as *mut u8).copy_from(from as *const u8, len) },
            Node::Fill { to, value, width: 1, count } => unsafe {
                (to as *mut u8).write_bytes(value as u8, count)
            },
            Node::Fill { to, value, count, .. } => {
                (0..count).for_each(|i| unsafe { (to as *mut u32).add(i).write_unaligned(value) });
            }
            Node::Host { function, data } => function(data),
        }
        Ok(())
    }
}

/// `CUDA_KERNEL_NODE_PARAMS`, in its second form.
#[repr(C)]
struct KernelNode {
    function: Handle,
    grid: Index,
    block: Index,
    dynamic: c_uint,
    list: *mut *mut c_void,
    extra: *mut *mut c_void,
    kernel: Handle,
    context: Handle,
}

impl KernelNode {
    unsafe fn call(&self, here: &Here<'_>) -> Result<Call> {
        unsafe { here.call(self.function, self.grid, self.block, self.dynamic, self.list, self.extra) }
    }
}

impl Context {
    fn graph(&mut self, graph: Handle) -> Result<&mut Graph> {
        self.graphs.get_mut(&graph).ok_or(Status::INVALID_VALUE)
    }

    /// The graph that a node belongs to, and its place in it.
    fn node(&mut self, node: Handle) -> Result<(&mut Graph, usize)> {
        let places = self.graphs.values_mut().filter_map(|graph| {
            let place = graph.nodes.iter().position(|(other, _)| *other == node)?;
            Some((graph, place))
        });
        places.into_iter().next().ok_or(Status::INVALID_VALUE)
    }
}

/// The call that a list of nodes has under a number.
fn kernel_in(nodes: &mut [(Handle, Node)], node: Handle) -> Result<&mut Call> {
    match nodes.iter_mut().find(|(other, _)| *other == node) {
        Some((_, Node::Kernel(call))) => Ok(call),
        _ => Err(Status::INVALID_VALUE),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphDestroy(graph: Handle) -> Status {
    here(|here| here.context.graphs.remove(&graph).map(drop).ok_or(Status::INVALID_VALUE))
}

/// The nodes of a graph, as many as there is room for; without room, how many there are.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphGetNodes(graph: Handle, nodes: *mut Handle, count: *mut usize) -> Status {
    here(|here| {
        let all = &here.context.graph(graph)?.nodes;
        if count.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        if nodes.is_null() {
            return unsafe { put(count, all.len()) };
        }
        let room = unsafe { *count };
        for i in 0..room {
            unsafe { nodes.add(i).write(all.get(i).map_or(0, |(node, _)| *node)) };
        }
        unsafe { put(count, room.min(all.len())) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphNodeGetType(node: Handle, kind: *mut c_int) -> Status {
    here(|here| {
        let (graph, place) = here.context.node(node)?;
        let number = match graph.nodes[place].1 {
            Node::Kernel(_) => 0,
            Node::Copy { .. } => 1,
            Node::Fill { .. } => 2,
            Node::Host { .. } => 3,
        };
        unsafe { put(kind, number) }
    })
}

/// What a kernel node calls. The arguments stay where they are, until the node or its graph is gone.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphKernelNodeGetParams_v2(node: Handle, to: *mut KernelNode) -> Status {
    here(|here| {
        let (graph, _) = here.context.node(node)?;
        let call = kernel_in(&mut graph.nodes, node)?.clone();
        let known = here.context.functions.get(&call.function).ok_or(Status::INVALID_HANDLE)?;
        let module = here.context.modules.get(&known.module).ok_or(Status::INVALID_HANDLE)?;
        let parameters = module.parameters(known.kernel);
        let (graph, _) = here.context.node(node)?;
        let arguments = kernel_in(&mut graph.nodes, node)?.arguments.address();
        let place = |offset: u32| unsafe { arguments.add(offset as usize) }.cast_mut().cast();
        let mut list: Box<[_]> = parameters.iter().map(|parameter| place(parameter.offset)).collect();
        let new = KernelNode {
            function: call.function,
            grid: call.grid,
            block: call.block,
            dynamic: call.dynamic,
            list: list.as_mut_ptr(),
            extra: std::ptr::null_mut(),
            kernel: 0,
            context: 0,
        };
        graph.lists.push(list);
        unsafe { put(to, new) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphKernelNodeSetParams_v2(node: Handle, new: *const KernelNode) -> Status {
    here(|here| {
        let new = unsafe { new.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        let call = unsafe { new.call(&here) }?;
        let (graph, _) = here.context.node(node)?;
        *kernel_in(&mut graph.nodes, node)? = call;
        Ok(())
    })
}

/// Another call for a node of an executable graph: of the same function.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphExecKernelNodeSetParams_v2(
    executable: Handle,
    node: Handle,
    new: *const KernelNode,
) -> Status {
    here(|here| {
        let new = unsafe { new.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        let call = unsafe { new.call(&here) }?;
        let executable = here.context.executables.get_mut(&executable).ok_or(Status::INVALID_VALUE)?;
        *kernel_in(&mut executable.nodes, node)? = call;
        Ok(())
    })
}

unsafe fn instantiate(executable: *mut Handle, graph: Handle) -> Status {
    here(|here| {
        let nodes = here.context.graph(graph)?.nodes.clone();
        if here.settings.fails(Failure::Graph) {
            return Err(Status::OUT_OF_MEMORY);
        }
        let new = handle();
        unsafe { put(executable, new) }?;
        here.context.executables.insert(new, Executable { nodes });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiateWithFlags(
    executable: *mut Handle,
    graph: Handle,
    _flags: c_ulonglong,
) -> Status {
    unsafe { instantiate(executable, graph) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiate_v2(
    executable: *mut Handle,
    graph: Handle,
    node: *mut Handle,
    log: *mut c_char,
    size: usize,
) -> Status {
    unsafe {
        put_if(node, 0);
        put_if(if size > 0 { log } else { std::ptr::null_mut() }, 0);
        instantiate(executable, graph)
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphUpload(executable: Handle, stream: Handle) -> Status {
    here(|here| {
        here.context.forbid_in_capture(stream)?;
        here.context.executables.get(&executable).map(drop).ok_or(Status::INVALID_VALUE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphLaunch(executable: Handle, stream: Handle) -> Status {
    here(|mut here| {
        here.context.forbid_in_capture(stream)?;
        let found = here.context.executables.get(&executable).ok_or(Status::INVALID_VALUE)?;
        for (_, node) in found.nodes.clone() {
            here.execute(&node)?;
            if here.context.broken.is_some() {
                break;
            }
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphExecDestroy(executable: Handle) -> Status {
    here(|here| here.context.executables.remove(&executable).map(drop).ok_or(Status::INVALID_VALUE))
}
