// Cross-entropy and the negative log-likelihood; see mod.rs. Put behind math.wgsl and group.wgsl.

struct CrossEntropyCall {
    outer: u32,
    classes: u32,
    inner: u32,
    ignore_index: u32,
    log_probabilities: u32,
    has_weight: u32,
    mean: u32, // 1 where the loss is divided by the total weight
    each_loss: u32, // 1 where every row has a loss and a gradient of its own
    width: u32, // rows that a group works on at a time; see group.rs
    parts: u32,
    chunk: u32, // rows of a part
    on_label: f32, // the share of the target that stays with the label
    on_each: f32, // the share that each class gets
}

@group(0) @binding(0) var<storage, read> p: CrossEntropyCall;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [outer, classes, inner]
@group(0) @binding(2) var<storage, read> labels: array<u32>; // [outer, inner]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [classes]
@group(0) @binding(4) var<storage, read> divisor: array<f32>; // [1]: the total weight
@group(0) @binding(5) var<storage, read> dloss: array<f32>; // [outer, inner] or [1]
@group(0) @binding(6) var<storage, read> losses: array<f32>; // [parts]
@group(0) @binding(7) var<storage, read> weights: array<f32>; // [parts]
@group(0) @binding(8) var<storage, read_write> loss: array<f32>; // [outer, inner], [parts] or [1]
@group(0) @binding(9) var<storage, read_write> total_weight: array<f32>; // the same
@group(0) @binding(10) var<storage, read_write> dx: array<f32>; // [outer, classes, inner]
@group(0) @binding(11) var<storage, read_write> faults: array<atomic<u32>>;

// Class c of a row stands at first_of(row) + c * inner.
fn first_of(row: u32) -> u32 {
    return row / p.inner * p.classes * p.inner + row % p.inner;
}

fn weight_of(c: u32) -> f32 {
    if p.has_weight == 1u {
        return weight[c];
    }
    return 1.0;
}

// What there is to know of a row before its scores are read.
struct Row {
    first: u32,
    label: u32, // a class, whatever the label is
    ignored: bool,
    bad: f32, // what every result of the row is plus: 0, or NaN where its label is no class
}

fn row_of(row: u32) -> Row {
    let label = labels[row];
    let ignored = label == p.ignore_index;
    var bad = 0.0;
    if label >= p.classes && !ignored {
        // The slots of cross_entropy and nll_loss are 0 and 1; see fault.rs.
        atomicMin(&faults[p.log_probabilities], row);
        bad = bitcast<f32>(label | 0x7fc00000u);
    }
    return Row(first_of(row), select(0u, label, label < p.classes), ignored, bad);
}

// What x_c is lowered by to give logp_c: m = max_c x_c and log(sum_c exp(x_c - m)).
struct Norm {
    m: f32,
    log_sum: f32,
}

fn norm_of(first: u32) -> Norm {
    if p.log_probabilities == 1u {
        return Norm(0.0, 0.0);
    }
    var m = x[first];
    for (var c = 1u; c < p.classes; c++) {
        m = max(m, x[first + c * p.inner]);
    }
    var sum: Blocks;
    for (var c = 0u; c < p.classes; c++) {
        add(&sum, exp_(x[first + c * p.inner] - m));
    }
    return Norm(m, log_(total(sum)));
}

fn logp(row: Row, norm: Norm, c: u32) -> f32 {
    return x[row.first + c * p.inner] - norm.m - norm.log_sum;
}

// q_c = on_label w_t [c = t] + on_each w_c
fn q(row: Row, c: u32) -> f32 {
    return select(0.0, p.on_label * weight_of(row.label), c == row.label) + p.on_each * weight_of(c);
}

// dx_c = g (softmax(x)_c sum_j q_j - q_c), or -g q_c where x holds log-probabilities
fn gradient(row: Row, norm: Norm, sum_q: f32, g: f32, c: u32) -> f32 {
    if p.log_probabilities == 1u {
        return -g * q(row, c);
    }
    return g * (exp_(logp(row, norm, c)) * sum_q - q(row, c));
}

fn g_of(row: u32) -> f32 {
    let g = dloss[select(0u, row, p.each_loss == 1u)];
    if p.mean == 1u {
        return g / divisor[0];
    }
    return g;
}

// loss[row] = -sum_c q_c logp_c, total_weight[row] = w_t
@compute @workgroup_size(256)
fn cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if number >= p.outer * p.inner {
        return;
    }
    let row = row_of(number);
    if row.ignored {
        loss[number] = 0.0;
        total_weight[number] = 0.0;
        return;
    }
    let norm = norm_of(row.first);
    var spread: Blocks;
    if p.on_each != 0.0 {
        for (var c = 0u; c < p.classes; c++) {
            add(&spread, weight_of(c) * logp(row, norm, c));
        }
    }
    let w = weight_of(row.label);
    loss[number] = -p.on_label * w * logp(row, norm, row.label) - p.on_each * total(spread) + row.bad;
    total_weight[number] = w;
}

// loss = sum of losses, or that / sum of weights; total_weight = sum of weights. One group.
@compute @workgroup_size(256)
fn cross_entropy_total(@builtin(local_invocation_index) thread: u32) {
    var loss_part: Blocks;
    var weight_part: Blocks;
    for (var i = thread; i < p.parts; i += 256u) {
        add(&loss_part, losses[i]);
        add(&weight_part, weights[i]);
    }
    finish(total(loss_part), total(weight_part), 0u, thread);
}

// Adds up what the threads of a group hold: the results of a part, or the final ones.
fn finish(loss_part: f32, weight_part: f32, part: u32, thread: u32) {
    let loss_sum = sum_of_lanes(loss_part, 1u, thread);
    let weight_sum = sum_of_lanes(weight_part, 1u, thread);
    if thread == 0u {
        loss[part] = select(loss_sum, loss_sum / weight_sum, p.mean == 1u);
        total_weight[part] = weight_sum;
    }
}

// dx of all classes of a row
@compute @workgroup_size(256)
fn cross_entropy_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = (group.y * groups.x + group.x) * 256u + thread;
    if number >= p.outer * p.inner {
        return;
    }
    let row = row_of(number);
    let norm = norm_of(row.first);
    let g = g_of(number);
    var sum_q: Blocks;
    for (var c = 0u; c < p.classes; c++) {
        add(&sum_q, q(row, c));
    }
    for (var c = 0u; c < p.classes; c++) {
        let all = gradient(row, norm, total(sum_q), g, c) + row.bad;
        dx[row.first + c * p.inner] = select(all, 0.0, row.ignored);
    }
}
