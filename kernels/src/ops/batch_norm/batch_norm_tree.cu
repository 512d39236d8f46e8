
// The fast rung: sums over channels by threads that share them. Put behind batch_norm.cu.
//
// A thread per channel leaves a GPU idle, for there are few channels, and each thread reads alone. Here
// the lanes of a block share a channel's values, neighbours reading neighbours, and add up in a tree.
// A channel is one part unless it is very long; then a second launch puts its parts together.

// What a thread has to do in sum_tree's order; see sum.cu.
struct Task {
    u32 c;
    u32 output; // of a part of a channel
    bool there; // whether there is such a channel
    u32 lane;
    u32 lanes;
    u32 begin; // the first value of the part
    u32 count; // and how many it has
};

__device__ Task task_of(const BatchNormCall& p, u32 number, u32 thread) {
    const u32 bundles = (p.channels + p.width - 1) / p.width;
    const u32 part = number / bundles;
    const u32 c = number % bundles * p.width + thread % p.width;
    const u32 begin = part * p.chunk;
    const u32 lanes = 256 / p.width;
    const u32 count = min(p.chunk, values(p) - begin);
    return {c, part * p.channels + c, c < p.channels, thread / p.width, lanes, begin, count};
}

__device__ Walk walk_channel(const BatchNormCall& p, const Task& task) {
    const u32 row = p.channels * p.inner;
    const u32 tail = max(p.inner, 1u); // walk divides by it
    return walk(task.c * p.inner, task.begin + task.lane, task.lanes, tail, row);
}

extern "C" __global__ __launch_bounds__(256)
void batch_norm_statistics_tree(
    BatchNormCall p, const float* __restrict__ x,
    float* __restrict__ first_out, float* __restrict__ second_out
) {
    const u32 number = blockIdx.x;
    const u32 thread = threadIdx.x;
    if (number >= (p.channels + p.width - 1) / p.width * p.parts) {
        return;
    }
    const Task task = task_of(p, number, thread);
    const u32 count = task.there ? task.count : 0;
    const u32 lanes = task.lanes;

    float sum = 0.0f;
    Walk places = walk_channel(p, task);
    u32 t = task.lane;
    for (; t + 3 * lanes < count; t += 4 * lanes) {
        const float a = x[next(&places)];
        const float b = x[next(&places)];
        const float c = x[next(&places)];
        const float d = x[next(&places)];
        sum += (a + b) + (c + d);
    }
    for (; t < count; t += lanes) {
        sum += x[next(&places)];
    }
    const float m = sum_of_lanes(sum, p.width, thread) / float(task.count);

    float squares = 0.0f;
    places = walk_channel(p, task);
    t = task.lane;
    for (; t + 3 * lanes < count; t += 4 * lanes) {
        const float a = x[next(&places)] - m;
        const float b = x[next(&places)] - m;
        const float c = x[next(&places)] - m;
        const float d = x[next(&places)] - m;
        squares += (a * a + b * b) + (c * c + d * d);
    }
    for (; t < count; t += lanes) {
        const float d = x[next(&places)] - m;
        squares += d * d;
    }
    const float v = sum_of_lanes(squares, p.width, thread) / float(task.count);

    if (task.lane == 0 && task.there) {
        first_out[task.output] = m;
        second_out[task.output] = v;
    }
}

extern "C" __global__ __launch_bounds__(256)
void batch_norm_sums_tree(
    BatchNormCall p, const float* __restrict__ x, const float* __restrict__ dy,
    const float* __restrict__ mean, const float* __restrict__ variance,
    float* __restrict__ first_out, float* __restrict__ second_out
) {
    const u32 number = blockIdx.x;
    const u32 thread = threadIdx.x;
    if (number >= (p.channels + p.width - 1) / p.width * p.parts) {
        return;
    }
    const Task task = task_of(p, number, thread);
    float weight_sum = 0.0f;
    float bias_sum = 0.0f;
    if (task.there && task.count > 0) { // the variance of nothing is NaN, the sum of nothing is 0
        const float m = mean[task.c];
        Walk places = walk_channel(p, task);
        u32 t = task.lane;
        for (; t + task.lanes < task.count; t += 2 * task.lanes) {
            const u32 i = next(&places);
            const u32 j = next(&places);
            weight_sum += dy[i] * (x[i] - m) + dy[j] * (x[j] - m);
            bias_sum += dy[i] + dy[j];
        }
        for (; t < task.count; t += task.lanes) {
            const u32 i = next(&places);
            weight_sum += dy[i] * (x[i] - m);
            bias_sum += dy[i];
        }
        weight_sum *= inv_std(p, variance, task.c);
    }
    weight_sum = sum_of_lanes(weight_sum, p.width, thread);
    bias_sum = sum_of_lanes(bias_sum, p.width, thread);
    if (task.lane == 0 && task.there) {
        first_out[task.output] = weight_sum;
        second_out[task.output] = bias_sum;
    }
}

// The statistics of all values from those of parts with n_k values, mean m_k and variance v_k each:
// m = sum n_k m_k / M, v = sum n_k (v_k + (m_k - m)^2) / M. A block per channel.
extern "C" __global__ __launch_bounds__(256)
void batch_norm_merge_statistics(
    BatchNormCall p, const float* __restrict__ mean, const float* __restrict__ variance,
    float* __restrict__ first_out, float* __restrict__ second_out
) {
    const u32 c = blockIdx.x;
    const u32 thread = threadIdx.x;
    if (c >= p.channels) {
        return;
    }
    Blocks sum = {};
    for (u32 k = thread; k < p.parts; k += 256) {
        const float n = float(min(p.chunk, values(p) - k * p.chunk));
        add(&sum, n * mean[k * p.channels + c]);
    }
    const float m = sum_of_lanes(total(sum), 1, thread) / float(values(p));
    Blocks squares = {};
    for (u32 k = thread; k < p.parts; k += 256) {
        const float n = float(min(p.chunk, values(p) - k * p.chunk));
        const float d = mean[k * p.channels + c] - m;
        add(&squares, n * (variance[k * p.channels + c] + d * d));
    }
    const float v = sum_of_lanes(total(squares), 1, thread) / float(values(p));
    if (thread == 0) {
        first_out[c] = m;
        second_out[c] = v;
    }
}

// The sums of the parts. A block per channel.
extern "C" __global__ __launch_bounds__(256)
void batch_norm_merge_sums(
    BatchNormCall p, const float* __restrict__ dweight, const float* __restrict__ dbias,
    float* __restrict__ first_out, float* __restrict__ second_out
) {
    const u32 c = blockIdx.x;
    const u32 thread = threadIdx.x;
    if (c >= p.channels) {
        return;
    }
    Blocks weight_sum = {};
    Blocks bias_sum = {};
    for (u32 k = thread; k < p.parts; k += 256) {
        add(&weight_sum, dweight[k * p.channels + c]);
        add(&bias_sum, dbias[k * p.channels + c]);
    }
    const float dweight_c = sum_of_lanes(total(weight_sum), 1, thread);
    const float dbias_c = sum_of_lanes(total(bias_sum), 1, thread);
    if (thread == 0) {
        first_out[c] = dweight_c;
        second_out[c] = dbias_c;
    }
}
