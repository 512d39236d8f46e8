// Pooling, the fast rung. Put behind window.wgsl.
//
// In the plain rung each thread works out where its output stands, with a handful of divisions, for
// the sake of a few elements, and where windows overlap each row of a window is taken in again for the
// window below. Here a thread has four outputs (forward) or four inputs (backward), one below the
// other, and takes in each row once for all of them; neighbouring threads still read and write
// neighbouring elements. A few large windows, as in pooling over everything, would leave most of a GPU
// idle: there a workgroup shares each window.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> y_argmax: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

const FOUR = vec4(0u, 1u, 2u, 3u);

// Which of four windows have an element `at` steps after their beginnings. What would be negative has
// wrapped around and is too large.
fn which_have(dim: Dim, at: vec4<u32>) -> vec4<bool> {
    let within = at <= vec4((dim.kernel - 1u) * dim.dilation);
    if dim.dilation == 1u {
        return within;
    }
    return within & (at % dim.dilation == vec4(0u));
}

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn max_pool_forward_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (p.out_h + 3u) / 4u;
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let ow = n % p.out_w;
    let oh = n / p.out_w % columns * 4u;
    let od = n / (p.out_w * columns) % p.out_d;
    let plane = n / (p.out_w * columns * p.out_d);
    if plane >= p.planes {
        return;
    }
    let start = plane * p.in_d * p.in_h * p.in_w;
    let rows = (min(4u, p.out_h - oh) - 1u) * p.stride_h + (p.kernel_h - 1u) * p.dilation_h + 1u;
    var max = array(Placed(0.0, NOWHERE), Placed(0.0, NOWHERE), Placed(0.0, NOWHERE), Placed(0.0, NOWHERE));
    for (var kd = 0u; kd < p.kernel_d; kd++) {
        let d = element(depth(), od, kd);
        for (var row = 0u; row < rows; row++) {
            let h = oh * p.stride_h + row - p.pad_h;
            let taken = which_have(height(), row - FOUR * p.stride_h);
            if d >= p.in_d || h >= p.in_h || !any(taken) {
                continue;
            }
            var of_row = Placed(0.0, NOWHERE);
            for (var kw = 0u; kw < p.kernel_w; kw++) {
                let w = element(width(), ow, kw);
                if w < p.in_w {
                    let i = (d * p.in_h + h) * p.in_w + w;
                    of_row = greater(of_row, Placed(x[start + i], i));
                }
            }
            for (var j = 0u; j < 4u; j++) {
                if taken[j] {
                    max[j] = greater(max[j], of_row);
                }
            }
        }
    }
    for (var j = 0u; j < min(4u, p.out_h - oh); j++) {
        let o = ((plane * p.out_d + od) * p.out_h + oh + j) * p.out_w + ow;
        y[o] = value(max[j]);
        y_argmax[o] = max[j].at;
    }
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
@compute @workgroup_size(256)
fn max_pool_backward_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (p.in_h + 3u) / 4u;
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let w = n % p.in_w;
    let h = n / p.in_w % columns * 4u;
    let d = n / (p.in_w * columns) % p.in_d;
    let plane = n / (p.in_w * columns * p.in_d);
    if plane >= p.planes {
        return;
    }
    let i = (d * p.in_h + h + FOUR) * p.in_w + w;
    var sum = vec4(0.0);
    for (var od = first_window(depth(), d); od <= last_window(depth(), d); od++) {
        var of_slice = vec4(0.0);
        for (var oh = first_window(height(), h); oh <= last_window(height(), h + 3u); oh++) {
            var of_row = vec4(0.0);
            for (var ow = first_window(width(), w); ow <= last_window(width(), w); ow++) {
                let o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                of_row += select(vec4(0.0), vec4(dy[o]), vec4(argmax[o]) == i);
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    for (var j = 0u; j < min(4u, p.in_h - h); j++) {
        dx[((plane * p.in_d + d) * p.in_h + h + j) * p.in_w + w] = sum[j];
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn avg_pool_forward_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (p.out_h + 3u) / 4u;
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let ow = n % p.out_w;
    let oh = n / p.out_w % columns * 4u;
    let od = n / (p.out_w * columns) % p.out_d;
    let plane = n / (p.out_w * columns * p.out_d);
    if plane >= p.planes {
        return;
    }
    let rows = (min(4u, p.out_h - oh) - 1u) * p.stride_h + (p.kernel_h - 1u) * p.dilation_h + 1u;
    var sum = vec4(0.0);
    for (var kd = 0u; kd < p.kernel_d; kd++) {
        let d = element(depth(), od, kd);
        var of_slice = vec4(0.0);
        for (var row = 0u; row < rows; row++) {
            let h = oh * p.stride_h + row - p.pad_h;
            let taken = which_have(height(), row - FOUR * p.stride_h);
            if d >= p.in_d || h >= p.in_h || !any(taken) {
                continue;
            }
            var of_row = 0.0;
            for (var kw = 0u; kw < p.kernel_w; kw++) {
                let w = element(width(), ow, kw);
                if w < p.in_w {
                    of_row += x[((plane * p.in_d + d) * p.in_h + h) * p.in_w + w];
                }
            }
            of_slice += select(vec4(0.0), vec4(of_row), taken);
        }
        sum += of_slice;
    }
    for (var j = 0u; j < min(4u, p.out_h - oh); j++) {
        let o = ((plane * p.out_d + od) * p.out_h + oh + j) * p.out_w + ow;
        y[o] = sum[j] / count(od, oh + j, ow);
    }
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
@compute @workgroup_size(256)
fn avg_pool_backward_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let columns = (p.in_h + 3u) / 4u;
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let w = n % p.in_w;
    let h = n / p.in_w % columns * 4u;
    let d = n / (p.in_w * columns) % p.in_d;
    let plane = n / (p.in_w * columns * p.in_d);
    if plane >= p.planes {
        return;
    }
    var sum = vec4(0.0);
    for (var od = first_window(depth(), d); od <= last_window(depth(), d); od++) {
        var of_slice = vec4(0.0);
        for (var oh = first_window(height(), h); oh <= last_window(height(), h + 3u); oh++) {
            var of_row = 0.0;
            for (var ow = first_window(width(), w); ow <= last_window(width(), w); ow++) {
                if !(passes_over(depth(), od, d) || passes_over(width(), ow, w)) {
                    let o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                    of_row += dy[o] / count(od, oh, ow);
                }
            }
            let taken = which_have(height(), h + FOUR + p.pad_h - oh * p.stride_h);
            of_slice += select(vec4(0.0), vec4(of_row), taken);
        }
        sum += of_slice;
    }
    for (var j = 0u; j < min(4u, p.in_h - h); j++) {
        dx[((plane * p.in_d + d) * p.in_h + h + j) * p.in_w + w] = sum[j];
    }
}

// A window shared by a workgroup, and its output.
struct Shared {
    plane: u32,
    od: u32,
    oh: u32,
    ow: u32,
}

fn shared_window(n: u32) -> Shared {
    let rest = n / p.out_w;
    return Shared(rest / p.out_h / p.out_d, rest / p.out_h % p.out_d, rest % p.out_h, n % p.out_w);
}

// Where element number k of the window stands in its plane, or NOWHERE.
fn place(o: Shared, k: u32) -> u32 {
    let row = k / p.kernel_w;
    let d = element(depth(), o.od, row / p.kernel_h);
    let h = element(height(), o.oh, row % p.kernel_h);
    let w = element(width(), o.ow, k % p.kernel_w);
    return select(NOWHERE, (d * p.in_h + h) * p.in_w + w, d < p.in_d && h < p.in_h && w < p.in_w);
}

var<workgroup> maxima: array<Placed, 256>;
var<workgroup> sums: array<f32, 256>;

// The greater of two in any order, as greater would choose.
fn greater_of(a: Placed, b: Placed) -> Placed {
    if is_nan(a.x) == is_nan(b.x) && (a.x == b.x || is_nan(a.x)) && a.at != NOWHERE && b.at != NOWHERE {
        // Of equal ones the former, of NaNs the latter.
        if (a.at < b.at) == is_nan(a.x) {
            return b;
        }
        return a;
    }
    return greater(a, b);
}

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn max_pool_forward_shared(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = group.y * groups.x + group.x;
    let o = shared_window(n);
    if o.plane >= p.planes {
        return;
    }
    let start = o.plane * p.in_d * p.in_h * p.in_w;
    var max = Placed(0.0, NOWHERE);
    for (var k = thread; k < p.kernel_d * p.kernel_h * p.kernel_w; k += 256u) {
        let i = place(o, k);
        if i != NOWHERE {
            max = greater(max, Placed(x[start + i], i));
        }
    }
    maxima[thread] = max;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            maxima[thread] = greater_of(maxima[thread], maxima[thread + half]);
        }
    }
    if thread == 0u {
        y[n] = value(maxima[0]);
        y_argmax[n] = maxima[0].at;
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn avg_pool_forward_shared(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = group.y * groups.x + group.x;
    let o = shared_window(n);
    if o.plane >= p.planes {
        return;
    }
    let start = o.plane * p.in_d * p.in_h * p.in_w;
    let taps = p.kernel_d * p.kernel_h * p.kernel_w;
    var sum = 0.0;
    for (var first = thread; first < taps; first += 65536u) {
        // Sums of sums of 256.
        var part = 0.0;
        for (var k = first; k < min(first + 65536u, taps); k += 256u) {
            let i = place(o, k);
            if i != NOWHERE {
                part += x[start + i];
            }
        }
        sum += part;
    }
    sums[thread] = sum;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            sums[thread] += sums[thread + half];
        }
    }
    if thread == 0u {
        y[n] = sums[0] / count(o.od, o.oh, o.ow);
    }
}
