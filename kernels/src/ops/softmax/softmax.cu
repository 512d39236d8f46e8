// Softmax and its logarithm; see mod.rs. Put behind math.cu and group.cu.

struct SoftmaxCall {
    u32 outer;
    u32 dim;
    u32 inner;
    u32 log;
    u32 width; // rows that a block works on; see group.rs
};

// x, saved, dy, y, dx: [outer, dim, inner]; saved is y of the forward pass

// Element i of a row stands at first_of(row) + i * inner.
__device__ u32 first_of(const SoftmaxCall& p, u32 row) {
    return row / p.inner * p.dim * p.inner + row % p.inner;
}

__device__ float output(const SoftmaxCall& p, float x, float m, float sum) {
    if (p.log == 1) {
        return x - m - log_(sum);
    }
    return exp_(x - m) / sum;
}

// What the backward pass adds up over a row, and what it makes of the sum.
__device__ float term(const SoftmaxCall& p, float y, float dy) {
    return p.log == 1 ? dy : dy * y;
}

__device__ float gradient(const SoftmaxCall& p, float y, float dy, float sum) {
    if (p.log == 1) {
        return dy - exp_(y) * sum;
    }
    return y * (dy - sum);
}

// y_i = exp(x_i - m) / sum_j exp(x_j - m), or x_i - m - log(sum_j exp(x_j - m)), with m = max_j x_j
extern "C" __global__ __launch_bounds__(256)
void softmax(SoftmaxCall p, const float* x, float* y) {
    u32 row = blockIdx.x * 256 + threadIdx.x;
    if (row >= p.outer * p.inner) {
        return;
    }
    u32 first = first_of(p, row);
    float m = x[first];
    for (u32 i = 1; i < p.dim; i++) {
        m = fmaxf(m, x[first + i * p.inner]);
    }
    Blocks sum = {};
    for (u32 i = 0; i < p.dim; i++) {
        add(&sum, exp_(x[first + i * p.inner] - m));
    }
    for (u32 i = 0; i < p.dim; i++) {
        u32 at = first + i * p.inner;
        y[at] = output(p, x[at], m, total(sum));
    }
}

// dx_i = y_i (dy_i - sum_j dy_j y_j), or dy_i - exp(y_i) sum_j dy_j
extern "C" __global__ __launch_bounds__(256)
void softmax_backward(SoftmaxCall p, const float* saved, const float* dy, float* dx) {
    u32 row = blockIdx.x * 256 + threadIdx.x;
    if (row >= p.outer * p.inner) {
        return;
    }
    u32 first = first_of(p, row);
    Blocks sum = {};
    for (u32 i = 0; i < p.dim; i++) {
        u32 at = first + i * p.inner;
        add(&sum, term(p, saved[at], dy[at]));
    }
    for (u32 i = 0; i < p.dim; i++) {
        u32 at = first + i * p.inner;
        dx[at] = gradient(p, saved[at], dy[at], total(sum));
    }
}

// With a thread per row, a long row is one thread's work, three times over, and threads side by side
// read elements a whole row apart. Here the lanes of a block share its rows: neighbours read
// neighbours, and maximum and sum are trees.
extern "C" __global__ __launch_bounds__(256)
void softmax_rows(SoftmaxCall p, const float* __restrict__ x, float* __restrict__ y) {
    u32 thread = threadIdx.x;
    u32 number = blockIdx.x;
    u32 rows = p.outer * p.inner;
    if (number >= (rows + p.width - 1) / p.width) {
        return;
    }
    // In the last block some threads do a row once more, and write nothing.
    u32 row = number * p.width + thread % p.width;
    u32 first = first_of(p, min(row, rows - 1));
    u32 lane = thread / p.width;
    u32 lanes = 256 / p.width;

    float largest = x[first];
    for (u32 i = lane; i < p.dim; i += lanes) {
        largest = fmaxf(largest, x[first + i * p.inner]);
    }
    float m = max_of_lanes(largest, p.width, thread);
    float part = 0.0f;
    for (u32 i = lane; i < p.dim; i += lanes) {
        part += exp_(x[first + i * p.inner] - m);
    }
    float sum = sum_of_lanes(part, p.width, thread);
    if (row < rows) {
        for (u32 i = lane; i < p.dim; i += lanes) {
            u32 at = first + i * p.inner;
            y[at] = output(p, x[at], m, sum);
        }
    }
}

// The same for the gradient.
extern "C" __global__ __launch_bounds__(256)
void softmax_rows_backward(
    SoftmaxCall p, const float* __restrict__ saved, const float* __restrict__ dy, float* __restrict__ dx
) {
    u32 thread = threadIdx.x;
    u32 number = blockIdx.x;
    u32 rows = p.outer * p.inner;
    if (number >= (rows + p.width - 1) / p.width) {
        return;
    }
    u32 row = number * p.width + thread % p.width;
    u32 first = first_of(p, min(row, rows - 1));
    u32 lane = thread / p.width;
    u32 lanes = 256 / p.width;

    float part = 0.0f;
    for (u32 i = lane; i < p.dim; i += lanes) {
        u32 at = first + i * p.inner;
        part += term(p, saved[at], dy[at]);
    }
    float sum = sum_of_lanes(part, p.width, thread);
    if (row < rows) {
        for (u32 i = lane; i < p.dim; i += lanes) {
            u32 at = first + i * p.inner;
            dx[at] = gradient(p, saved[at], dy[at], sum);
        }
    }
}
