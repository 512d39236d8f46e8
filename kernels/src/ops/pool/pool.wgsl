// Pooling, the plain rung: one output (forward) or one input (backward) per thread; see mod.rs. Put
// behind window.wgsl.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> y_argmax: array<u32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn max_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let ow = n % p.out_w;
    let oh = n / p.out_w % p.out_h;
    let od = n / (p.out_w * p.out_h) % p.out_d;
    let plane = n / (p.out_w * p.out_h * p.out_d);
    if plane >= p.planes {
        return;
    }
    let start = plane * p.in_d * p.in_h * p.in_w;
    var max = Placed(0.0, NOWHERE);
    for (var kd = 0u; kd < p.kernel_d; kd++) {
        let d = element(depth(), od, kd);
        for (var kh = 0u; kh < p.kernel_h; kh++) {
            let h = element(height(), oh, kh);
            for (var kw = 0u; kw < p.kernel_w; kw++) {
                let w = element(width(), ow, kw);
                if d < p.in_d && h < p.in_h && w < p.in_w {
                    let i = (d * p.in_h + h) * p.in_w + w;
                    max = greater(max, Placed(x[start + i], i));
                }
            }
        }
    }
    y[n] = value(max);
    y_argmax[n] = max.at;
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
@compute @workgroup_size(256)
fn max_pool_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let w = n % p.in_w;
    let h = n / p.in_w % p.in_h;
    let d = n / (p.in_w * p.in_h) % p.in_d;
    let plane = n / (p.in_w * p.in_h * p.in_d);
    if plane >= p.planes {
        return;
    }
    let i = (d * p.in_h + h) * p.in_w + w;
    var sum = 0.0;
    for (var od = first_window(depth(), d); od <= last_window(depth(), d); od++) {
        // Sums of sums: an element can be in thousands of windows.
        var of_slice = 0.0;
        for (var oh = first_window(height(), h); oh <= last_window(height(), h); oh++) {
            var of_row = 0.0;
            for (var ow = first_window(width(), w); ow <= last_window(width(), w); ow++) {
                let o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                if argmax[o] == i {
                    of_row += dy[o];
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    dx[n] = sum;
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
@compute @workgroup_size(256)
fn avg_pool_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let ow = n % p.out_w;
    let oh = n / p.out_w % p.out_h;
    let od = n / (p.out_w * p.out_h) % p.out_d;
    let plane = n / (p.out_w * p.out_h * p.out_d);
    if plane >= p.planes {
        return;
    }
    var sum = 0.0;
    for (var kd = 0u; kd < p.kernel_d; kd++) {
        let d = element(depth(), od, kd);
        // Sums of sums: a window of a hundred thousand elements added one by one would lose digits.
        var of_slice = 0.0;
        for (var kh = 0u; kh < p.kernel_h; kh++) {
            let h = element(height(), oh, kh);
            var of_row = 0.0;
            for (var kw = 0u; kw < p.kernel_w; kw++) {
                let w = element(width(), ow, kw);
                if d < p.in_d && h < p.in_h && w < p.in_w {
                    of_row += x[((plane * p.in_d + d) * p.in_h + h) * p.in_w + w];
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    y[n] = sum / count(od, oh, ow);
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
@compute @workgroup_size(256)
fn avg_pool_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let w = n % p.in_w;
    let h = n / p.in_w % p.in_h;
    let d = n / (p.in_w * p.in_h) % p.in_d;
    let plane = n / (p.in_w * p.in_h * p.in_d);
    if plane >= p.planes {
        return;
    }
    var sum = 0.0;
    for (var od = first_window(depth(), d); od <= last_window(depth(), d); od++) {
        var of_slice = 0.0;
        for (var oh = first_window(height(), h); oh <= last_window(height(), h); oh++) {
            var of_row = 0.0;
            for (var ow = first_window(width(), w); ow <= last_window(width(), w); ow++) {
                let o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                if !(passes_over(depth(), od, d) || passes_over(height(), oh, h) || passes_over(width(), ow, w)) {
                    of_row += dy[o] / count(od, oh, ow);
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    dx[n] = sum;
}
