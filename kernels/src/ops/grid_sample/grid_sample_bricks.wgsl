// The gradient of the input, the fast rung. Put behind point.wgsl.
//
// In the plain rung every voxel looks at every point: of a volume of a million voxels and as many
// points nearly all that work is for nothing. Here voxels and points are cut into bricks of 8 x 8 x 4.
// The first kernel finds the box of voxels that each brick of points touches; neighbours in the grid lie
// near each other in the volume, so most boxes are small. In the second, a workgroup has a brick of
// voxels, passes over the bricks of points whose boxes are elsewhere, and brings the others to
// workgroup memory, where all its voxels look at them. Bricks and points come in a fixed order.

@group(0) @binding(2) var<storage, read> dy: array<f32>;
// [samples, bricks, 6]: the least and the greatest lower voxel of a brick of points
@group(0) @binding(3) var<storage, read> boxes: array<f32>;
@group(0) @binding(4) var<storage, read_write> y_boxes: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

const BRICK = vec3(8u, 8u, 4u);

// How many bricks a volume has along each axis.
fn bricks(size: vec3<u32>) -> vec3<u32> {
    return (size + BRICK - 1u) / BRICK;
}

// The first element of a brick.
fn corner(brick: u32, bricks: vec3<u32>) -> vec3<u32> {
    return vec3(brick % bricks.x, brick / bricks.x % bricks.y, brick / (bricks.x * bricks.y)) * BRICK;
}

// The element of a thread, counted from the first.
fn within(thread: u32) -> vec3<u32> {
    return vec3(thread % 8u, thread / 8u % 8u, thread / 64u);
}

fn out_size() -> vec3<u32> {
    return vec3(p.out_w, p.out_h, p.out_d);
}

var<workgroup> least: array<vec3<f32>, 256>;
var<workgroup> greatest: array<vec3<f32>, 256>;

// boxes: [samples, bricks, 6]
@compute @workgroup_size(256)
fn grid_sample_boxes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = group.y * groups.x + group.x;
    let bricks = bricks(out_size());
    let each = bricks.x * bricks.y * bricks.z;
    if n >= p.samples * each {
        return;
    }
    // Beyond the end of the grid stands its last point once more.
    let o = min(corner(n % each, bricks) + within(thread), out_size() - 1u);
    let at = point(n / each, (o.z * p.out_h + o.y) * p.out_w + o.x);
    least[thread] = vec3<f32>(at.low);
    greatest[thread] = vec3<f32>(at.low);
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            least[thread] = min(least[thread], least[thread + half]);
            greatest[thread] = max(greatest[thread], greatest[thread + half]);
        }
    }
    if thread == 0u {
        for (var axis = 0u; axis < 3u; axis++) {
            y_boxes[6u * n + axis] = least[0][axis];
            y_boxes[6u * n + 3u + axis] = greatest[0][axis];
        }
    }
}

// Whether a box of points touches the brick of voxels that begins at `first`.
fn touches(box: u32, first: vec3<f32>) -> bool {
    let least = vec3(boxes[6u * box], boxes[6u * box + 1u], boxes[6u * box + 2u]);
    let greatest = vec3(boxes[6u * box + 3u], boxes[6u * box + 4u], boxes[6u * box + 5u]);
    return all(least < first + vec3<f32>(BRICK)) && all(greatest + 1.0 >= first);
}

// The points of a brick: their lower voxels and fractions, and what arrives at them in four channels.
var<workgroup> lows: array<vec3<i32>, 256>;
var<workgroup> fractions: array<vec3<f32>, 256>;
var<workgroup> gradients: array<vec4<f32>, 256>;

// dy: [samples, channels, points]   dx: [samples, channels, in_d, in_h, in_w], with what the bricks of
// points before p.first have given
@compute @workgroup_size(256)
fn grid_sample_backward_input_bricks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // A workgroup has a brick of voxels in up to four channels of a sample.
    let n = group.y * groups.x + group.x;
    let in_bricks = bricks(vec3(p.in_w, p.in_h, p.in_d));
    let tiles = in_bricks.x * in_bricks.y * in_bricks.z;
    let quarters = (p.channels + 3u) / 4u;
    let sample = n / tiles / quarters;
    if sample >= p.samples {
        return;
    }
    let plane = sample * p.channels + 4u * (n / tiles % quarters);
    let channels = min(4u, (sample + 1u) * p.channels - plane);
    let first = corner(n % tiles, in_bricks);
    let i = first + within(thread);
    let is_voxel = i.x < p.in_w && i.y < p.in_h && i.z < p.in_d;
    let voxel = plane * in_plane() + (i.z * p.in_h + i.y) * p.in_w + i.x;

    let out_bricks = bricks(out_size());
    let each = out_bricks.x * out_bricks.y * out_bricks.z;
    var sum = vec4(0.0);
    var brick = p.first;
    loop {
        while brick < p.end && !touches(sample * each + brick, vec3<f32>(first)) {
            brick++;
        }
        if brick >= p.end {
            break;
        }
        let point_at = corner(brick, out_bricks) + within(thread);
        // Nobody is still looking at the brick before.
        workgroupBarrier();
        // Far from every voxel, for a thread without a point.
        lows[thread] = vec3(-9);
        if all(point_at < out_size()) {
            let o = (point_at.z * p.out_h + point_at.y) * p.out_w + point_at.x;
            let at = point(sample, o);
            lows[thread] = at.low;
            fractions[thread] = at.fraction;
            var gradient = vec4(0.0);
            for (var c = 0u; c < channels; c++) {
                gradient[c] = dy[(plane + c) * points() + o];
            }
            gradients[thread] = gradient;
        }
        workgroupBarrier();
        // Sums of sums: a voxel of the border can have all points outside.
        var part = vec4(0.0);
        for (var k = 0u; k < 256u; k++) {
            let side = i - vec3<u32>(lows[k]);
            if all(side <= vec3(1u)) {
                let w = weights(fractions[k], side);
                part += w.x * w.y * w.z * gradients[k];
            }
        }
        sum += part;
        brick++;
    }
    if is_voxel {
        for (var c = 0u; c < channels; c++) {
            let at = voxel + c * in_plane();
            if p.first > 0u {
                dx[at] += sum[c];
            } else {
                dx[at] = sum[c];
            }
        }
    }
}
