// Rows picked by number, and the way back; see index_select.rs.

struct IndexSelectCall {
    outer: u32,
    dim: u32,
    inner: u32,
    count: u32,
    missing: u32, // the bits that stand where an index is wrong
    first: u32,   // backward: the indices first .. end are gone through, those before have been
    end: u32,
}

@group(0) @binding(0) var<storage, read> p: IndexSelectCall;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> index: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> faults: array<atomic<u32>>;

// Notes index k if it is wrong. Each is looked at by the thread of its number.
fn check(k: u32) {
    if k < p.count {
        if index[k] >= p.dim {
            atomicMin(&faults[2], k);
        }
    }
}

// x: [outer, dim, inner], index: [count], y: [outer, count, inner]
@compute @workgroup_size(256)
fn index_select(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    check(n);
    if n >= p.outer * p.count * p.inner {
        return;
    }
    let i = n % p.inner;
    let k = n / p.inner % p.count;
    let o = n / p.inner / p.count;
    if index[k] < p.dim {
        y[n] = x[(o * p.dim + index[k]) * p.inner + i];
    } else {
        y[n] = p.missing;
    }
}

// dy: [outer, count, inner], index: [count], dx: [outer, dim, inner], with what the indices before
// p.first have given
@compute @workgroup_size(256)
fn index_select_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    check(n);
    if n >= p.outer * p.dim * p.inner {
        return;
    }
    let i = n % p.inner;
    let d = n / p.inner % p.dim;
    let o = n / p.inner / p.dim;
    var sum = 0.0;
    if p.first > 0u {
        sum = dx[n];
    }
    // Sums of sums: a row that was picked a million times, added one by one, would lose digits.
    for (var first = p.first; first < p.end; first += 1024u) {
        var part = 0.0;
        for (var k = first; k < min(first + 1024u, p.end); k++) {
            if index[k] == d {
                part += dy[(o * p.count + k) * p.inner + i];
            }
        }
        sum += part;
    }
    dx[n] = sum;
}
