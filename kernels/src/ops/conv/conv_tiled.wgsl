// Convolution, the rung above conv.wgsl: each of the three is a product of two matrices, one of which
// is never written down. Its rows are channels, its columns places (forward, backward_input) or kernel
// taps (backward_weight), and what is summed over are the terms of the formula.
//
// The plain rung reads two numbers from memory per multiplication and divides a dozen times to find
// them. Here a group computes a tile of rows and columns: it copies a strip of each factor to its own
// memory, where every number serves a whole row or column of the tile, and works out the places of the
// terms once for all columns.

@group(0) @binding(0) var<storage, read> p: ConvCall;
@group(0) @binding(1) var<storage, read> x: array<f32>;           // [N, C, D, H, W]
@group(0) @binding(2) var<storage, read> dy: array<f32>;          // [N, O, OD, OH, OW]
@group(0) @binding(3) var<storage, read> w: array<f32>;           // [O, C / groups, KD, KH, KW]
@group(0) @binding(4) var<storage, read> bias: array<f32>;        // [O]
@group(0) @binding(6) var<storage, read_write> y: array<f32>;     // [N, O, OD, OH, OW]
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;    // [N, C, D, H, W]
@group(0) @binding(8) var<storage, read_write> dw: array<f32>;    // [parts, O, C / groups, KD, KH, KW]

const ROWS = 16u;    // of a tile, four for each thread
const COLUMNS = 64u; // of a tile, one or two for each thread
const DEPTH = 16u;   // terms copied at a time

var<workgroup> left: array<f32, 256>;       // [DEPTH, ROWS]
var<workgroup> right: array<f32, 2048>;     // [DEPTH, 2 COLUMNS]
var<workgroup> terms: array<vec4<i32>, 16>; // [DEPTH]: where the terms are; what w is the kernel says

// The four rows of term q that belong to a thread.
fn left_of(q: u32, row: u32) -> vec4<f32> {
    let at = q * ROWS + row;
    return vec4<f32>(left[at], left[at + 1u], left[at + 2u], left[at + 3u]);
}

// y: rows are output channels, columns are samples and places of the output, terms are input channels
// and taps.
@compute @workgroup_size(256)
fn conv_forward_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channels = p.in_channels / p.groups;
    let outputs = p.out_channels / p.groups;
    let taps = volume(p.kernel);
    let image = volume(p.input);
    let map = volume(p.output);
    let across = (p.batch * map + 2u * COLUMNS - 1u) / (2u * COLUMNS);
    let down = (outputs + ROWS - 1u) / ROWS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across {
        return;
    }
    let slice = tile / across / down;
    let top = tile / across % down * ROWS;
    let first_column = tile % across * 2u * COLUMNS;

    // The column that this thread copies.
    let copied = first_column + thread % 128u;
    let exists = copied < p.batch * map;
    let base = place_in(p.output, copied % map) * vector(p.stride) - vector(p.padding);
    let plane = (copied / map * p.in_channels + slice * channels) * image;

    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    let row = thread / 64u * 4u;
    let column = thread % 64u;
    for (var first = 0u; first < channels * taps; first += DEPTH) {
        if thread < DEPTH {
            let term = first + thread;
            let k = place_in(p.kernel, term % taps) * vector(p.dilation);
            terms[thread] = vec4<i32>(k, i32(term / taps * image));
        }
        let o = top + thread % ROWS;
        let term = first + thread / ROWS;
        var weight = 0.0;
        if o < outputs && term < channels * taps {
            weight = w[(slice * outputs + o) * channels * taps + term];
        }
        left[thread] = weight;
        workgroupBarrier();
        for (var q = thread / 128u; q < DEPTH; q += 2u) {
            var value = 0.0;
            let i = index_of(base + terms[q].xyz, p.input);
            if exists && first + q < channels * taps && i != NOWHERE {
                value = x[plane + u32(terms[q].w) + i];
            }
            right[q * 128u + thread % 128u] = value;
        }
        workgroupBarrier();
        for (var q = 0u; q < DEPTH; q++) {
            let weights = left_of(q, row);
            sum0 += weights * right[q * 128u + column];
            sum1 += weights * right[q * 128u + column + 64u];
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        let o = slice * outputs + top + row + r;
        if top + row + r >= outputs {
            break;
        }
        var shift = 0.0;
        if p.has_bias == 1u {
            shift = bias[o];
        }
        let at = first_column + column;
        if at < p.batch * map {
            y[(at / map * p.out_channels + o) * map + at % map] = sum0[r] + shift;
        }
        if at + 64u < p.batch * map {
            y[((at + 64u) / map * p.out_channels + o) * map + (at + 64u) % map] = sum1[r] + shift;
        }
    }
}

// dx: rows are input channels, columns are samples and places of the input, terms are output channels
// and taps.
@compute @workgroup_size(256)
fn conv_backward_input_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channels = p.in_channels / p.groups;
    let outputs = p.out_channels / p.groups;
    let taps = volume(p.kernel);
    let image = volume(p.input);
    let map = volume(p.output);
    let across = (p.batch * image + 2u * COLUMNS - 1u) / (2u * COLUMNS);
    let down = (channels + ROWS - 1u) / ROWS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across {
        return;
    }
    let slice = tile / across / down;
    let top = tile / across % down * ROWS;
    let first_column = tile % across * 2u * COLUMNS;

    let copied = first_column + thread % 128u;
    let exists = copied < p.batch * image;
    let base = place_in(p.input, copied % image) + vector(p.padding);
    let plane = (copied / image * p.out_channels + slice * outputs) * map;
    let stride = vector(p.stride);

    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    let row = thread / 64u * 4u;
    let column = thread % 64u;
    for (var first = 0u; first < outputs * taps; first += DEPTH) {
        if thread < DEPTH {
            let term = first + thread;
            let k = place_in(p.kernel, term % taps) * vector(p.dilation);
            terms[thread] = vec4<i32>(k, i32(term / taps * map));
        }
        let c = top + thread % ROWS;
        let term = first + thread / ROWS;
        var weight = 0.0;
        if c < channels && term < outputs * taps {
            weight = w[((slice * outputs + term / taps) * channels + c) * taps + term % taps];
        }
        left[thread] = weight;
        workgroupBarrier();
        for (var q = thread / 128u; q < DEPTH; q += 2u) {
            var value = 0.0;
            let scaled = base - terms[q].xyz;
            let place = scaled / stride;
            let i = index_of(place, p.output);
            if exists && first + q < outputs * taps && i != NOWHERE && all(place * stride == scaled) {
                value = dy[plane + u32(terms[q].w) + i];
            }
            right[q * 128u + thread % 128u] = value;
        }
        workgroupBarrier();
        for (var q = 0u; q < DEPTH; q++) {
            let weights = left_of(q, row);
            sum0 += weights * right[q * 128u + column];
            sum1 += weights * right[q * 128u + column + 64u];
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        let c = slice * channels + top + row + r;
        if top + row + r >= channels {
            break;
        }
        let at = first_column + column;
        if at < p.batch * image {
            dx[(at / image * p.in_channels + c) * image + at % image] = sum0[r];
        }
        if at + 64u < p.batch * image {
            dx[((at + 64u) / image * p.in_channels + c) * image + (at + 64u) % image] = sum1[r];
        }
    }
}

// dw: rows are output channels, columns are input channels and taps, terms are samples and places of
// the output. The terms are cut into parts, one for each of p.parts groups.
@compute @workgroup_size(256)
fn conv_backward_weight_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channels = p.in_channels / p.groups;
    let outputs = p.out_channels / p.groups;
    let taps = volume(p.kernel);
    let image = volume(p.input);
    let map = volume(p.output);
    let across = (channels * taps + COLUMNS - 1u) / COLUMNS;
    let down = (outputs + ROWS - 1u) / ROWS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across * p.parts {
        return;
    }
    let part = tile / across / down / p.groups;
    let slice = tile / across / down % p.groups;
    let top = tile / across % down * ROWS;
    let first_column = tile % across * COLUMNS;
    let begin = part * p.chunk;
    let end = min(begin + p.chunk, p.batch * map);

    let copied = first_column + thread % COLUMNS;
    let exists = copied < channels * taps;
    let base = place_in(p.kernel, copied % taps) * vector(p.dilation) - vector(p.padding);
    let plane = (slice * channels + copied / taps) * image;

    // A sum per DEPTH terms first, which keeps the digits of small terms in a long sum.
    var sum = vec4<f32>();
    let row = thread / 64u * 4u;
    let column = thread % 64u;
    for (var first = begin; first < end; first += DEPTH) {
        if thread < DEPTH {
            let term = first + thread;
            let place = place_in(p.output, term % map) * vector(p.stride);
            terms[thread] = vec4<i32>(place, i32(term / map));
        }
        let o = top + thread / DEPTH;
        let term = first + thread % DEPTH;
        var gradient = 0.0;
        if o < outputs && term < end {
            gradient = dy[(term / map * p.out_channels + slice * outputs + o) * map + term % map];
        }
        left[thread % DEPTH * ROWS + thread / DEPTH] = gradient;
        workgroupBarrier();
        for (var q = thread / COLUMNS; q < DEPTH; q += 4u) {
            var value = 0.0;
            let i = index_of(base + terms[q].xyz, p.input);
            if exists && first + q < end && i != NOWHERE {
                value = x[u32(terms[q].w) * p.in_channels * image + plane + i];
            }
            right[q * COLUMNS + thread % COLUMNS] = value;
        }
        workgroupBarrier();
        var block = vec4<f32>();
        for (var q = 0u; q < DEPTH; q++) {
            block += left_of(q, row) * right[q * COLUMNS + column];
        }
        sum += block;
        workgroupBarrier();
    }
    let of_tap = first_column + column;
    for (var r = 0u; r < 4u; r++) {
        if of_tap < channels * taps && top + row + r < outputs {
            let o = slice * outputs + top + row + r;
            dw[(part * p.out_channels + o) * channels * taps + of_tap] = sum[r];
        }
    }
}
