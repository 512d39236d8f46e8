// The fast rung; put behind cross_entropy.cu.
//
// A thread per row reads a row three times over, far from what its neighbours read, and the sum of the
// losses is a launch of its own. Here the lanes of a block share each of its rows, and the block takes
// one bundle of rows after the other and adds up their losses as it goes. A batch of usual size is one
// part, whose sum is the result.

// norm_of by all lanes of a row. A row that is not there is its neighbour, computed once more.
__device__ Norm norm_of_lanes(const CrossEntropyCall& p, const float* x, u32 first, u32 lane, u32 thread) {
    if (p.log_probabilities == 1) {
        return {0.0f, 0.0f};
    }
    u32 lanes = 256 / p.width;
    float largest = x[first];
    for (u32 c = lane; c < p.classes; c += lanes) {
        largest = fmaxf(largest, x[first + c * p.inner]);
    }
    float m = max_of_lanes(largest, p.width, thread);
    float sum = 0.0f;
    for (u32 c = lane; c < p.classes; c += lanes) {
        sum += exp_(x[first + c * p.inner] - m);
    }
    return {m, log_(sum_of_lanes(sum, p.width, thread))};
}

extern "C" __global__ __launch_bounds__(256)
void cross_entropy_rows(
    CrossEntropyCall p, const float* __restrict__ x, const u32* __restrict__ labels,
    const float* __restrict__ weight, float* __restrict__ loss, float* __restrict__ total_weight, u32* faults
) {
    u32 thread = threadIdx.x;
    u32 part = blockIdx.x;
    if (part >= p.parts) {
        return;
    }
    u32 lane = thread / p.width;
    u32 lanes = 256 / p.width;
    u32 end = min((part + 1) * p.chunk, p.outer * p.inner);
    float loss_part = 0.0f;
    float weight_part = 0.0f;
    for (u32 bundle = part * p.chunk; bundle < end; bundle += p.width) {
        u32 number = bundle + thread % p.width;
        Row row = row_of(p, labels, faults, min(number, end - 1));
        Norm norm = norm_of_lanes(p, x, row.first, lane, thread);
        bool counts = number < end && !row.ignored;
        float mine = 0.0f;
        if (counts && lane == 0) {
            float w = weight_of(p, weight, row.label);
            mine = -p.on_label * w * logp(p, x, row, norm, row.label) + row.bad;
            weight_part += w;
        }
        if (counts && p.on_each != 0.0f) {
            float spread = 0.0f;
            for (u32 c = lane; c < p.classes; c += lanes) {
                spread += weight_of(p, weight, c) * logp(p, x, row, norm, c);
            }
            mine -= p.on_each * spread;
        }
        if (p.each_loss == 1) {
            float all = sum_of_lanes(mine, p.width, thread);
            if (lane == 0 && number < end) {
                loss[number] = all;
            }
        }
        loss_part += mine;
    }
    if (p.each_loss == 0) {
        finish(p, loss, total_weight, loss_part, weight_part, part, thread);
    }
}

// As above: the lanes of a block share its rows.
extern "C" __global__ __launch_bounds__(256)
void cross_entropy_rows_backward(
    CrossEntropyCall p, const float* __restrict__ x, const u32* __restrict__ labels,
    const float* __restrict__ weight, const float* __restrict__ divisor, const float* __restrict__ dloss,
    float* __restrict__ dx, u32* faults
) {
    u32 thread = threadIdx.x;
    u32 bundle = blockIdx.x;
    u32 rows = p.outer * p.inner;
    if (bundle >= (rows + p.width - 1) / p.width) {
        return;
    }
    u32 lane = thread / p.width;
    u32 lanes = 256 / p.width;
    u32 number = bundle * p.width + thread % p.width;
    Row row = row_of(p, labels, faults, min(number, rows - 1));
    Norm norm = norm_of_lanes(p, x, row.first, lane, thread);
    float part = 0.0f;
    for (u32 c = lane; c < p.classes; c += lanes) {
        part += q(p, weight, row, c);
    }
    float sum_q = sum_of_lanes(part, p.width, thread);
    if (number < rows) {
        float g = g_of(p, divisor, dloss, number);
        for (u32 c = lane; c < p.classes; c += lanes) {
            float all = gradient(p, x, weight, row, norm, sum_q, g, c) + row.bad;
            dx[row.first + c * p.inner] = row.ignored ? 0.0f : all;
        }
    }
}
