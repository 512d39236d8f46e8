// Resampling of volumes, the plain rung; see mod.rs. Put behind point.wgsl.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dgrid: array<f32>;

// The side of corner 0 to 7 of a cube.
fn side(corner: u32) -> vec3<u32> {
    return vec3(corner & 1u, (corner >> 1u) & 1u, corner >> 2u);
}

// What would be negative wraps around and is too large.
fn is_inside(i: vec3<u32>) -> bool {
    return i.x < p.in_w && i.y < p.in_h && i.z < p.in_d;
}

// x: [samples, channels, in_d, in_h, in_w]   y: [samples, channels, points]
@compute @workgroup_size(256)
fn grid_sample(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let sample = n / points() / p.channels;
    if sample >= p.samples {
        return;
    }
    let at = point(sample, n % points());
    let start = n / points() * in_plane();
    var sum = 0.0;
    for (var corner = 0u; corner < 8u; corner++) {
        let i = vec3<u32>(at.low) + side(corner);
        if is_inside(i) {
            let w = weights(at.fraction, side(corner));
            sum += w.x * w.y * w.z * x[start + (i.z * p.in_h + i.y) * p.in_w + i.x];
        }
    }
    y[n] = sum;
}

// dy: [samples, channels, points]   dx: [samples, channels, in_d, in_h, in_w]
//
// Every voxel looks at all points for those that it is around.
@compute @workgroup_size(256)
fn grid_sample_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let plane = n / in_plane();
    if plane >= p.samples * p.channels {
        return;
    }
    let i = vec3(n % p.in_w, n / p.in_w % p.in_h, n / (p.in_w * p.in_h) % p.in_d);
    var sum = 0.0;
    // Sums of sums: a voxel of the border can have all points outside.
    for (var first = 0u; first < points(); first += 1024u) {
        var part = 0.0;
        for (var o = first; o < min(first + 1024u, points()); o++) {
            let at = point(plane / p.channels, o);
            let side = i - vec3<u32>(at.low);
            if all(side <= vec3(1u)) {
                let w = weights(at.fraction, side);
                part += w.x * w.y * w.z * dy[plane * points() + o];
            }
        }
        sum += part;
    }
    dx[n] = sum;
}

// x: [samples, channels, in_d, in_h, in_w]   dy: [samples, channels, points]
// dgrid: [samples, points, 3]
@compute @workgroup_size(256)
fn grid_sample_backward_grid(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    if n >= p.samples * points() {
        return;
    }
    let sample = n / points();
    let o = n % points();
    let at = point(sample, o);
    var sum = vec3(0.0);
    for (var corner = 0u; corner < 8u; corner++) {
        let i = vec3<u32>(at.low) + side(corner);
        if is_inside(i) {
            var product = 0.0;
            for (var plane = sample * p.channels; plane < (sample + 1u) * p.channels; plane++) {
                let index = ((plane * p.in_d + i.z) * p.in_h + i.y) * p.in_w + i.x;
                product += dy[plane * points() + o] * x[index];
            }
            let w = weights(at.fraction, side(corner));
            let slope = select(-at.slope, at.slope, side(corner) == vec3(1u));
            sum += vec3(slope.x * w.y * w.z, w.x * slope.y * w.z, w.x * w.y * slope.z) * product;
        }
    }
    dgrid[3u * n] = sum.x;
    dgrid[3u * n + 1u] = sum.y;
    dgrid[3u * n + 2u] = sum.z;
}
