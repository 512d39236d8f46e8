// The gradient of the input, the fast rung. Put behind point.cu.
//
// In the plain rung every voxel looks at every point: of a volume of a million voxels and as many
// points nearly all that work is for nothing. Here voxels and points are cut into bricks of 8 x 8 x 4.
// The first kernel finds the box of voxels that each brick of points touches; neighbours in the grid lie
// near each other in the volume, so most boxes are small. In the second, a block has a brick of
// voxels, passes over the bricks of points whose boxes are elsewhere, and brings the others to
// shared memory, where all its voxels look at them. Bricks and points come in a fixed order.

const u32 BRICK_X = 8;
const u32 BRICK_Y = 8;
const u32 BRICK_Z = 4;

// How many bricks a volume has along each axis.
__device__ uint3 bricks(uint3 size) {
    return make_uint3(
        (size.x + BRICK_X - 1) / BRICK_X, (size.y + BRICK_Y - 1) / BRICK_Y, (size.z + BRICK_Z - 1) / BRICK_Z);
}

// The element of a thread in brick number `brick`.
__device__ uint3 element(u32 brick, uint3 bricks, u32 thread) {
    return make_uint3(
        brick % bricks.x * BRICK_X + thread % 8,
        brick / bricks.x % bricks.y * BRICK_Y + thread / 8 % 8,
        brick / (bricks.x * bricks.y) * BRICK_Z + thread / 64);
}

__device__ uint3 in_size(const GridSampleCall& p) {
    return make_uint3(p.in_w, p.in_h, p.in_d);
}

__device__ uint3 out_size(const GridSampleCall& p) {
    return make_uint3(p.out_w, p.out_h, p.out_d);
}

__device__ bool all_below(uint3 i, uint3 size) {
    return i.x < size.x && i.y < size.y && i.z < size.z;
}

// The least and the greatest number that a thread of the warp has.
__device__ i32 least_of_warp(i32 x) {
    for (u32 half = 16; half > 0; half /= 2) {
        x = min(x, __shfl_xor_sync(0xffffffff, x, half));
    }
    return x;
}

__device__ i32 greatest_of_warp(i32 x) {
    return -least_of_warp(-x);
}

// boxes: [samples, bricks, 6], the least and the greatest lower voxel of a brick of points
extern "C" __global__ __launch_bounds__(256)
void grid_sample_boxes(GridSampleCall p, const float* grid, float* y_boxes) {
    // The box of each warp: the points of the block are the threads of eight warps.
    __shared__ i32 boxes[8][6];
    u32 thread = threadIdx.x;
    u32 n = blockIdx.x;
    uint3 across = bricks(out_size(p));
    u32 each = across.x * across.y * across.z;
    if (n >= p.samples * each) {
        return;
    }
    // Beyond the end of the grid stands its last point once more.
    uint3 o = element(n % each, across, thread);
    o = make_uint3(min(o.x, p.out_w - 1), min(o.y, p.out_h - 1), min(o.z, p.out_d - 1));
    int3 low = point(p, grid, n / each, (o.z * p.out_h + o.y) * p.out_w + o.x).low;
    i32 box[6] = {
        least_of_warp(low.x), least_of_warp(low.y), least_of_warp(low.z),
        greatest_of_warp(low.x), greatest_of_warp(low.y), greatest_of_warp(low.z),
    };
    if (thread % 32 == 0) {
        for (u32 k = 0; k < 6; k++) {
            boxes[thread / 32][k] = box[k];
        }
    }
    __syncthreads();
    if (thread < 6) {
        i32 bound = boxes[0][thread];
        for (u32 warp = 1; warp < 8; warp++) {
            i32 other = boxes[warp][thread];
            bound = thread < 3 ? min(bound, other) : max(bound, other);
        }
        y_boxes[6 * n + thread] = float(bound);
    }
}

// Whether a box of points touches the brick of voxels that begins at `first`.
__device__ bool touches(const float* box, uint3 first) {
    float x = float(first.x);
    float y = float(first.y);
    float z = float(first.z);
    return box[0] < x + float(BRICK_X) && box[1] < y + float(BRICK_Y) && box[2] < z + float(BRICK_Z)
        && box[3] + 1.0f >= x && box[4] + 1.0f >= y && box[5] + 1.0f >= z;
}

// dy: [samples, channels, points]   dx: [samples, channels, in_d, in_h, in_w], with what the bricks of
// points before p.first have given
extern "C" __global__ __launch_bounds__(256)
void grid_sample_backward_input_bricks(
    GridSampleCall p, const float* grid, const float* dy, const float* boxes, float* dx) {
    // The points of a brick: their lower voxels and fractions, and what arrives at them in four channels.
    __shared__ int4 lows[256];
    __shared__ float3 fractions[256];
    __shared__ float4 gradients[256];
    u32 thread = threadIdx.x;
    // A block has a brick of voxels in up to four channels of a sample.
    u32 n = blockIdx.x;
    uint3 in_bricks = bricks(in_size(p));
    u32 tiles = in_bricks.x * in_bricks.y * in_bricks.z;
    u32 quarters = (p.channels + 3) / 4;
    u32 sample = n / tiles / quarters;
    if (sample >= p.samples) {
        return;
    }
    u32 plane = sample * p.channels + 4 * (n / tiles % quarters);
    u32 channels = min(4u, (sample + 1) * p.channels - plane);
    uint3 first = element(n % tiles, in_bricks, 0);
    uint3 i = element(n % tiles, in_bricks, thread);
    u32 voxel = plane * in_plane(p) + (i.z * p.in_h + i.y) * p.in_w + i.x;

    uint3 out_bricks = bricks(out_size(p));
    u32 each = out_bricks.x * out_bricks.y * out_bricks.z;
    float sum[4] = {};
    u32 brick = p.first;
    while (true) {
        while (brick < p.end && !touches(boxes + 6 * (sample * each + brick), first)) {
            brick++;
        }
        if (brick >= p.end) {
            break;
        }
        uint3 point_at = element(brick, out_bricks, thread);
        // Nobody is still looking at the brick before.
        __syncthreads();
        // Far from every voxel, for a thread without a point.
        lows[thread] = make_int4(-9, -9, -9, 0);
        if (all_below(point_at, out_size(p))) {
            u32 o = (point_at.z * p.out_h + point_at.y) * p.out_w + point_at.x;
            Point at = point(p, grid, sample, o);
            lows[thread] = make_int4(at.low.x, at.low.y, at.low.z, 0);
            fractions[thread] = at.fraction;
            float gradient[4];
            for (u32 c = 0; c < 4; c++) {
                gradient[c] = c < channels ? dy[(plane + c) * points(p) + o] : 0.0f;
            }
            gradients[thread] = make_float4(gradient[0], gradient[1], gradient[2], gradient[3]);
        }
        __syncthreads();
        // Sums of sums: a voxel of the border can have all points outside.
        float part[4] = {};
        for (u32 k = 0; k < 256; k++) {
            // All threads look at the same point: a single load of 16 bytes for the warp.
            int4 low = lows[k];
            uint3 side = side_of(i, make_int3(low.x, low.y, low.z));
            if (is_around(side)) {
                float3 w = weights(fractions[k], side);
                float weight = w.x * w.y * w.z;
                float4 gradient = gradients[k];
                part[0] += weight * gradient.x;
                part[1] += weight * gradient.y;
                part[2] += weight * gradient.z;
                part[3] += weight * gradient.w;
            }
        }
        for (u32 c = 0; c < 4; c++) {
            sum[c] += part[c];
        }
        brick++;
    }
    if (all_below(i, in_size(p))) {
        for (u32 c = 0; c < 4; c++) {
            if (c < channels) {
                u32 at = voxel + c * in_plane(p);
                dx[at] = p.first > 0 ? dx[at] + sum[c] : sum[c];
            }
        }
    }
}
