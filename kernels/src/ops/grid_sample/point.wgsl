// A point of the grid and the voxels around it. Put behind math.wgsl and in front of the kernels.
// Triples are along width, height and depth, as x, y and z.

struct GridSampleCall {
    samples: u32,
    channels: u32,
    in_d: u32,
    in_h: u32,
    in_w: u32,
    out_d: u32,
    out_h: u32,
    out_w: u32,
    border: u32,
    align_corners: u32,
    first: u32, // of the bricks to go through
    end: u32,
}

@group(0) @binding(0) var<storage, read> p: GridSampleCall;
// [samples, points, 3]
@group(0) @binding(1) var<storage, read> grid: array<f32>;

// The voxel below the point, possibly outside, and how far the point is on the way to the next; and
// voxels per unit of the grid, 0 where moving the point changes nothing.
struct Point {
    low: vec3<i32>,
    fraction: vec3<f32>,
    slope: vec3<f32>,
}

fn in_plane() -> u32 {
    return p.in_d * p.in_h * p.in_w;
}

fn points() -> u32 {
    return p.out_d * p.out_h * p.out_w;
}

struct Axis {
    low: i32,
    fraction: f32,
    slope: f32,
}

// A coordinate of a point along an axis of `size` voxels.
fn axis(coordinate: f32, size: u32) -> Axis {
    let n = f32(size);
    var at = ((coordinate + 1.0) * n - 1.0) * 0.5;
    var slope = n * 0.5;
    if p.align_corners == 1u {
        at = (coordinate + 1.0) * 0.5 * (n - 1.0);
        slope = (n - 1.0) * 0.5;
    }
    if is_nan(at) {
        return Axis(0, at, slope);
    }
    if p.border == 1u {
        if at <= 0.0 {
            at = 0.0;
            slope = 0.0;
        } else if at >= n - 1.0 {
            at = n - 1.0;
            slope = 0.0;
        }
    } else if at < -1.0 {
        // As far outside as any: what follows stays within the integers.
        at = -2.0;
    } else if at > n {
        at = n + 1.0;
    }
    return Axis(i32(floor(at)), at - floor(at), slope);
}

// Point o of a sample.
fn point(sample: u32, o: u32) -> Point {
    let at = 3u * (sample * points() + o);
    let w = axis(grid[at], p.in_w);
    let h = axis(grid[at + 1u], p.in_h);
    let d = axis(grid[at + 2u], p.in_d);
    return Point(
        vec3(w.low, h.low, d.low),
        vec3(w.fraction, h.fraction, d.fraction),
        vec3(w.slope, h.slope, d.slope),
    );
}

// The weights, along each axis, of a voxel on the lower (0) or upper (1) side of a point. Their product
// is its weight.
fn weights(fraction: vec3<f32>, side: vec3<u32>) -> vec3<f32> {
    return select(1.0 - fraction, fraction, side == vec3(1u));
}
