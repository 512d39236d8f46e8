// Sums; see mod.rs. Put behind group.wgsl.

// x is seen as [outer, dim, inner, tail], and dim and tail are added up.
struct SumCall {
    outer: u32,
    dim: u32,
    inner: u32,
    tail: u32,
    // How a group shares the work; see group.rs.
    width: u32,
    parts: u32,
    chunk: u32,
}

@group(0) @binding(0) var<storage, read> p: SumCall;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [outer, dim, inner, tail]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [outer, parts, inner]

// y[o, i] = sum of x[o, d, i, j] over d and j
//
// A thread adds up at most `chunk` terms, because small ones lose their digits beside a large sum. Where
// there are more, y gets a sum for each part of them, and a second launch adds up the parts.
@compute @workgroup_size(256)
fn sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let output = (group.y * groups.x + group.x) * 256u + thread;
    if output >= p.outer * p.parts * p.inner {
        return;
    }
    let o = output / p.inner / p.parts;
    let part = output / p.inner % p.parts;
    let i = output % p.inner;
    var sum = 0.0;
    for (var t = part * p.chunk; t < min((part + 1u) * p.chunk, p.dim * p.tail); t++) {
        let d = t / p.tail;
        let j = t % p.tail;
        sum += x[((o * p.dim + d) * p.inner + i) * p.tail + j];
    }
    y[output] = sum;
}

// One thread per output leaves most of a GPU idle when there are few outputs, and threads side by side
// read elements far apart when the terms of an output are neighbours. Here many threads share an
// output: each adds up every so many-th term, four loads at a time so that they don't wait for one
// another, and a tree adds up the threads' sums. So parts are seldom needed.
@compute @workgroup_size(256)
fn sum_tree(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    let outputs = p.outer * p.inner;
    let bundles = (outputs + p.width - 1u) / p.width;
    if number >= bundles * p.parts {
        return;
    }
    let output = number % bundles * p.width + thread % p.width;
    let o = output / p.inner;
    let i = output % p.inner;
    let part = number / bundles;
    let begin = part * p.chunk;
    let count = min(p.chunk, p.dim * p.tail - begin);

    let lane = thread / p.width;
    let lanes = 256u / p.width;
    var sum = 0.0;
    if output < outputs {
        let first = (o * p.dim * p.inner + i) * p.tail;
        var places = walk(first, begin + lane, lanes, p.tail, p.inner * p.tail);
        var t = lane;
        for (; t + 3u * lanes < count; t += 4u * lanes) {
            let two = x[next(&places)] + x[next(&places)];
            sum += two + (x[next(&places)] + x[next(&places)]);
        }
        for (; t < count; t += lanes) {
            sum += x[next(&places)];
        }
    }
    let all = sum_of_lanes(sum, p.width, thread);
    if lane == 0u && output < outputs {
        y[(o * p.parts + part) * p.inner + i] = all;
    }
}
