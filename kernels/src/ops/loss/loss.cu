// Losses that compare two tensors element by element; see mod.rs. Put behind math.cu and group.cu.

struct LossCall {
    u32 kind; // one of the numbers below
    u32 n;
    u32 has_weight;
    u32 has_pos_weight;
    u32 each_dloss; // 1 where every element has a gradient of its own, 0 where all share one
    u32 side; // whose gradient: 0 for the input's, 1 for the target's
    u32 parts;
    u32 chunk; // elements of a part
    float delta;
    float divisor; // what the sum of the losses, or the gradient, is divided by
};

// x, t, weight, pos_weight, dx: [n], dloss: [n] or [1], sums: [n], loss: [n], [parts] or [1]

const u32 MSE = 0;
const u32 L1 = 1;
const u32 HUBER = 2;
const u32 BCE = 3;
const u32 BCE_WITH_LOGITS = 4;

const u32 BAD_PROBABILITY = 3; // see fault.rs

__device__ float weight_of(const LossCall& p, const float* weight, u32 i) {
    if (p.has_weight == 1) {
        return weight[i];
    }
    return 1.0f;
}

__device__ float pos_weight_of(const LossCall& p, const float* pos_weight, u32 i) {
    if (p.has_pos_weight == 1) {
        return pos_weight[i];
    }
    return 1.0f;
}

// 1, -1, or x itself where it is 0 or NaN
__device__ float sign_(float x) {
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}

// log x, at least -100
__device__ float log_of(float x) {
    return x <= 0.0f ? -100.0f : fmaxf(log_(x), -100.0f);
}

// log(1 - x), at least -100: for a small x without rounding 1 - x
__device__ float log_of_rest(float x) {
    if (x < 0.25f) {
        return log_near_one(-x);
    }
    return log_of(1.0f - x);
}

// log(1 + exp(x)), without overflow
__device__ float softplus(float x) {
    return log_near_one(exp_(-fabsf(x))) + fmaxf(x, 0.0f);
}

// Whether x is in 0..=1; a NaN is not.
__device__ bool is_probability(float x) {
    return x >= 0.0f && x <= 1.0f;
}

__device__ float loss_of(const LossCall& p, float x, float t, const float* pos_weight, u32* faults, u32 i) {
    float d = fabsf(x - t);
    switch (p.kind) {
        case MSE: return (x - t) * (x - t);
        case L1: return d;
        case HUBER: return d <= p.delta ? 0.5f * d * d : p.delta * (d - 0.5f * p.delta);
        case BCE:
            if (!is_probability(x)) {
                atomicMin(&faults[BAD_PROBABILITY], i);
                return NAN;
            }
            return (t - 1.0f) * log_of_rest(x) - t * log_of(x);
        case BCE_WITH_LOGITS:
            return (1.0f - t) * x + (1.0f + (pos_weight_of(p, pos_weight, i) - 1.0f) * t) * softplus(-x);
        default: return x;
    }
}

__device__ float gradient_of(const LossCall& p, float x, float t, const float* pos_weight, u32 i) {
    float d = x - t;
    // The first three depend on x - t: what the input gains the target loses.
    float side_sign = p.side == 0 ? 1.0f : -1.0f;
    switch (p.kind) {
        case MSE: return side_sign * 2.0f * d;
        case L1: return side_sign * sign_(d);
        case HUBER: return side_sign * (fabsf(d) <= p.delta ? d : p.delta * sign_(d));
        case BCE:
            if (p.side == 0) {
                return d / fmaxf(x * (1.0f - x), 1e-12f);
            }
            return log_of_rest(x) - log_of(x);
        case BCE_WITH_LOGITS: {
            float pos = pos_weight_of(p, pos_weight, i);
            if (p.side == 0) {
                return (1.0f - t) * sigmoid_(x) - pos * t * sigmoid_(-x);
            }
            return (pos - 1.0f) * softplus(-x) - x;
        }
        default: return x;
    }
}

// loss[i] = weight[i] * the loss of x[i] and t[i]
extern "C" __global__ __launch_bounds__(256)
void losses(
    LossCall p, const float* x, const float* t, const float* weight, const float* pos_weight,
    float* loss, u32* faults
) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        loss[i] = weight_of(p, weight, i) * loss_of(p, x[i], t[i], pos_weight, faults, i);
    }
}

// dx[i] = weight[i] * dloss / divisor * the derivative at x[i] and t[i]
extern "C" __global__ __launch_bounds__(256)
void loss_backward(
    LossCall p, const float* x, const float* t, const float* weight, const float* pos_weight,
    const float* dloss, float* dx
) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        float g = dloss[p.each_dloss == 1 ? i : 0] / p.divisor;
        dx[i] = weight_of(p, weight, i) * g * gradient_of(p, x[i], t[i], pos_weight, i);
    }
}

// loss[part] = the sum of a part's losses, each as above, / divisor
//
// One launch instead of one for the losses and one for their sum: a block computes the losses of a part
// and adds them up as it goes. A batch of usual size is one part.
extern "C" __global__ __launch_bounds__(256)
void loss_sum(
    LossCall p, const float* __restrict__ x, const float* __restrict__ t, const float* __restrict__ weight,
    const float* __restrict__ pos_weight, float* __restrict__ loss, u32* faults
) {
    u32 thread = threadIdx.x;
    u32 part = blockIdx.x;
    if (part >= p.parts) {
        return;
    }
    u32 begin = part * p.chunk;
    u32 count = min(p.chunk, p.n - begin);
    float sum = 0.0f;
    for (u32 i = thread; i < count; i += 256) {
        u32 at = begin + i;
        sum += weight_of(p, weight, at) * loss_of(p, x[at], t[at], pos_weight, faults, at);
    }
    float all = sum_of_lanes(sum, 1, thread);
    if (thread == 0) {
        loss[part] = all / p.divisor;
    }
}

// loss = the sum of all parts / divisor. One block.
extern "C" __global__ __launch_bounds__(256)
void loss_total(LossCall p, const float* sums, float* loss) {
    u32 thread = threadIdx.x;
    Blocks sum = {};
    for (u32 i = thread; i < p.n; i += 256) {
        add(&sum, sums[i]);
    }
    float all = sum_of_lanes(total(sum), 1, thread);
    if (thread == 0) {
        loss[0] = all / p.divisor;
    }
}
