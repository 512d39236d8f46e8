// Cross-entropy and the negative log-likelihood; see mod.rs. Put behind math.cu and group.cu.

struct CrossEntropyCall {
    u32 outer;
    u32 classes;
    u32 inner;
    u32 ignore_index;
    u32 log_probabilities;
    u32 has_weight;
    u32 mean; // 1 where the loss is divided by the total weight
    u32 each_loss; // 1 where every row has a loss and a gradient of its own
    u32 width; // rows that a block works on at a time; see group.rs
    u32 parts;
    u32 chunk; // rows of a part
    float on_label; // the share of the target that stays with the label
    float on_each; // the share that each class gets
};

// x, dx: [outer, classes, inner], labels: [outer, inner], weight: [classes], divisor: [1], the total weight,
// dloss: [outer, inner] or [1], losses, weights: [parts], loss, total_weight: [outer, inner], [parts] or [1]

// Class c of a row stands at first_of(row) + c * inner.
__device__ u32 first_of(const CrossEntropyCall& p, u32 row) {
    return row / p.inner * p.classes * p.inner + row % p.inner;
}

__device__ float weight_of(const CrossEntropyCall& p, const float* weight, u32 c) {
    if (p.has_weight == 1) {
        return weight[c];
    }
    return 1.0f;
}

// What there is to know of a row before its scores are read.
struct Row {
    u32 first;
    u32 label; // a class, whatever the label is
    bool ignored;
    float bad; // what every result of the row is plus: 0, or NaN where its label is no class
};

__device__ Row row_of(const CrossEntropyCall& p, const u32* labels, u32* faults, u32 row) {
    u32 label = labels[row];
    bool ignored = label == p.ignore_index;
    float bad = 0.0f;
    if (label >= p.classes && !ignored) {
        // The slots of cross_entropy and nll_loss are 0 and 1; see fault.rs.
        atomicMin(&faults[p.log_probabilities], row);
        bad = NAN;
    }
    return {first_of(p, row), label < p.classes ? label : 0, ignored, bad};
}

// What x_c is lowered by to give logp_c: m = max_c x_c and log(sum_c exp(x_c - m)).
struct Norm {
    float m;
    float log_sum;
};

__device__ Norm norm_of(const CrossEntropyCall& p, const float* x, u32 first) {
    if (p.log_probabilities == 1) {
        return {0.0f, 0.0f};
    }
    float m = x[first];
    for (u32 c = 1; c < p.classes; c++) {
        m = fmaxf(m, x[first + c * p.inner]);
    }
    Blocks sum = {};
    for (u32 c = 0; c < p.classes; c++) {
        add(&sum, exp_(x[first + c * p.inner] - m));
    }
    return {m, log_(total(sum))};
}

__device__ float logp(const CrossEntropyCall& p, const float* x, const Row& row, const Norm& norm, u32 c) {
    return x[row.first + c * p.inner] - norm.m - norm.log_sum;
}

// q_c = on_label w_t [c = t] + on_each w_c
__device__ float q(const CrossEntropyCall& p, const float* weight, const Row& row, u32 c) {
    return (c == row.label ? p.on_label * weight_of(p, weight, row.label) : 0.0f)
        + p.on_each * weight_of(p, weight, c);
}

// dx_c = g (softmax(x)_c sum_j q_j - q_c), or -g q_c where x holds log-probabilities
__device__ float gradient(
    const CrossEntropyCall& p, const float* x, const float* weight,
    const Row& row, const Norm& norm, float sum_q, float g, u32 c
) {
    if (p.log_probabilities == 1) {
        return -g * q(p, weight, row, c);
    }
    return g * (exp_(logp(p, x, row, norm, c)) * sum_q - q(p, weight, row, c));
}

__device__ float g_of(const CrossEntropyCall& p, const float* divisor, const float* dloss, u32 row) {
    float g = dloss[p.each_loss == 1 ? row : 0];
    if (p.mean == 1) {
        return g / divisor[0];
    }
    return g;
}

// loss[row] = -sum_c q_c logp_c, total_weight[row] = w_t
extern "C" __global__ __launch_bounds__(256)
void cross_entropy(
    CrossEntropyCall p, const float* x, const u32* labels, const float* weight,
    float* loss, float* total_weight, u32* faults
) {
    u32 number = blockIdx.x * 256 + threadIdx.x;
    if (number >= p.outer * p.inner) {
        return;
    }
    Row row = row_of(p, labels, faults, number);
    if (row.ignored) {
        loss[number] = 0.0f;
        total_weight[number] = 0.0f;
        return;
    }
    Norm norm = norm_of(p, x, row.first);
    Blocks spread = {};
    if (p.on_each != 0.0f) {
        for (u32 c = 0; c < p.classes; c++) {
            add(&spread, weight_of(p, weight, c) * logp(p, x, row, norm, c));
        }
    }
    float w = weight_of(p, weight, row.label);
    loss[number] =
        -p.on_label * w * logp(p, x, row, norm, row.label) - p.on_each * total(spread) + row.bad;
    total_weight[number] = w;
}

// Adds up what the threads of a block hold: the results of a part, or the final ones.
__device__ void finish(
    const CrossEntropyCall& p, float* loss, float* total_weight,
    float loss_part, float weight_part, u32 part, u32 thread
) {
    float loss_sum = sum_of_lanes(loss_part, 1, thread);
    float weight_sum = sum_of_lanes(weight_part, 1, thread);
    if (thread == 0) {
        loss[part] = p.mean == 1 ? loss_sum / weight_sum : loss_sum;
        total_weight[part] = weight_sum;
    }
}

// loss = sum of losses, or that / sum of weights; total_weight = sum of weights. One block.
extern "C" __global__ __launch_bounds__(256)
void cross_entropy_total(
    CrossEntropyCall p, const float* losses, const float* weights, float* loss, float* total_weight
) {
    u32 thread = threadIdx.x;
    Blocks loss_part = {};
    Blocks weight_part = {};
    for (u32 i = thread; i < p.parts; i += 256) {
        add(&loss_part, losses[i]);
        add(&weight_part, weights[i]);
    }
    finish(p, loss, total_weight, total(loss_part), total(weight_part), 0, thread);
}

// dx of all classes of a row
extern "C" __global__ __launch_bounds__(256)
void cross_entropy_backward(
    CrossEntropyCall p, const float* x, const u32* labels, const float* weight,
    const float* divisor, const float* dloss, float* dx, u32* faults
) {
    u32 number = blockIdx.x * 256 + threadIdx.x;
    if (number >= p.outer * p.inner) {
        return;
    }
    Row row = row_of(p, labels, faults, number);
    Norm norm = norm_of(p, x, row.first);
    float g = g_of(p, divisor, dloss, number);
    Blocks sum_q = {};
    for (u32 c = 0; c < p.classes; c++) {
        add(&sum_q, q(p, weight, row, c));
    }
    for (u32 c = 0; c < p.classes; c++) {
        float all = gradient(p, x, weight, row, norm, total(sum_q), g, c) + row.bad;
        dx[row.first + c * p.inner] = row.ignored ? 0.0f : all;
    }
}
