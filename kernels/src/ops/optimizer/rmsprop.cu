// RMSprop; see mod.rs. Put behind rules.cu.

struct RmsPropCall {
    u32 n;
    float lr;
    float alpha;
    float mix; // 1 - alpha
    float eps;
    float weight_decay;
    float momentum;
};

// Takes the gradient into the mean square, and gives g / d.
__device__ float scaled(const RmsPropCall& p, float g, float w, float& v) {
    float gradient = decay(g, w, p.weight_decay);
    v = v * p.alpha + p.mix * gradient * gradient;
    return gradient / (sqrtf(v) + p.eps);
}

// The same with the mean too.
__device__ float scaled_centered(const RmsPropCall& p, float g, float w, float& v, float& m) {
    float gradient = decay(g, w, p.weight_decay);
    v = v * p.alpha + p.mix * gradient * gradient;
    m = lerp(m, gradient, p.mix);
    return gradient / (sqrtf(v - m * m) + p.eps);
}

extern "C" __global__ __launch_bounds__(256)
void rmsprop(RmsPropCall p, const float* g, float* w, float* v) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float v_i = v[i];
    w[i] -= p.lr * scaled(p, g[i], w[i], v_i);
    v[i] = v_i;
}

extern "C" __global__ __launch_bounds__(256)
void rmsprop_momentum(RmsPropCall p, const float* g, float* w, float* v, float* b) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float v_i = v[i];
    float b_i = b[i] * p.momentum + scaled(p, g[i], w[i], v_i);
    w[i] -= p.lr * b_i;
    v[i] = v_i;
    b[i] = b_i;
}

extern "C" __global__ __launch_bounds__(256)
void rmsprop_centered(RmsPropCall p, const float* g, float* w, float* v, float* m) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float v_i = v[i];
    float m_i = m[i];
    w[i] -= p.lr * scaled_centered(p, g[i], w[i], v_i, m_i);
    v[i] = v_i;
    m[i] = m_i;
}

extern "C" __global__ __launch_bounds__(256)
void rmsprop_centered_momentum(RmsPropCall p, const float* g, float* w, float* v, float* m, float* b) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float v_i = v[i];
    float m_i = m[i];
    float b_i = b[i] * p.momentum + scaled_centered(p, g[i], w[i], v_i, m_i);
    w[i] -= p.lr * b_i;
    v[i] = v_i;
    m[i] = m_i;
    b[i] = b_i;
}
