// Convolution, the rung above conv.wgsl: each of the three formulas is a product of two matrices, one of
// which is never written down. Rows are channels; columns are places (forward, backward_input) or
// kernel taps (backward_weight); what is summed over are the terms of the formula.
//
// The plain rung reads two numbers from memory per multiplication and divides a dozen times to find
// them. Here where things lie is worked out beforehand, once for each column and once for each term, as
// four numbers: a place, and its distance in the buffer. Both are sums of a column's part and a term's.

@group(0) @binding(0) var<storage, read> p: ConvCall;
@group(0) @binding(1) var<storage, read> x: array<f32>;           // [N, C, D, H, W]
@group(0) @binding(2) var<storage, read> dy: array<f32>;          // [N, O, OD, OH, OW]
@group(0) @binding(3) var<storage, read> w: array<f32>;           // [O, C / groups, KD, KH, KW]
@group(0) @binding(4) var<storage, read> bias: array<f32>;        // [O]
@group(0) @binding(6) var<storage, read_write> y: array<f32>;     // [N, O, OD, OH, OW]
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;    // [N, C, D, H, W]
@group(0) @binding(8) var<storage, read_write> dw: array<f32>;    // [parts, O, C / groups, KD, KH, KW]

const ROWS = 16u; // of a tile

// A column that does not exist: no step brings it inside.
const OUTSIDE = vec4<i32>(-0x7fffffff, -0x7fffffff, -0x7fffffff, 0);

// Where a place would stand in a block; sums of places have sums of these.
fn distance_of(place: vec3<i32>, sizes: array<u32, 3>) -> i32 {
    return (place.x * i32(sizes[1]) + place.y) * i32(sizes[2]) + place.z;
}

// Whether a place lies in a block. As a whole number without a sign, a negative one is huge.
fn within(place: vec3<i32>, sizes: array<u32, 3>) -> bool {
    return all(vec3<u32>(place) < vec3<u32>(sizes[0], sizes[1], sizes[2]));
}

// The element of x where an output and a kernel tap meet, 0 outside.
fn x_at(output: vec4<i32>, tap: vec4<i32>) -> f32 {
    let spot = output + tap;
    let inside = within(spot.xyz, p.input);
    return select(0.0, x[select(0u, u32(spot.w), inside)], inside);
}

// Output number i of all samples, for x_at: the place and the distance of its first tap, in the first
// channel of its slice.
fn output_spot(i: u32, slice: u32) -> vec4<i32> {
    let map = volume(p.output);
    if i >= p.batch * map {
        return OUTSIDE;
    }
    let first = place_in(p.output, i % map) * vector(p.stride) - vector(p.padding);
    let channel = i / map * p.in_channels + slice * (p.in_channels / p.groups);
    return vec4<i32>(first, i32(channel * volume(p.input)) + distance_of(first, p.input));
}

// Term number i of all input channels and taps, for x_at: the steps from the first tap.
fn tap_spot(i: u32) -> vec4<i32> {
    let taps = volume(p.kernel);
    let step = place_in(p.kernel, i % taps) * vector(p.dilation);
    return vec4<i32>(step, i32(i / taps * volume(p.input)) + distance_of(step, p.input));
}

// w[o, c, k], with o and c counted inside a slice, 0 outside.
fn w_at(slice: u32, o: u32, c: u32, k: u32) -> f32 {
    let channels = p.in_channels / p.groups;
    let outputs = p.out_channels / p.groups;
    if o >= outputs || c >= channels {
        return 0.0;
    }
    return w[((slice * outputs + o) * channels + c) * volume(p.kernel) + k];
}

const COLUMNS = 256u; // of a tile of y or dx, two for each thread
const DEPTH = 128u;   // terms prepared at a time, one by each thread

var<workgroup> weights: array<mat4x4<f32>, 128>; // [DEPTH, ROWS]
var<workgroup> terms: array<vec4<i32>, 128>;     // [DEPTH]
var<workgroup> rests: array<vec3<i32>, 128>;     // [DEPTH]

fn four_w_of_outputs(slice: u32, o: u32, c: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(
        w_at(slice, o, c, k), w_at(slice, o + 1u, c, k), w_at(slice, o + 2u, c, k), w_at(slice, o + 3u, c, k),
    );
}

fn write_y(slice: u32, o: u32, i: u32, sums: vec4<f32>) {
    let outputs = p.out_channels / p.groups;
    let map = volume(p.output);
    for (var r = 0u; r < 4u; r++) {
        if o + r < outputs && i < p.batch * map {
            let channel = slice * outputs + o + r;
            var sum = sums[r];
            if p.has_bias == 1u {
                sum += bias[channel];
            }
            y[(i / map * p.out_channels + channel) * map + i % map] = sum;
        }
    }
}

// y: rows are output channels, columns are samples and places of the output, terms are input channels
// and taps. A thread computes all 16 rows of two columns, so that each element of x it reads serves 16
// multiplications, and each weight in the group's memory is read once for two.
@compute @workgroup_size(128)
fn conv_forward_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let outputs = p.out_channels / p.groups;
    let taps = volume(p.kernel);
    let count = p.in_channels / p.groups * taps;
    let down = (outputs + ROWS - 1u) / ROWS;
    let across = (p.batch * volume(p.output) + COLUMNS - 1u) / COLUMNS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across {
        return;
    }
    let top = tile % down * ROWS;
    let slice = tile / down % p.groups;
    let column = tile / down / p.groups * COLUMNS + thread;
    let output_a = output_spot(column, slice);
    let output_b = output_spot(column + 128u, slice);
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    for (var first = 0u; first < count; first += DEPTH) {
        let term = first + thread;
        let c = term / taps;
        let k = term % taps;
        terms[thread] = tap_spot(term);
        weights[thread] = mat4x4<f32>(
            four_w_of_outputs(slice, top, c, k),
            four_w_of_outputs(slice, top + 4u, c, k),
            four_w_of_outputs(slice, top + 8u, c, k),
            four_w_of_outputs(slice, top + 12u, c, k),
        );
        workgroupBarrier();
        // A sum per DEPTH terms first, which keeps the digits of small terms in a long sum.
        var block_a = mat4x4<f32>();
        var block_b = mat4x4<f32>();
        for (var q = 0u; q < min(DEPTH, count - first); q++) {
            block_a += weights[q] * x_at(output_a, terms[q]);
            block_b += weights[q] * x_at(output_b, terms[q]);
        }
        a += block_a;
        b += block_b;
        workgroupBarrier();
    }
    write_y(slice, top, column, a[0]);
    write_y(slice, top + 4u, column, a[1]);
    write_y(slice, top + 8u, column, a[2]);
    write_y(slice, top + 12u, column, a[3]);
    write_y(slice, top, column + 128u, b[0]);
    write_y(slice, top + 4u, column + 128u, b[1]);
    write_y(slice, top + 8u, column + 128u, b[2]);
    write_y(slice, top + 12u, column + 128u, b[3]);
}

// An input, for dy_at. With input + padding = stride * spot + rest and k * dilation likewise, the
// division by the stride has no remainder where the rests are equal, and gives the difference of the
// spots.
struct InputSpot {
    spot: vec4<i32>,
    rest: vec3<i32>,
}

fn input_spot(i: u32, slice: u32) -> InputSpot {
    let image = volume(p.input);
    if i >= p.batch * image {
        return InputSpot(OUTSIDE, vec3<i32>());
    }
    let padded = place_in(p.input, i % image) + vector(p.padding);
    let spot = padded / vector(p.stride);
    let channel = i / image * p.out_channels + slice * (p.out_channels / p.groups);
    let distance = i32(channel * volume(p.output)) + distance_of(spot, p.output);
    return InputSpot(vec4<i32>(spot, distance), padded % vector(p.stride));
}

// The element of dy where an input and a kernel tap meet, 0 where there is none.
fn dy_at(input: InputSpot, tap: vec4<i32>, rest: vec3<i32>) -> f32 {
    let spot = input.spot + tap;
    let inside = within(spot.xyz, p.output) && all(input.rest == rest);
    return select(0.0, dy[select(0u, u32(spot.w), inside)], inside);
}

fn four_w_of_inputs(slice: u32, o: u32, c: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(
        w_at(slice, o, c, k), w_at(slice, o, c + 1u, k), w_at(slice, o, c + 2u, k), w_at(slice, o, c + 3u, k),
    );
}

fn write_dx(slice: u32, c: u32, i: u32, sums: vec4<f32>) {
    let channels = p.in_channels / p.groups;
    let image = volume(p.input);
    for (var r = 0u; r < 4u; r++) {
        if c + r < channels && i < p.batch * image {
            dx[(i / image * p.in_channels + slice * channels + c + r) * image + i % image] = sums[r];
        }
    }
}

// dx: rows are input channels, columns are samples and places of the input, terms are output channels
// and taps. The same as forward in the other direction.
@compute @workgroup_size(128)
fn conv_backward_input_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channels = p.in_channels / p.groups;
    let taps = volume(p.kernel);
    let count = p.out_channels / p.groups * taps;
    let down = (channels + ROWS - 1u) / ROWS;
    let across = (p.batch * volume(p.input) + COLUMNS - 1u) / COLUMNS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across {
        return;
    }
    let top = tile % down * ROWS;
    let slice = tile / down % p.groups;
    let column = tile / down / p.groups * COLUMNS + thread;
    let input_a = input_spot(column, slice);
    let input_b = input_spot(column + 128u, slice);
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    for (var first = 0u; first < count; first += DEPTH) {
        let term = first + thread;
        let o = term / taps;
        let k = term % taps;
        let step = place_in(p.kernel, k) * vector(p.dilation);
        let back = -(step / vector(p.stride));
        terms[thread] = vec4<i32>(back, i32(o * volume(p.output)) + distance_of(back, p.output));
        rests[thread] = step % vector(p.stride);
        weights[thread] = mat4x4<f32>(
            four_w_of_inputs(slice, o, top, k),
            four_w_of_inputs(slice, o, top + 4u, k),
            four_w_of_inputs(slice, o, top + 8u, k),
            four_w_of_inputs(slice, o, top + 12u, k),
        );
        workgroupBarrier();
        var block_a = mat4x4<f32>();
        var block_b = mat4x4<f32>();
        for (var q = 0u; q < min(DEPTH, count - first); q++) {
            block_a += weights[q] * dy_at(input_a, terms[q], rests[q]);
            block_b += weights[q] * dy_at(input_b, terms[q], rests[q]);
        }
        a += block_a;
        b += block_b;
        workgroupBarrier();
    }
    write_dx(slice, top, column, a[0]);
    write_dx(slice, top + 4u, column, a[1]);
    write_dx(slice, top + 8u, column, a[2]);
    write_dx(slice, top + 12u, column, a[3]);
    write_dx(slice, top, column + 128u, b[0]);
    write_dx(slice, top + 4u, column + 128u, b[1]);
    write_dx(slice, top + 8u, column + 128u, b[2]);
    write_dx(slice, top + 12u, column + 128u, b[3]);
}

const TAPS = 64u;   // columns of a tile of dw
const BLOCK = 128u; // terms whose spots are worked out at a time
const STEP = 32u;   // terms copied at a time

// Fours of rows, and fours of columns, of each term; one more keeps threads that write off each other's
// banks.
var<workgroup> dy_strip: array<vec4<f32>, 160>; // [STEP, ROWS / 4 + 1]
var<workgroup> x_strip: array<vec4<f32>, 544>;  // [STEP, TAPS / 4 + 1]
var<workgroup> columns: array<vec4<i32>, 64>;   // [TAPS]
var<workgroup> outputs_seen: array<vec4<i32>, 128>; // [BLOCK]
var<workgroup> dy_seen: array<u32, 128>;        // [BLOCK]: where they stand in dy

// The product of four rows and four columns at one term: a row in each vec4.
fn products(rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

fn write_dw(part: u32, slice: u32, o: u32, tap: u32, sums: vec4<f32>) {
    let outputs = p.out_channels / p.groups;
    let count = p.in_channels / p.groups * volume(p.kernel);
    for (var r = 0u; r < 4u; r++) {
        if o < outputs && tap + r < count {
            dw[(part * p.out_channels + slice * outputs + o) * count + tap + r] = sums[r];
        }
    }
}

// dw: rows are output channels, columns are input channels and taps, terms are samples and places of the
// output, cut into p.parts parts of p.chunk terms. A tile has fewer elements than a group has threads
// to keep busy, so four threads share each block of 4 x 4, and in the end their sums are added.
@compute @workgroup_size(256)
fn conv_backward_weight_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let outputs = p.out_channels / p.groups;
    let map = volume(p.output);
    let count = p.in_channels / p.groups * volume(p.kernel);
    let down = (outputs + ROWS - 1u) / ROWS;
    let across = (count + TAPS - 1u) / TAPS;
    let tile = group.y * groups.x + group.x;
    if tile >= p.groups * down * across * p.parts {
        return;
    }
    let top = tile % down * ROWS;
    let left = tile / down % across * TAPS;
    let slice = tile / down / across % p.groups;
    let part = tile / down / across / p.groups;
    let begin = part * p.chunk;
    let end = min(begin + p.chunk, p.batch * map);

    if thread < TAPS {
        columns[thread] = tap_spot(min(left + thread, count - 1u));
    }
    // Which of the four that share a block, and which block.
    let sharer = thread / 64u;
    let row = thread % 64u / 16u;
    let column = thread % 16u;
    let copied = thread % STEP;
    var sum = mat4x4<f32>();
    for (var first = begin; first < end; first += BLOCK) {
        if thread < BLOCK {
            let term = first + thread;
            outputs_seen[thread] = OUTSIDE;
            if term < end {
                outputs_seen[thread] = output_spot(term, slice);
            }
            dy_seen[thread] = (term / map * p.out_channels + slice * outputs) * map + term % map;
        }
        workgroupBarrier();
        var block = mat4x4<f32>();
        for (var step = 0u; step < min(BLOCK, end - first); step += STEP) {
            let seen = outputs_seen[step + copied];
            for (var four = thread / STEP; four < 16u; four += 8u) {
                let at = four * 4u;
                x_strip[copied * 17u + four] = vec4<f32>(
                    x_at(seen, columns[at]), x_at(seen, columns[at + 1u]),
                    x_at(seen, columns[at + 2u]), x_at(seen, columns[at + 3u]),
                );
            }
            let four = thread / STEP;
            if four < 4u {
                var gradients = vec4<f32>();
                for (var r = 0u; r < 4u; r++) {
                    let o = top + four * 4u + r;
                    if o < outputs && first + step + copied < end {
                        gradients[r] = dy[dy_seen[step + copied] + o * map];
                    }
                }
                dy_strip[copied * 5u + four] = gradients;
            }
            workgroupBarrier();
            for (var q = sharer; q < STEP; q += 4u) {
                block += products(dy_strip[q * 5u + row], x_strip[q * 17u + column]);
            }
            workgroupBarrier();
        }
        sum += block;
    }
    // Sharers 2 and 3 hand their sums to 0 and 1, then 1 to 0.
    for (var half = 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if sharer >= half && sharer < 2u * half {
            let at = (thread - half * 64u) * 4u;
            x_strip[at] = sum[0];
            x_strip[at + 1u] = sum[1];
            x_strip[at + 2u] = sum[2];
            x_strip[at + 3u] = sum[3];
        }
        workgroupBarrier();
        if sharer < half {
            let at = thread * 4u;
            sum += mat4x4<f32>(x_strip[at], x_strip[at + 1u], x_strip[at + 2u], x_strip[at + 3u]);
        }
    }
    if sharer == 0u {
        write_dw(part, slice, top + row * 4u, left + column * 4u, sum[0]);
        write_dw(part, slice, top + row * 4u + 1u, left + column * 4u, sum[1]);
        write_dw(part, slice, top + row * 4u + 2u, left + column * 4u, sum[2]);
        write_dw(part, slice, top + row * 4u + 3u, left + column * 4u, sum[3]);
    }
}
