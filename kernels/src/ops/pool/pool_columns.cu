// Pooling, the fast rung. Put behind window.cu.
//
// In the plain rung each thread works out where its output stands, with a handful of divisions, for
// the sake of a few elements, and where windows overlap each row of a window is taken in again for the
// window below. Here a thread has four outputs (forward) or four inputs (backward), one below the
// other, and takes in each row once for all of them; neighbouring threads still read and write
// neighbouring elements. (A row between two windows is taken in for nothing. Strides are seldom so
// large, and to find out first takes registers.) A few large windows, as in pooling over everything,
// would leave most of a GPU idle: there a block shares each window, and its warps join what their lanes
// have found by shuffles.

// Whether a window has an element `at` steps after its beginning. What would be negative has wrapped
// around and is too large.
__device__ bool has(Dim dim, u32 at) {
    const bool within = at <= (dim.kernel - 1) * dim.dilation;
    if (dim.dilation == 1) {
        return within;
    }
    return within && at % dim.dilation == 0;
}

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void max_pool_forward_columns(
    Pool p, const float* __restrict__ x, float* __restrict__ y, u32* __restrict__ y_argmax
) {
    const u32 columns = (p.out_h + 3) / 4;
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 ow = n % p.out_w;
    const u32 oh = n / p.out_w % columns * 4;
    const u32 od = n / (p.out_w * columns) % p.out_d;
    const u32 plane = n / (p.out_w * columns * p.out_d);
    if (plane >= p.planes) {
        return;
    }
    const u32 start = plane * p.in_d * p.in_h * p.in_w;
    const u32 rows = (min(4u, p.out_h - oh) - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1;
    Placed max[4] = {{0.0f, NOWHERE}, {0.0f, NOWHERE}, {0.0f, NOWHERE}, {0.0f, NOWHERE}};
    for (u32 kd = 0; kd < p.kernel_d; kd++) {
        const u32 d = element(depth(p), od, kd);
        for (u32 row = 0; row < rows; row++) {
            const u32 h = oh * p.stride_h + row - p.pad_h;
            if (d >= p.in_d || h >= p.in_h) {
                continue;
            }
            Placed of_row = {0.0f, NOWHERE};
            #pragma unroll 1 // rows of windows are short; NVRTC 13.0 spills registers on sm_90 without this
            for (u32 kw = 0; kw < p.kernel_w; kw++) {
                const u32 w = element(width(p), ow, kw);
                if (w < p.in_w) {
                    const u32 i = (d * p.in_h + h) * p.in_w + w;
                    of_row = greater(of_row, {x[start + i], i});
                }
            }
            for (u32 j = 0; j < 4; j++) {
                if (has(height(p), row - j * p.stride_h)) {
                    max[j] = greater(max[j], of_row);
                }
            }
        }
    }
    for (u32 j = 0; j < 4; j++) {
        if (oh + j < p.out_h) {
            const u32 o = ((plane * p.out_d + od) * p.out_h + oh + j) * p.out_w + ow;
            y[o] = value(max[j]);
            y_argmax[o] = max[j].at;
        }
    }
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
extern "C" __global__ __launch_bounds__(256)
void max_pool_backward_columns(
    Pool p, const u32* __restrict__ argmax, const float* __restrict__ dy, float* __restrict__ dx
) {
    const u32 columns = (p.in_h + 3) / 4;
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 w = n % p.in_w;
    const u32 h = n / p.in_w % columns * 4;
    const u32 d = n / (p.in_w * columns) % p.in_d;
    const u32 plane = n / (p.in_w * columns * p.in_d);
    if (plane >= p.planes) {
        return;
    }
    const u32 i = (d * p.in_h + h) * p.in_w + w;
    float sum[4] = {};
    for (u32 od = first_window(depth(p), d); od <= last_window(depth(p), d); od++) {
        float of_slice[4] = {};
        for (u32 oh = first_window(height(p), h); oh <= last_window(height(p), h + 3); oh++) {
            float of_row[4] = {};
            for (u32 ow = first_window(width(p), w); ow <= last_window(width(p), w); ow++) {
                const u32 o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                const u32 at = argmax[o];
                const float flows_back = dy[o]; // loaded in any case, beside argmax and not after it
                for (u32 j = 0; j < 4; j++) {
                    of_row[j] += at == i + j * p.in_w ? flows_back : 0.0f;
                }
            }
            for (u32 j = 0; j < 4; j++) {
                of_slice[j] += of_row[j];
            }
        }
        for (u32 j = 0; j < 4; j++) {
            sum[j] += of_slice[j];
        }
    }
    for (u32 j = 0; j < 4; j++) {
        if (h + j < p.in_h) {
            dx[((plane * p.in_d + d) * p.in_h + h + j) * p.in_w + w] = sum[j];
        }
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void avg_pool_forward_columns(Pool p, const float* __restrict__ x, float* __restrict__ y) {
    const u32 columns = (p.out_h + 3) / 4;
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 ow = n % p.out_w;
    const u32 oh = n / p.out_w % columns * 4;
    const u32 od = n / (p.out_w * columns) % p.out_d;
    const u32 plane = n / (p.out_w * columns * p.out_d);
    if (plane >= p.planes) {
        return;
    }
    const u32 rows = (min(4u, p.out_h - oh) - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1;
    float sum[4] = {};
    for (u32 kd = 0; kd < p.kernel_d; kd++) {
        const u32 d = element(depth(p), od, kd);
        float of_slice[4] = {};
        for (u32 row = 0; row < rows; row++) {
            const u32 h = oh * p.stride_h + row - p.pad_h;
            if (d >= p.in_d || h >= p.in_h) {
                continue;
            }
            float of_row = 0.0f;
            #pragma unroll 1 // rows of windows are short
            for (u32 kw = 0; kw < p.kernel_w; kw++) {
                const u32 w = element(width(p), ow, kw);
                if (w < p.in_w) {
                    of_row += x[((plane * p.in_d + d) * p.in_h + h) * p.in_w + w];
                }
            }
            for (u32 j = 0; j < 4; j++) {
                of_slice[j] += has(height(p), row - j * p.stride_h) ? of_row : 0.0f;
            }
        }
        for (u32 j = 0; j < 4; j++) {
            sum[j] += of_slice[j];
        }
    }
    for (u32 j = 0; j < 4; j++) {
        if (oh + j < p.out_h) {
            const u32 o = ((plane * p.out_d + od) * p.out_h + oh + j) * p.out_w + ow;
            y[o] = sum[j] / count(p, od, oh + j, ow);
        }
    }
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
extern "C" __global__ __launch_bounds__(256)
void avg_pool_backward_columns(Pool p, const float* __restrict__ dy, float* __restrict__ dx) {
    const u32 columns = (p.in_h + 3) / 4;
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 w = n % p.in_w;
    const u32 h = n / p.in_w % columns * 4;
    const u32 d = n / (p.in_w * columns) % p.in_d;
    const u32 plane = n / (p.in_w * columns * p.in_d);
    if (plane >= p.planes) {
        return;
    }
    float sum[4] = {};
    for (u32 od = first_window(depth(p), d); od <= last_window(depth(p), d); od++) {
        if (passes_over(depth(p), od, d)) {
            continue;
        }
        float of_slice[4] = {};
        for (u32 oh = first_window(height(p), h); oh <= last_window(height(p), h + 3); oh++) {
            float of_row = 0.0f;
            #pragma unroll 1
            for (u32 ow = first_window(width(p), w); ow <= last_window(width(p), w); ow++) {
                if (!passes_over(width(p), ow, w)) {
                    const u32 o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                    of_row += dy[o] / count(p, od, oh, ow);
                }
            }
            for (u32 j = 0; j < 4; j++) {
                const bool taken = has(height(p), h + j + p.pad_h - oh * p.stride_h);
                of_slice[j] += taken ? of_row : 0.0f;
            }
        }
        for (u32 j = 0; j < 4; j++) {
            sum[j] += of_slice[j];
        }
    }
    for (u32 j = 0; j < 4; j++) {
        if (h + j < p.in_h) {
            dx[((plane * p.in_d + d) * p.in_h + h + j) * p.in_w + w] = sum[j];
        }
    }
}

// A window shared by a block, and its output.
struct Shared {
    u32 plane;
    u32 od;
    u32 oh;
    u32 ow;
};

__device__ Shared shared_window(const Pool& p, u32 n) {
    const u32 rest = n / p.out_w;
    return {rest / p.out_h / p.out_d, rest / p.out_h % p.out_d, rest % p.out_h, n % p.out_w};
}

// Where element number k of the window stands in its plane, or NOWHERE.
__device__ u32 place(const Pool& p, Shared o, u32 k) {
    const u32 row = k / p.kernel_w;
    const u32 d = element(depth(p), o.od, row / p.kernel_h);
    const u32 h = element(height(p), o.oh, row % p.kernel_h);
    const u32 w = element(width(p), o.ow, k % p.kernel_w);
    return d < p.in_d && h < p.in_h && w < p.in_w ? (d * p.in_h + h) * p.in_w + w : NOWHERE;
}

// The greater of two in any order, as greater would choose.
__device__ Placed greater_of(Placed a, Placed b) {
    if (is_nan(a.x) == is_nan(b.x) && (a.x == b.x || is_nan(a.x)) && a.at != NOWHERE && b.at != NOWHERE) {
        // Of equal ones the former, of NaNs the latter.
        if ((a.at < b.at) == is_nan(a.x)) {
            return b;
        }
        return a;
    }
    return greater(a, b);
}

// The greatest of what the lanes of a warp hold, the same for all of them: with the lane 16 away,
// with the lane 8 away, ..
__device__ Placed greatest_of_warp(Placed mine) {
    for (u32 away = 16; away > 0; away /= 2) {
        const float x = __shfl_xor_sync(0xffffffff, mine.x, away);
        const u32 at = __shfl_xor_sync(0xffffffff, mine.at, away);
        mine = greater_of(mine, {x, at});
    }
    return mine;
}

// The sum of what the lanes of a warp hold, in the same order.
__device__ float sum_of_warp(float mine) {
    for (u32 away = 16; away > 0; away /= 2) {
        mine += __shfl_xor_sync(0xffffffff, mine, away);
    }
    return mine;
}

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void max_pool_forward_shared(
    Pool p, const float* __restrict__ x, float* __restrict__ y, u32* __restrict__ y_argmax
) {
    __shared__ Placed maxima[8]; // of the warps
    const u32 n = blockIdx.x;
    const u32 thread = threadIdx.x;
    const Shared o = shared_window(p, n);
    if (o.plane >= p.planes) {
        return;
    }
    const u32 start = o.plane * p.in_d * p.in_h * p.in_w;
    Placed max = {0.0f, NOWHERE};
    for (u32 k = thread; k < p.kernel_d * p.kernel_h * p.kernel_w; k += 256) {
        const u32 i = place(p, o, k);
        if (i != NOWHERE) {
            max = greater(max, {x[start + i], i});
        }
    }
    max = greatest_of_warp(max);
    if (thread % 32 == 0) {
        maxima[thread / 32] = max;
    }
    __syncthreads();
    if (thread == 0) {
        for (u32 warp = 1; warp < 8; warp++) {
            max = greater_of(max, maxima[warp]);
        }
        y[n] = value(max);
        y_argmax[n] = max.at;
    }
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void avg_pool_forward_shared(Pool p, const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float sums[8]; // of the warps
    const u32 n = blockIdx.x;
    const u32 thread = threadIdx.x;
    const Shared o = shared_window(p, n);
    if (o.plane >= p.planes) {
        return;
    }
    const u32 start = o.plane * p.in_d * p.in_h * p.in_w;
    const u32 taps = p.kernel_d * p.kernel_h * p.kernel_w;
    float sum = 0.0f;
    for (u32 first = thread; first < taps; first += 65536) {
        // Sums of sums of 256.
        float part = 0.0f;
        for (u32 k = first; k < min(first + 65536, taps); k += 256) {
            const u32 i = place(p, o, k);
            if (i != NOWHERE) {
                part += x[start + i];
            }
        }
        sum += part;
    }
    sum = sum_of_warp(sum);
    if (thread % 32 == 0) {
        sums[thread / 32] = sum;
    }
    __syncthreads();
    if (thread == 0) {
        for (u32 warp = 1; warp < 8; warp++) {
            sum += sums[warp];
        }
        y[n] = sum / count(p, o.od, o.oh, o.ow);
    }
}
