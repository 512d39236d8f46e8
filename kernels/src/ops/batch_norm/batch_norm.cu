// Batch normalisation; see mod.rs. Put behind group.cu.

struct BatchNormCall {
    u32 samples;
    u32 channels;
    u32 inner;
    u32 of_batch;
    u32 has_weight;
    u32 has_bias;
    // How a block shares the values of a channel; see group.rs.
    u32 width;
    u32 parts;
    u32 chunk;
    float eps;
};

struct UpdateRunning {
    u32 channels;
    float keep; // 1 - momentum
    float take; // momentum factor
};

// What the buffers hold:
//   x, dy, y, dx                         [samples, channels, inner]
//   weight, bias, running                [channels]
//   mean, variance, dweight, dbias       [channels], or for every part of every channel [parts, channels]
//   first_out (means, dweight), second_out (variances, dbias)      the same

// 1 / sqrt(v + eps)
__device__ float inv_std(const BatchNormCall& p, const float* variance, u32 c) {
    return 1.0f / sqrtf(variance[c] + p.eps);
}

__device__ float weight_of(const BatchNormCall& p, const float* weight, u32 c) {
    return p.has_weight == 1 ? weight[c] : 1.0f;
}

__device__ float bias_of(const BatchNormCall& p, const float* bias, u32 c) {
    return p.has_bias == 1 ? bias[c] : 0.0f;
}

// x^ = (x - m) / sqrt(v + eps)
__device__ float normal(
    const BatchNormCall& p, const float* x, const float* mean, const float* variance, u32 i, u32 c
) {
    return (x[i] - mean[c]) * inv_std(p, variance, c);
}

// The number of values of a channel: M.
__device__ u32 values(const BatchNormCall& p) {
    return p.samples * p.inner;
}

// Where value t of channel c stands.
__device__ u32 position(const BatchNormCall& p, u32 t, u32 c) {
    return (t / p.inner * p.channels + c) * p.inner + t % p.inner;
}

// m = sum x / M, v = sum (x - m)^2 / M
//
// A thread takes the values of a part of a channel; a second launch puts the parts together.
extern "C" __global__ __launch_bounds__(256)
void batch_norm_statistics(BatchNormCall p, const float* x, float* first_out, float* second_out) {
    const u32 output = blockIdx.x * 256 + threadIdx.x;
    if (output >= p.parts * p.channels) {
        return;
    }
    const u32 c = output % p.channels;
    const u32 begin = output / p.channels * p.chunk;
    const u32 end = min(begin + p.chunk, values(p));
    const float count = float(end - begin);
    float sum = 0.0f;
    for (u32 t = begin; t < end; t++) {
        sum += x[position(p, t, c)];
    }
    const float m = sum / count;
    float squares = 0.0f;
    for (u32 t = begin; t < end; t++) {
        const float d = x[position(p, t, c)] - m;
        squares += d * d;
    }
    first_out[output] = m;
    second_out[output] = squares / count;
}

// y = weight x^ + bias
extern "C" __global__ __launch_bounds__(256)
void batch_norm(
    BatchNormCall p, const float* x, const float* mean, const float* variance, const float* weight,
    const float* bias, float* y
) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= values(p) * p.channels) {
        return;
    }
    const u32 c = i / p.inner % p.channels;
    y[i] = weight_of(p, weight, c) * normal(p, x, mean, variance, i, c) + bias_of(p, bias, c);
}

// dweight = sum dy x^, dbias = sum dy
extern "C" __global__ __launch_bounds__(256)
void batch_norm_sums(
    BatchNormCall p, const float* x, const float* dy, const float* mean, const float* variance,
    float* first_out, float* second_out
) {
    const u32 output = blockIdx.x * 256 + threadIdx.x;
    if (output >= p.parts * p.channels) {
        return;
    }
    const u32 c = output % p.channels;
    const u32 begin = output / p.channels * p.chunk;
    float weight_sum = 0.0f;
    float bias_sum = 0.0f;
    for (u32 t = begin; t < min(begin + p.chunk, values(p)); t++) {
        const u32 i = position(p, t, c);
        weight_sum += dy[i] * normal(p, x, mean, variance, i, c);
        bias_sum += dy[i];
    }
    first_out[output] = weight_sum;
    second_out[output] = bias_sum;
}

// dx = weight / sqrt(v + eps) (dy - dbias / M - x^ dweight / M), or without the last two terms where m
// and v are given
extern "C" __global__ __launch_bounds__(256)
void batch_norm_backward(
    BatchNormCall p, const float* x, const float* dy, const float* mean, const float* variance,
    const float* weight, const float* dweight, const float* dbias, float* dx
) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= values(p) * p.channels) {
        return;
    }
    const u32 c = i / p.inner % p.channels;
    float through = 0.0f;
    if (p.of_batch == 1) {
        through = (dbias[c] + normal(p, x, mean, variance, i, c) * dweight[c]) / float(values(p));
    }
    dx[i] = weight_of(p, weight, c) * inv_std(p, variance, c) * (dy[i] - through);
}

// running = keep running + take batch, where x holds the batch's values
extern "C" __global__ __launch_bounds__(256)
void update_running(UpdateRunning p, const float* x, float* running) {
    const u32 c = blockIdx.x * 256 + threadIdx.x;
    if (c < p.channels) {
        running[c] = p.keep * running[c] + p.take * x[c];
    }
}
