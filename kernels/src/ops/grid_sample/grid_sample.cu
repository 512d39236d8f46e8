// Resampling of volumes, the plain rung; see mod.rs. Put behind point.cu.

// The side of corner 0 to 7 of a cube.
__device__ uint3 side(u32 corner) {
    return make_uint3(corner & 1, (corner >> 1) & 1, corner >> 2);
}

// What would be negative has wrapped around and is too large.
__device__ bool is_inside(const GridSampleCall& p, uint3 i) {
    return i.x < p.in_w && i.y < p.in_h && i.z < p.in_d;
}

// x: [samples, channels, in_d, in_h, in_w]   y: [samples, channels, points]
extern "C" __global__ __launch_bounds__(256)
void grid_sample(GridSampleCall p, const float* grid, const float* x, float* y) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    u32 sample = n / points(p) / p.channels;
    if (sample >= p.samples) {
        return;
    }
    Point at = point(p, grid, sample, n % points(p));
    u32 start = n / points(p) * in_plane(p);
    float sum = 0.0f;
    for (u32 corner = 0; corner < 8; corner++) {
        uint3 i = beside(at.low, side(corner));
        if (is_inside(p, i)) {
            float3 w = weights(at.fraction, side(corner));
            sum += w.x * w.y * w.z * x[start + (i.z * p.in_h + i.y) * p.in_w + i.x];
        }
    }
    y[n] = sum;
}

// dy: [samples, channels, points]   dx: [samples, channels, in_d, in_h, in_w]
//
// Every voxel looks at all points for those that it is around.
extern "C" __global__ __launch_bounds__(256)
void grid_sample_backward_input(GridSampleCall p, const float* grid, const float* dy, float* dx) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    u32 plane = n / in_plane(p);
    if (plane >= p.samples * p.channels) {
        return;
    }
    uint3 i = make_uint3(n % p.in_w, n / p.in_w % p.in_h, n / (p.in_w * p.in_h) % p.in_d);
    float sum = 0.0f;
    // Sums of sums: a voxel of the border can have all points outside.
    for (u32 first = 0; first < points(p); first += 1024) {
        float part = 0.0f;
        for (u32 o = first; o < min(first + 1024, points(p)); o++) {
            Point at = point(p, grid, plane / p.channels, o);
            uint3 side = side_of(i, at.low);
            if (is_around(side)) {
                float3 w = weights(at.fraction, side);
                part += w.x * w.y * w.z * dy[plane * points(p) + o];
            }
        }
        sum += part;
    }
    dx[n] = sum;
}

// x: [samples, channels, in_d, in_h, in_w]   dy: [samples, channels, points]
// dgrid: [samples, points, 3]
extern "C" __global__ __launch_bounds__(256)
void grid_sample_backward_grid(
    GridSampleCall p, const float* grid, const float* x, const float* dy, float* dgrid) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    if (n >= p.samples * points(p)) {
        return;
    }
    u32 sample = n / points(p);
    u32 o = n % points(p);
    Point at = point(p, grid, sample, o);
    float3 sum = make_float3(0.0f, 0.0f, 0.0f);
    for (u32 corner = 0; corner < 8; corner++) {
        uint3 upper = side(corner);
        uint3 i = beside(at.low, upper);
        if (is_inside(p, i)) {
            float product = 0.0f;
            for (u32 plane = sample * p.channels; plane < (sample + 1) * p.channels; plane++) {
                u32 index = ((plane * p.in_d + i.z) * p.in_h + i.y) * p.in_w + i.x;
                product += dy[plane * points(p) + o] * x[index];
            }
            float3 w = weights(at.fraction, upper);
            sum.x += (upper.x == 1 ? at.slope.x : -at.slope.x) * w.y * w.z * product;
            sum.y += w.x * (upper.y == 1 ? at.slope.y : -at.slope.y) * w.z * product;
            sum.z += w.x * w.y * (upper.z == 1 ? at.slope.z : -at.slope.z) * product;
        }
    }
    dgrid[3 * n] = sum.x;
    dgrid[3 * n + 1] = sum.y;
    dgrid[3 * n + 2] = sum.z;
}
