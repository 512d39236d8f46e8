// Batch normalisation; see mod.rs. Put behind group.wgsl.

struct BatchNormCall {
    samples: u32,
    channels: u32,
    inner: u32,
    of_batch: u32,
    has_weight: u32,
    has_bias: u32,
    // How a group shares the values of a channel; see group.rs.
    width: u32,
    parts: u32,
    chunk: u32,
    eps: f32,
}

struct UpdateRunning {
    channels: u32,
    keep: f32, // 1 - momentum
    take: f32, // momentum factor
}

@group(0) @binding(0) var<storage, read> p: BatchNormCall;
@group(0) @binding(0) var<storage, read> update_p: UpdateRunning;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [samples, channels, inner]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [samples, channels, inner]
@group(0) @binding(3) var<storage, read> mean: array<f32>; // [channels], or [parts, channels]
@group(0) @binding(4) var<storage, read> variance: array<f32>; // the same
@group(0) @binding(5) var<storage, read> weight: array<f32>; // [channels]
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [channels]
@group(0) @binding(7) var<storage, read> dweight: array<f32>; // [channels], or [parts, channels]
@group(0) @binding(8) var<storage, read> dbias: array<f32>; // the same
@group(0) @binding(9) var<storage, read_write> y: array<f32>; // [samples, channels, inner]
@group(0) @binding(10) var<storage, read_write> dx: array<f32>; // [samples, channels, inner]
// Results for every channel, or for every part of every channel: [channels], or [parts, channels].
@group(0) @binding(11) var<storage, read_write> first_out: array<f32>; // means, dweight
@group(0) @binding(12) var<storage, read_write> second_out: array<f32>; // variances, dbias
@group(0) @binding(13) var<storage, read_write> running: array<f32>; // [channels]

// 1 / sqrt(v + eps)
fn inv_std(c: u32) -> f32 {
    return 1.0 / sqrt(variance[c] + p.eps);
}

fn weight_of(c: u32) -> f32 {
    if p.has_weight == 1u {
        return weight[c];
    }
    return 1.0;
}

fn bias_of(c: u32) -> f32 {
    if p.has_bias == 1u {
        return bias[c];
    }
    return 0.0;
}

// x^ = (x - m) / sqrt(v + eps)
fn normal(i: u32, c: u32) -> f32 {
    return (x[i] - mean[c]) * inv_std(c);
}

// The number of values of a channel: M.
fn values() -> u32 {
    return p.samples * p.inner;
}

// Where value t of channel c stands.
fn position(t: u32, c: u32) -> u32 {
    return (t / p.inner * p.channels + c) * p.inner + t % p.inner;
}

// m = sum x / M, v = sum (x - m)^2 / M
//
// A thread takes the values of a part of a channel; a second launch puts the parts together.
@compute @workgroup_size(256)
fn batch_norm_statistics(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let output = (group.y * groups.x + group.x) * 256u + thread;
    if output >= p.parts * p.channels {
        return;
    }
    let c = output % p.channels;
    let begin = output / p.channels * p.chunk;
    let end = min(begin + p.chunk, values());
    let count = f32(end - begin);
    var sum = 0.0;
    for (var t = begin; t < end; t++) {
        sum += x[position(t, c)];
    }
    let m = sum / count;
    var squares = 0.0;
    for (var t = begin; t < end; t++) {
        let d = x[position(t, c)] - m;
        squares += d * d;
    }
    first_out[output] = m;
    second_out[output] = squares / count;
}

// y = weight x^ + bias
@compute @workgroup_size(256)
fn batch_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= values() * p.channels {
        return;
    }
    let c = i / p.inner % p.channels;
    y[i] = weight_of(c) * normal(i, c) + bias_of(c);
}

// dweight = sum dy x^, dbias = sum dy
@compute @workgroup_size(256)
fn batch_norm_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let output = (group.y * groups.x + group.x) * 256u + thread;
    if output >= p.parts * p.channels {
        return;
    }
    let c = output % p.channels;
    let begin = output / p.channels * p.chunk;
    var weight_sum = 0.0;
    var bias_sum = 0.0;
    for (var t = begin; t < min(begin + p.chunk, values()); t++) {
        let i = position(t, c);
        weight_sum += dy[i] * normal(i, c);
        bias_sum += dy[i];
    }
    first_out[output] = weight_sum;
    second_out[output] = bias_sum;
}

// dx = weight / sqrt(v + eps) (dy - dbias / M - x^ dweight / M), or without the last two terms where m
// and v are given
@compute @workgroup_size(256)
fn batch_norm_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= values() * p.channels {
        return;
    }
    let c = i / p.inner % p.channels;
    var through = 0.0;
    if p.of_batch == 1u {
        through = (dbias[c] + normal(i, c) * dweight[c]) / f32(values());
    }
    dx[i] = weight_of(c) * inv_std(c) * (dy[i] - through);
}

// running = keep running + take batch, where x holds the batch's values
@compute @workgroup_size(256)
fn update_running(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let c = (group.y * groups.x + group.x) * 256u + thread;
    if c < update_p.channels {
        running[c] = update_p.keep * running[c] + update_p.take * x[c];
    }
}
