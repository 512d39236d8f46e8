//! Work that is captured into a graph, and done again and again.

#![cfg(target_os = "linux")]

mod common;

use std::ptr::null_mut;

use common::{Simulator, row, simulator, status};
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_CAPTURED_EVENT, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_SUCCESS,
};
use cudarc::driver::sys::CUstreamCaptureMode::{self, CU_STREAM_CAPTURE_MODE_GLOBAL as GLOBAL};
use cudarc::driver::sys::{
    CUDA_KERNEL_NODE_PARAMS, CUgraph, CUgraphInstantiate_flags, CUgraphNode, CUgraphNodeType, CUresult,
    CUstreamCaptureStatus as Status,
};
use cudarc::driver::{CudaGraph, PushKernelArg as _, result, sys};

const STEP: &str = "extern \"C\" __global__ void step(float* y, float by) { y[threadIdx.x] += by; }";

fn end(s: &Simulator) -> Result<CudaGraph, CUresult> {
    match s.stream.end_capture(CUgraphInstantiate_flags(0)) {
        Ok(graph) => Ok(graph.expect("a graph")),
        Err(error) => Err(error.0),
    }
}

fn nodes(graph: CUgraph) -> Vec<CUgraphNode> {
    let mut count = 0;
    assert_eq!(unsafe { sys::cuGraphGetNodes(graph, null_mut(), &mut count) }, CUDA_SUCCESS);
    let mut nodes = vec![null_mut(); count];
    assert_eq!(unsafe { sys::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count) }, CUDA_SUCCESS);
    nodes
}

#[test]
fn what_is_captured_is_done_at_every_launch_and_not_before() {
    let s = simulator();
    let step = s.kernel(STEP, "step");
    let mut y = s.stream.alloc_zeros::<f32>(4).unwrap();
    let mut copy = s.stream.alloc_zeros::<f32>(4).unwrap();
    s.stream.begin_capture(GLOBAL).unwrap();
    assert_eq!(s.stream.capture_status().unwrap(), Status::CU_STREAM_CAPTURE_STATUS_ACTIVE);
    for by in [1.0_f32, 0.5] {
        unsafe { s.stream.launch_builder(&step).arg(&mut y).arg(&by).launch(row(1, 4)) }.unwrap();
    }
    s.stream.memcpy_dtod(&y, &mut copy).unwrap();
    let graph = end(&s).unwrap();
    assert_eq!(s.stream.capture_status().unwrap(), Status::CU_STREAM_CAPTURE_STATUS_NONE);
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [0.0; 4], "nothing was done yet");
    for times in 1..=3 {
        graph.launch().unwrap();
        assert_eq!(s.stream.clone_dtoh(&copy).unwrap(), [1.5 * times as f32; 4]);
    }
    let kinds = nodes(graph.cu_graph()).into_iter().map(|node| {
        let mut kind = CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
        assert_eq!(unsafe { sys::cuGraphNodeGetType(node, &mut kind) }, CUDA_SUCCESS);
        kind
    });
    let kernel = CUgraphNodeType::CU_GRAPH_NODE_TYPE_KERNEL;
    assert!(kinds.eq([kernel, kernel, CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEMCPY]));
}

#[test]
fn the_node_of_the_last_launch_can_be_asked_for_while_capturing() {
    let s = simulator();
    let step = s.kernel(STEP, "step");
    let mut y = s.stream.alloc_zeros::<f32>(4).unwrap();
    s.stream.begin_capture(GLOBAL).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        unsafe { s.stream.launch_builder(&step).arg(&mut y).arg(&1.0_f32).launch(row(1, 4)) }.unwrap();
        let (mut status, mut id, mut count) = (Status::CU_STREAM_CAPTURE_STATUS_NONE, 0, 0);
        let (mut graph, mut last) = (null_mut(), std::ptr::null());
        let stream = s.stream.cu_stream();
        let code = unsafe {
            let edges = null_mut();
            sys::cuStreamGetCaptureInfo_v3(
                stream,
                &mut status,
                &mut id,
                &mut graph,
                &mut last,
                edges,
                &mut count,
            )
        };
        assert_eq!((code, status, count), (CUDA_SUCCESS, Status::CU_STREAM_CAPTURE_STATUS_ACTIVE, 1));
        seen.push(unsafe { *last });
    }
    assert_eq!(seen, nodes(end(&s).unwrap().cu_graph()));
}

#[test]
fn a_kernel_of_a_graph_takes_new_arguments() {
    let s = simulator();
    let step = s.kernel(STEP, "step");
    let mut y = s.stream.alloc_zeros::<f32>(4).unwrap();
    s.stream.begin_capture(GLOBAL).unwrap();
    unsafe { s.stream.launch_builder(&step).arg(&mut y).arg(&1.0_f32).launch(row(1, 4)) }.unwrap();
    let graph = end(&s).unwrap();
    let node = nodes(graph.cu_graph())[0];

    let mut params: CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { sys::cuGraphKernelNodeGetParams_v2(node, &mut params) }, CUDA_SUCCESS);
    assert_eq!((params.gridDimX, params.blockDimX, params.func), (1, 4, step.cu_function()));
    let by = unsafe { &mut *(*params.kernelParams.add(1)).cast::<f32>() };
    assert_eq!(*by, 1.0);
    let (mut address, mut by) = (s.address(&y), 10.0_f32);
    let mut list = [(&raw mut address).cast(), (&raw mut by).cast()];
    params.kernelParams = list.as_mut_ptr();
    let exec = graph.cu_graph_exec();
    assert_eq!(unsafe { sys::cuGraphExecKernelNodeSetParams_v2(exec, node, &params) }, CUDA_SUCCESS);
    by = 99.0;
    assert_eq!(by, 99.0, "what was there when it was set counts");
    graph.launch().unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [10.0; 4]);

    // The graph itself is as it was.
    let other = unsafe { result::graph::instantiate(graph.cu_graph(), CUgraphInstantiate_flags(0)) }.unwrap();
    unsafe { result::graph::launch(other, s.stream.cu_stream()) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [11.0; 4]);
    // And can be changed too.
    by = 0.25;
    assert_eq!(unsafe { sys::cuGraphKernelNodeSetParams_v2(node, &params) }, CUDA_SUCCESS);
    unsafe { result::graph::exec_destroy(other) }.unwrap();
    let other = unsafe { result::graph::instantiate(graph.cu_graph(), CUgraphInstantiate_flags(0)) }.unwrap();
    unsafe { result::graph::launch(other, s.stream.cu_stream()) }.unwrap();
    assert_eq!(s.stream.clone_dtoh(&y).unwrap(), [11.25; 4]);
    unsafe { result::graph::exec_destroy(other) }.unwrap();
    assert_eq!(
        status(unsafe { result::graph::launch(other, s.stream.cu_stream()) }),
        CUDA_ERROR_INVALID_VALUE
    );
    assert_eq!(by, 0.25);
}

#[test]
fn what_waits_breaks_a_capture_off() {
    type Attempt = fn(&Simulator) -> CUresult;
    let attempts: [(Attempt, CUresult); 6] = [
        (|s| status(s.stream.synchronize()), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
        (|s| status(s.context.synchronize()), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
        (|_| status(unsafe { result::malloc_sync(8) }), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
        (|_| status(unsafe { result::malloc_host(8, 0) }), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
        (
            |s| status(unsafe { result::malloc_async(s.stream.cu_stream(), 8) }),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
        ),
        (|_| status(unsafe { result::malloc_async(null_mut(), 8) }), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT),
    ];
    for (number, (attempt, expected)) in attempts.into_iter().enumerate() {
        let s = simulator();
        // A stream that waits for the default stream, unlike cudarc's.
        let mut stream = null_mut();
        assert_eq!(unsafe { sys::cuStreamCreate(&mut stream, 0) }, CUDA_SUCCESS);
        s.stream.begin_capture(GLOBAL).unwrap();
        unsafe { result::stream::begin_capture(stream, GLOBAL) }.unwrap();
        assert_eq!(attempt(&s), expected, "attempt {number}");
        let broken = [s.stream.cu_stream(), stream]
            .map(|stream| status(unsafe { result::stream::end_capture(stream) }));
        assert!(broken.contains(&CUDA_ERROR_STREAM_CAPTURE_INVALIDATED), "attempt {number}");
        assert_eq!(s.wait(), Ok(()), "attempt {number}");
    }
}

#[test]
fn a_relaxed_capture_lets_others_wait() {
    let s = simulator();
    s.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).unwrap();
    assert!(unsafe { result::malloc_sync(8) }.is_ok());
    end(&s).unwrap();
    // So does one that concerns its own thread alone.
    s.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            s.context.bind_to_thread().unwrap();
            assert!(unsafe { result::malloc_sync(8) }.is_ok());
        });
    });
    assert!(unsafe { result::malloc_sync(8) }.is_err());
    assert_eq!(end(&s).err(), Some(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
}

#[test]
fn events_of_a_capture_stay_in_it() {
    let s = simulator();
    let before = s.stream.record_event(None).unwrap();
    s.stream.begin_capture(GLOBAL).unwrap();
    let inside = s.context.new_event(None).unwrap();
    inside.record(&s.stream).unwrap();
    s.stream.wait(&inside).unwrap();
    assert_eq!(status(inside.synchronize()), CUDA_ERROR_CAPTURED_EVENT);
    assert_eq!(status(s.stream.wait(&before)), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    assert_eq!(end(&s).err(), Some(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
}
