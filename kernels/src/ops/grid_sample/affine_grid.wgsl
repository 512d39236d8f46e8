// The grids of affine maps; see mod.rs.

struct AffineGrid {
    samples: u32,
    d: u32,
    h: u32,
    w: u32,
    align_corners: u32,
}

@group(0) @binding(0) var<storage, read> p: AffineGrid;
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> dgrid: array<f32>;
@group(0) @binding(3) var<storage, read> parts: array<f32>;
@group(0) @binding(4) var<storage, read_write> grid: array<f32>;
@group(0) @binding(5) var<storage, read_write> y_parts: array<f32>;
@group(0) @binding(6) var<storage, read_write> dtheta: array<f32>;

// The centre of voxel i of size in normalised coordinates.
fn centre(i: u32, size: u32) -> f32 {
    if p.align_corners == 0u {
        return f32(2u * i + 1u) / f32(size) - 1.0;
    }
    if size == 1u {
        return 0.0;
    }
    return f32(2u * i) / f32(size - 1u) - 1.0;
}

// (x, y, z, 1) of voxel number o.
fn base(o: u32) -> vec4<f32> {
    let row = o / p.w;
    return vec4(centre(o % p.w, p.w), centre(row % p.h, p.h), centre(row / p.h, p.d), 1.0);
}

// theta: [samples, 3, 4]   grid: [samples, d, h, w, 3]
@compute @workgroup_size(256)
fn affine_grid(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    let points = p.d * p.h * p.w;
    if n >= p.samples * points {
        return;
    }
    let base = base(n % points);
    for (var row = 0u; row < 3u; row++) {
        let at = 12u * (n / points) + 4u * row;
        let a = vec4(theta[at], theta[at + 1u], theta[at + 2u], theta[at + 3u]);
        grid[3u * n + row] = a.x * base.x + a.y * base.y + a.z * base.z + a.w;
    }
}

// Points that a workgroup adds up, 16 in each thread.
const PART = 4096u;

var<workgroup> sums: array<array<vec4<f32>, 3>, 256>;

// dgrid: [samples, d, h, w, 3]   y_parts: [samples, the points in pieces of PART, 3, 4]
@compute @workgroup_size(256)
fn affine_grid_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = group.y * groups.x + group.x;
    let points = p.d * p.h * p.w;
    let pieces = (points + PART - 1u) / PART;
    if n >= p.samples * pieces {
        return;
    }
    let first = n % pieces * PART;
    var sum = array(vec4(0.0), vec4(0.0), vec4(0.0));
    for (var o = first + thread; o < min(first + PART, points); o += 256u) {
        let at = 3u * (n / pieces * points + o);
        let base = base(o);
        sum[0] += dgrid[at] * base;
        sum[1] += dgrid[at + 1u] * base;
        sum[2] += dgrid[at + 2u] * base;
    }
    sums[thread] = sum;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            for (var row = 0u; row < 3u; row++) {
                sums[thread][row] += sums[thread + half][row];
            }
        }
    }
    workgroupBarrier();
    if thread < 12u {
        y_parts[12u * n + thread] = sums[0][thread / 4u][thread % 4u];
    }
}

// parts: [samples, pieces, 3, 4]   dtheta: [samples, 3, 4]
@compute @workgroup_size(256)
fn affine_grid_backward_total(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = (group.y * groups.x + group.x) * 256u + thread;
    if n >= 12u * p.samples {
        return;
    }
    let pieces = (p.d * p.h * p.w + PART - 1u) / PART;
    var sum = 0.0;
    for (var piece = 0u; piece < pieces; piece++) {
        sum += parts[12u * (n / 12u * pieces + piece) + n % 12u];
    }
    dtheta[n] = sum;
}
