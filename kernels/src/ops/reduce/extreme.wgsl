// The largest or smallest element and its place; see mod.rs.

struct ExtremeCall {
    outer: u32,
    dim: u32,
    inner: u32,
    max: u32, // 1 for the largest, 0 for the smallest
    // How a group shares the work; see group.rs.
    width: u32,
    parts: u32,
    chunk: u32,
    // Where an earlier launch has chosen one element of each part: the number of its parts, else 0.
    chosen: u32,
}

struct Reduce {
    outer: u32,
    dim: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> p: ExtremeCall;
@group(0) @binding(0) var<storage, read> back_p: Reduce;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [outer, dim, inner]
@group(0) @binding(2) var<storage, read> choice: array<u32>; // [outer, chosen, inner]
@group(0) @binding(3) var<storage, read> dy: array<f32>; // [outer, inner]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [outer, parts, inner]
@group(0) @binding(5) var<storage, read_write> index: array<u32>; // [outer, parts, inner]
@group(0) @binding(6) var<storage, read_write> dx: array<f32>; // [outer, dim, inner]

// A number from 1 on that is the larger the better x is; NaN has the largest. The bits of a float
// compare like integers, once those of a negative one are turned around.
fn rank(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    if (bits & 0x7fffffffu) > 0x7f800000u {
        return 0xffffffffu;
    }
    let ascending = select(bits | 0x80000000u, ~bits, bits > 0x80000000u); // -0 stays with 0
    return select(~ascending, ascending, p.max == 1u);
}

// Where element t of the choice stands along `dim`: everywhere, or where an earlier launch said.
fn place(o: u32, t: u32, i: u32) -> u32 {
    if p.chosen > 0u {
        return choice[(o * p.chosen + t) * p.inner + i];
    }
    return t;
}

// y[o, i] = max of x[o, d, i] over d, index[o, i] = the first d that has it
//
// Of a very long dimension every part has its best first, and a second launch chooses among them.
@compute @workgroup_size(256)
fn extreme(
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
    let first = o * p.dim * p.inner + i;
    let begin = part * p.chunk;
    let terms = select(p.dim, p.chosen, p.chosen > 0u);
    var best = place(o, begin, i);
    for (var t = begin + 1u; t < min(begin + p.chunk, terms); t++) {
        let d = place(o, t, i);
        if rank(x[first + d * p.inner]) > rank(x[first + best * p.inner]) {
            best = d;
        }
    }
    y[output] = x[first + best * p.inner];
    index[output] = best;
}

var<workgroup> ranks: array<u32, 256>;
var<workgroup> places: array<u32, 256>;

// As in sum_tree, threads share an output: each finds the best of every so many-th element, and a tree
// the best of those; of equals the one in front.
@compute @workgroup_size(256)
fn extreme_tree(
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
    let count = min(p.chunk, select(p.dim, p.chosen, p.chosen > 0u) - begin);
    let first = o * p.dim * p.inner + i;

    let lane = thread / p.width;
    // No element has rank 0: what a lane without elements holds.
    var best_rank = 0u;
    var best = 0u;
    if output < outputs {
        for (var t = lane; t < count; t += 256u / p.width) {
            let d = place(o, begin + t, i);
            let its_rank = rank(x[first + d * p.inner]);
            if its_rank > best_rank {
                best_rank = its_rank;
                best = d;
            }
        }
    }
    ranks[thread] = best_rank;
    places[thread] = best;
    for (var half = 128u; half >= p.width; half /= 2u) {
        workgroupBarrier();
        let other = thread + half;
        if thread < half {
            let equal = ranks[other] == ranks[thread];
            if ranks[other] > ranks[thread] || (equal && places[other] < places[thread]) {
                ranks[thread] = ranks[other];
                places[thread] = places[other];
            }
        }
    }
    // The threads of lane 0 hold the results.
    if lane == 0u && output < outputs {
        let to = (o * p.parts + part) * p.inner + i;
        y[to] = x[first + places[thread] * p.inner];
        index[to] = places[thread];
    }
}

// dx[o, d, i] = dy[o, i] where d = index[o, i], else 0
@compute @workgroup_size(256)
fn extreme_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = (group.y * groups.x + group.x) * 256u + thread;
    if element >= back_p.outer * back_p.dim * back_p.inner {
        return;
    }
    let i = element % back_p.inner;
    let d = element / back_p.inner % back_p.dim;
    let o = element / back_p.inner / back_p.dim;
    let output = o * back_p.inner + i;
    dx[element] = select(0.0, dy[output], choice[output] == d);
}
