// The grids of affine maps; see mod.rs.

struct AffineGrid {
    u32 samples;
    u32 d;
    u32 h;
    u32 w;
    u32 align_corners;
};

// The centre of voxel i of size in normalised coordinates.
__device__ float centre(const AffineGrid& p, u32 i, u32 size) {
    if (p.align_corners == 0) {
        return float(2 * i + 1) / float(size) - 1.0f;
    }
    if (size == 1) {
        return 0.0f;
    }
    return float(2 * i) / float(size - 1) - 1.0f;
}

// (x, y, z, 1) of voxel number o.
__device__ float4 base(const AffineGrid& p, u32 o) {
    u32 row = o / p.w;
    return make_float4(centre(p, o % p.w, p.w), centre(p, row % p.h, p.h), centre(p, row / p.h, p.d), 1.0f);
}

// theta: [samples, 3, 4]   grid: [samples, d, h, w, 3]
extern "C" __global__ __launch_bounds__(256)
void affine_grid(AffineGrid p, const float* theta, float* grid) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    u32 points = p.d * p.h * p.w;
    if (n >= p.samples * points) {
        return;
    }
    float4 at = base(p, n % points);
    // A row of theta is a load of 16 bytes.
    const float4* rows = reinterpret_cast<const float4*>(theta) + 3 * (n / points);
    for (u32 row = 0; row < 3; row++) {
        float4 a = rows[row];
        grid[3 * n + row] = a.x * at.x + a.y * at.y + a.z * at.z + a.w;
    }
}

// Points that a block adds up, 16 in each thread.
const u32 PART = 4096;

// dgrid: [samples, d, h, w, 3]   y_parts: [samples, the points in pieces of PART, 3, 4]
extern "C" __global__ __launch_bounds__(256)
void affine_grid_backward(AffineGrid p, const float* dgrid, float* y_parts) {
    __shared__ float sums[8][12];
    u32 thread = threadIdx.x;
    u32 n = blockIdx.x;
    u32 points = p.d * p.h * p.w;
    u32 pieces = (points + PART - 1) / PART;
    if (n >= p.samples * pieces) {
        return;
    }
    u32 first = n % pieces * PART;
    float sum[12] = {};
    for (u32 o = first + thread; o < min(first + PART, points); o += 256) {
        const float* dat = dgrid + 3 * (n / pieces * points + o);
        float4 at = base(p, o);
        for (u32 row = 0; row < 3; row++) {
            sum[4 * row] += dat[row] * at.x;
            sum[4 * row + 1] += dat[row] * at.y;
            sum[4 * row + 2] += dat[row] * at.z;
            sum[4 * row + 3] += dat[row] * at.w;
        }
    }
    // The 32 threads of a warp pass their sums to each other, without shared memory and barriers; after
    // five rounds each has the sum of all.
    for (u32 half = 16; half > 0; half /= 2) {
        for (u32 k = 0; k < 12; k++) {
            sum[k] += __shfl_xor_sync(0xffffffff, sum[k], half);
        }
    }
    if (thread % 32 == 0) {
        for (u32 k = 0; k < 12; k++) {
            sums[thread / 32][k] = sum[k];
        }
    }
    __syncthreads();
    // Twelve threads add up what the eight warps have.
    if (thread < 12) {
        float total = 0.0f;
        for (u32 warp = 0; warp < 8; warp++) {
            total += sums[warp][thread];
        }
        y_parts[12 * n + thread] = total;
    }
}

// parts: [samples, pieces, 3, 4]   dtheta: [samples, 3, 4]
extern "C" __global__ __launch_bounds__(256)
void affine_grid_backward_total(AffineGrid p, const float* parts, float* dtheta) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    if (n >= 12 * p.samples) {
        return;
    }
    u32 pieces = (p.d * p.h * p.w + PART - 1) / PART;
    float sum = 0.0f;
    for (u32 piece = 0; piece < pieces; piece++) {
        sum += parts[12 * (n / 12 * pieces + piece) + n % 12];
    }
    dtheta[n] = sum;
}
