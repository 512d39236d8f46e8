// A point of the grid and the voxels around it. Put behind math.cu and in front of the kernels.
// Triples are along width, height and depth, as x, y and z.

struct GridSampleCall {
    u32 samples;
    u32 channels;
    u32 in_d;
    u32 in_h;
    u32 in_w;
    u32 out_d;
    u32 out_h;
    u32 out_w;
    u32 border;
    u32 align_corners;
    u32 first; // of the bricks to go through
    u32 end;
};

// The voxel below the point, possibly outside, and how far the point is on the way to the next; and
// voxels per unit of the grid, 0 where moving the point changes nothing.
struct Point {
    int3 low;
    float3 fraction;
    float3 slope;
};

__device__ u32 in_plane(const GridSampleCall& p) {
    return p.in_d * p.in_h * p.in_w;
}

__device__ u32 points(const GridSampleCall& p) {
    return p.out_d * p.out_h * p.out_w;
}

struct Axis {
    i32 low;
    float fraction;
    float slope;
};

// A coordinate of a point along an axis of `size` voxels.
__device__ Axis axis(const GridSampleCall& p, float coordinate, u32 size) {
    float n = float(size);
    float at = ((coordinate + 1.0f) * n - 1.0f) * 0.5f;
    float slope = n * 0.5f;
    if (p.align_corners == 1) {
        at = (coordinate + 1.0f) * 0.5f * (n - 1.0f);
        slope = (n - 1.0f) * 0.5f;
    }
    if (is_nan(at)) {
        return {0, at, slope};
    }
    if (p.border == 1) {
        if (at <= 0.0f) {
            at = 0.0f;
            slope = 0.0f;
        } else if (at >= n - 1.0f) {
            at = n - 1.0f;
            slope = 0.0f;
        }
    } else if (at < -1.0f) {
        // As far outside as any: what follows stays within the integers.
        at = -2.0f;
    } else if (at > n) {
        at = n + 1.0f;
    }
    return {i32(floorf(at)), at - floorf(at), slope};
}

// Point o of a sample. grid: [samples, points, 3]
__device__ Point point(const GridSampleCall& p, const float* grid, u32 sample, u32 o) {
    u32 at = 3 * (sample * points(p) + o);
    Axis w = axis(p, grid[at], p.in_w);
    Axis h = axis(p, grid[at + 1], p.in_h);
    Axis d = axis(p, grid[at + 2], p.in_d);
    return {
        make_int3(w.low, h.low, d.low),
        make_float3(w.fraction, h.fraction, d.fraction),
        make_float3(w.slope, h.slope, d.slope),
    };
}

// The voxel on a side of the one below. What would be negative wraps around and is too large.
__device__ uint3 beside(int3 low, uint3 side) {
    return make_uint3(u32(low.x) + side.x, u32(low.y) + side.y, u32(low.z) + side.z);
}

// The way back: the side that voxel i is on. Of a point elsewhere that is above 1.
__device__ uint3 side_of(uint3 i, int3 low) {
    return make_uint3(i.x - u32(low.x), i.y - u32(low.y), i.z - u32(low.z));
}

__device__ bool is_around(uint3 side) {
    return side.x <= 1 && side.y <= 1 && side.z <= 1;
}

// The weights, along each axis, of a voxel on the lower (0) or upper (1) side of a point. Their product
// is its weight.
__device__ float3 weights(float3 fraction, uint3 side) {
    return make_float3(
        side.x == 1 ? fraction.x : 1.0f - fraction.x,
        side.y == 1 ? fraction.y : 1.0f - fraction.y,
        side.z == 1 ? fraction.z : 1.0f - fraction.z);
}
