// Convolution: the three formulas of mod.rs, one element of the result per thread. Places of the input
// (i), the output (o) and the kernel (k) are three numbers each: depth, height, width.

struct ConvParts {
    n: u32,     // elements of dw
    parts: u32, // sums to add up for each
}

@group(0) @binding(0) var<storage, read> p: ConvCall;
@group(0) @binding(0) var<storage, read> parts_p: ConvParts;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [N, C, D, H, W]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [N, O, OD, OH, OW]
@group(0) @binding(3) var<storage, read> w: array<f32>;        // [O, C / groups, KD, KH, KW]
@group(0) @binding(4) var<storage, read> bias: array<f32>;     // [O]
@group(0) @binding(5) var<storage, read> parts: array<f32>;    // [parts, O, C / groups, KD, KH, KW]
@group(0) @binding(6) var<storage, read_write> y: array<f32>;  // [N, O, OD, OH, OW]
@group(0) @binding(7) var<storage, read_write> dx: array<f32>; // [N, C, D, H, W]
@group(0) @binding(8) var<storage, read_write> dw: array<f32>; // [parts, O, C / groups, KD, KH, KW]

// y[n, o, p] = bias[o] + sum_{c, k} w[o, c, k] * x[n, c, p * stride - padding + k * dilation]
@compute @workgroup_size(256)
fn conv_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let e = (group.y * groups.x + group.x) * 256u + thread;
    let map = volume(p.output);
    if e >= p.batch * p.out_channels * map {
        return;
    }
    let n = e / map / p.out_channels;
    let o = e / map % p.out_channels;
    let place = place_in(p.output, e % map);
    let channels = p.in_channels / p.groups;
    let first = n * p.in_channels + o / (p.out_channels / p.groups) * channels;
    let taps = volume(p.kernel);
    let image = volume(p.input);
    var sum = 0.0;
    for (var c = 0u; c < channels; c++) {
        // A sum per channel first: beside the sum of thousands a single term would lose its digits.
        var block = 0.0;
        for (var k = 0u; k < taps; k++) {
            let i = seen(place, place_in(p.kernel, k));
            if i != NOWHERE {
                block += w[(o * channels + c) * taps + k] * x[(first + c) * image + i];
            }
        }
        sum += block;
    }
    if p.has_bias == 1u {
        sum += bias[o];
    }
    y[e] = sum;
}

// dx[n, c, i] = sum_{o, k} w[o, c, k] * dy[n, o, (i + padding - k * dilation) / stride]
@compute @workgroup_size(256)
fn conv_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let e = (group.y * groups.x + group.x) * 256u + thread;
    let image = volume(p.input);
    if e >= p.batch * p.in_channels * image {
        return;
    }
    let n = e / image / p.in_channels;
    let c = e / image % p.in_channels;
    let place = place_in(p.input, e % image);
    let channels = p.in_channels / p.groups;
    let outputs = p.out_channels / p.groups;
    let first = c / channels * outputs;
    let taps = volume(p.kernel);
    let map = volume(p.output);
    var sum = 0.0;
    for (var o = first; o < first + outputs; o++) {
        var block = 0.0;
        for (var k = 0u; k < taps; k++) {
            let i = seen_by(place, place_in(p.kernel, k));
            if i != NOWHERE {
                block += w[(o * channels + c % channels) * taps + k] * dy[(n * p.out_channels + o) * map + i];
            }
        }
        sum += block;
    }
    dx[e] = sum;
}

// dw[o, c, k] = sum_{n, p} dy[n, o, p] * x[n, c, p * stride - padding + k * dilation]
//
// These are up to millions of terms for a few elements. So a thread adds up a part of them, 256 at a
// time, and a second launch the parts.
@compute @workgroup_size(256)
fn conv_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let e = (group.y * groups.x + group.x) * 256u + thread;
    let channels = p.in_channels / p.groups;
    let taps = volume(p.kernel);
    if e >= p.parts * p.out_channels * channels * taps {
        return;
    }
    let part = e / taps / channels / p.out_channels;
    let o = e / taps / channels % p.out_channels;
    let c = o / (p.out_channels / p.groups) * channels + e / taps % channels;
    let k = place_in(p.kernel, e % taps);
    let image = volume(p.input);
    let map = volume(p.output);
    let end = min((part + 1u) * p.chunk, p.batch * map);
    var sum = 0.0;
    for (var first = part * p.chunk; first < end; first += 256u) {
        var block = 0.0;
        for (var t = first; t < min(first + 256u, end); t++) {
            let n = t / map;
            let i = seen(place_in(p.output, t % map), k);
            if i != NOWHERE {
                block += dy[(n * p.out_channels + o) * map + t % map] * x[(n * p.in_channels + c) * image + i];
            }
        }
        sum += block;
    }
    dw[e] = sum;
}

// dw = sum of its parts, in their order
@compute @workgroup_size(256)
fn conv_add_parts(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let e = (group.y * groups.x + group.x) * 256u + thread;
    if e >= parts_p.n {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < parts_p.parts; part++) {
        sum += parts[part * parts_p.n + e];
    }
    dw[e] = sum;
}
