// Losses that compare two tensors element by element; see mod.rs. Put behind math.wgsl and group.wgsl.

struct LossCall {
    kind: u32, // one of the numbers below
    n: u32,
    has_weight: u32,
    has_pos_weight: u32,
    each_dloss: u32, // 1 where every element has a gradient of its own, 0 where all share one
    side: u32, // whose gradient: 0 for the input's, 1 for the target's
    parts: u32,
    chunk: u32, // elements of a part
    delta: f32,
    divisor: f32, // what the sum of the losses, or the gradient, is divided by
}

@group(0) @binding(0) var<storage, read> p: LossCall;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [n], and so are t and the weights
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> pos_weight: array<f32>;
@group(0) @binding(5) var<storage, read> dloss: array<f32>; // [n] or [1]
@group(0) @binding(6) var<storage, read> sums: array<f32>; // [n]
@group(0) @binding(7) var<storage, read_write> loss: array<f32>; // [n], [parts] or [1]
@group(0) @binding(8) var<storage, read_write> dx: array<f32>; // [n]
@group(0) @binding(9) var<storage, read_write> faults: array<atomic<u32>>;

const MSE: u32 = 0u;
const L1: u32 = 1u;
const HUBER: u32 = 2u;
const BCE: u32 = 3u;
const BCE_WITH_LOGITS: u32 = 4u;

const BAD_PROBABILITY: u32 = 3u; // see fault.rs

fn weight_of(i: u32) -> f32 {
    if p.has_weight == 1u {
        return weight[i];
    }
    return 1.0;
}

fn pos_weight_of(i: u32) -> f32 {
    if p.has_pos_weight == 1u {
        return pos_weight[i];
    }
    return 1.0;
}

// 1, -1, or x itself where it is 0 or NaN
fn sign_(x: f32) -> f32 {
    return select(select(x, -1.0, x < 0.0), 1.0, x > 0.0);
}

// log x, at least -100
fn log_of(x: f32) -> f32 {
    return select(max(log_(x), -100.0), -100.0, x <= 0.0);
}

// log(1 - x), at least -100: for a small x without rounding 1 - x
fn log_of_rest(x: f32) -> f32 {
    if x < 0.25 {
        return log_near_one(-x);
    }
    return log_of(1.0 - x);
}

// log(1 + exp(x)), without overflow
fn softplus(x: f32) -> f32 {
    return log_near_one(exp_(-abs(x))) + max(x, 0.0);
}

// Whether x is in 0..=1, by its bits: a NaN is not.
fn is_probability(x: f32) -> bool {
    let bits = bitcast<u32>(x);
    return bits <= 0x3f800000u || bits == 0x80000000u;
}

fn loss_of(i: u32) -> f32 {
    let x = x[i];
    let t = t[i];
    let d = abs(x - t);
    switch p.kind {
        case MSE { return (x - t) * (x - t); }
        case L1 { return d; }
        case HUBER { return select(p.delta * (d - 0.5 * p.delta), 0.5 * d * d, d <= p.delta); }
        case BCE {
            if !is_probability(x) {
                atomicMin(&faults[BAD_PROBABILITY], i);
                return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
            }
            return (t - 1.0) * log_of_rest(x) - t * log_of(x);
        }
        case BCE_WITH_LOGITS { return (1.0 - t) * x + (1.0 + (pos_weight_of(i) - 1.0) * t) * softplus(-x); }
        default { return x; }
    }
}

fn gradient_of(i: u32) -> f32 {
    let x = x[i];
    let t = t[i];
    let d = x - t;
    // The first three depend on x - t: what the input gains the target loses.
    let side_sign = select(-1.0, 1.0, p.side == 0u);
    switch p.kind {
        case MSE { return side_sign * 2.0 * d; }
        case L1 { return side_sign * sign_(d); }
        case HUBER { return side_sign * select(p.delta * sign_(d), d, abs(d) <= p.delta); }
        case BCE {
            if p.side == 0u {
                return d / max(x * (1.0 - x), 1e-12);
            }
            return log_of_rest(x) - log_of(x);
        }
        case BCE_WITH_LOGITS {
            let pos = pos_weight_of(i);
            if p.side == 0u {
                return (1.0 - t) * sigmoid_(x) - pos * t * sigmoid_(-x);
            }
            return (pos - 1.0) * softplus(-x) - x;
        }
        default { return x; }
    }
}

// loss[i] = weight[i] * the loss of x[i] and t[i]
@compute @workgroup_size(256)
fn losses(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        loss[i] = weight_of(i) * loss_of(i);
    }
}

// dx[i] = weight[i] * dloss / divisor * the derivative at x[i] and t[i]
@compute @workgroup_size(256)
fn loss_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        let g = dloss[select(0u, i, p.each_dloss == 1u)] / p.divisor;
        dx[i] = weight_of(i) * g * gradient_of(i);
    }
}

// loss[part] = the sum of a part's losses, each as above, / divisor
//
// One launch instead of one for the losses and one for their sum: a group computes the losses of a part
// and adds them up as it goes. A batch of usual size is one part.
@compute @workgroup_size(256)
fn loss_sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let part = group.y * groups.x + group.x;
    if part >= p.parts {
        return;
    }
    let begin = part * p.chunk;
    let count = min(p.chunk, p.n - begin);
    var sum = 0.0;
    for (var i = thread; i < count; i += 256u) {
        sum += weight_of(begin + i) * loss_of(begin + i);
    }
    let all = sum_of_lanes(sum, 1u, thread);
    if thread == 0u {
        loss[part] = all / p.divisor;
    }
}

// loss = the sum of all parts / divisor. One group.
@compute @workgroup_size(256)
fn loss_total(@builtin(local_invocation_index) thread: u32) {
    var sum: Blocks;
    for (var i = thread; i < p.n; i += 256u) {
        add(&sum, sums[i]);
    }
    let all = sum_of_lanes(total(sum), 1u, thread);
    if thread == 0u {
        loss[0] = all / p.divisor;
    }
}
