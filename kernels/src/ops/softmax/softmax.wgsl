// Softmax and its logarithm; see mod.rs. Put behind math.wgsl and group.wgsl.

struct SoftmaxCall {
    outer: u32,
    dim: u32,
    inner: u32,
    log: u32,
    width: u32, // rows that a group works on; see group.rs
}

@group(0) @binding(0) var<storage, read> p: SoftmaxCall;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [outer, dim, inner], and so are all
@group(0) @binding(2) var<storage, read> saved: array<f32>; // y of the forward pass
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// Element i of a row stands at first_of(row) + i * inner.
fn first_of(row: u32) -> u32 {
    return row / p.inner * p.dim * p.inner + row % p.inner;
}

fn output(x: f32, m: f32, sum: f32) -> f32 {
    if p.log == 1u {
        return x - m - log_(sum);
    }
    return exp_(x - m) / sum;
}

// What the backward pass adds up over a row, and what it makes of the sum.
fn term(y: f32, dy: f32) -> f32 {
    return select(dy * y, dy, p.log == 1u);
}

fn gradient(y: f32, dy: f32, sum: f32) -> f32 {
    if p.log == 1u {
        return dy - exp_(y) * sum;
    }
    return y * (dy - sum);
}

// y_i = exp(x_i - m) / sum_j exp(x_j - m), or x_i - m - log(sum_j exp(x_j - m)), with m = max_j x_j
@compute @workgroup_size(256)
fn softmax(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * groups.x + group.x) * 256u + thread;
    if row >= p.outer * p.inner {
        return;
    }
    let first = first_of(row);
    var m = x[first];
    for (var i = 1u; i < p.dim; i++) {
        m = max(m, x[first + i * p.inner]);
    }
    var sum: Blocks;
    for (var i = 0u; i < p.dim; i++) {
        add(&sum, exp_(x[first + i * p.inner] - m));
    }
    for (var i = 0u; i < p.dim; i++) {
        let at = first + i * p.inner;
        y[at] = output(x[at], m, total(sum));
    }
}

// dx_i = y_i (dy_i - sum_j dy_j y_j), or dy_i - exp(y_i) sum_j dy_j
@compute @workgroup_size(256)
fn softmax_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * groups.x + group.x) * 256u + thread;
    if row >= p.outer * p.inner {
        return;
    }
    let first = first_of(row);
    var sum: Blocks;
    for (var i = 0u; i < p.dim; i++) {
        let at = first + i * p.inner;
        add(&sum, term(saved[at], dy[at]));
    }
    for (var i = 0u; i < p.dim; i++) {
        let at = first + i * p.inner;
        dx[at] = gradient(saved[at], dy[at], total(sum));
    }
}

// With a thread per row, a long row is one thread's work, three times over, and threads side by side
// read elements a whole row apart. Here the lanes of a group share its rows: neighbours read
// neighbours, and maximum and sum are trees.
@compute @workgroup_size(256)
fn softmax_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    let rows = p.outer * p.inner;
    if number >= (rows + p.width - 1u) / p.width {
        return;
    }
    // In the last group some threads do a row once more, and write nothing.
    let row = number * p.width + thread % p.width;
    let first = first_of(min(row, rows - 1u));
    let lane = thread / p.width;
    let lanes = 256u / p.width;

    var largest = x[first];
    for (var i = lane; i < p.dim; i += lanes) {
        largest = max(largest, x[first + i * p.inner]);
    }
    let m = max_of_lanes(largest, p.width, thread);
    var part = 0.0;
    for (var i = lane; i < p.dim; i += lanes) {
        part += exp_(x[first + i * p.inner] - m);
    }
    let sum = sum_of_lanes(part, p.width, thread);
    if row < rows {
        for (var i = lane; i < p.dim; i += lanes) {
            let at = first + i * p.inner;
            y[at] = output(x[at], m, sum);
        }
    }
}

// The same for the gradient.
@compute @workgroup_size(256)
fn softmax_rows_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    let rows = p.outer * p.inner;
    if number >= (rows + p.width - 1u) / p.width {
        return;
    }
    let row = number * p.width + thread % p.width;
    let first = first_of(min(row, rows - 1u));
    let lane = thread / p.width;
    let lanes = 256u / p.width;

    var part = 0.0;
    for (var i = lane; i < p.dim; i += lanes) {
        let at = first + i * p.inner;
        part += term(saved[at], dy[at]);
    }
    let sum = sum_of_lanes(part, p.width, thread);
    if row < rows {
        for (var i = lane; i < p.dim; i += lanes) {
            let at = first + i * p.inner;
            dx[at] = gradient(saved[at], dy[at], sum);
        }
    }
}
