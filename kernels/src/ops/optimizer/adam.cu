// Adam and AdamW; see mod.rs. Put behind math.cu and rules.cu.

struct AdamCall {
    u32 n;
    float step_size;
    float correction;
    float mix1; // 1 - beta1
    float beta2;
    float mix2; // 1 - beta2
    float eps;
    float shrink;
    float weight_decay;
};

// Takes the gradient into both averages.
__device__ void average(const AdamCall& p, float g, float w, float& m, float& v) {
    float gradient = decay(g, w, p.weight_decay);
    m = lerp(m, gradient, p.mix1);
    v = v * p.beta2 + p.mix2 * gradient * gradient;
}

// The parameter after the step; x is the mean square to divide by.
__device__ float stepped(const AdamCall& p, float w, float m, float x) {
    return w * p.shrink - p.step_size * m / (sqrtf(x) / p.correction + p.eps);
}

extern "C" __global__ __launch_bounds__(256)
void adam(AdamCall p, const float* g, float* w, float* m, float* v) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float m_i = m[i];
    float v_i = v[i];
    average(p, g[i], w[i], m_i, v_i);
    w[i] = stepped(p, w[i], m_i, v_i);
    m[i] = m_i;
    v[i] = v_i;
}

extern "C" __global__ __launch_bounds__(256)
void adam_amsgrad(AdamCall p, const float* g, float* w, float* m, float* v, float* x) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float m_i = m[i];
    float v_i = v[i];
    average(p, g[i], w[i], m_i, v_i);
    // Not fmaxf, which drops a NaN.
    float x_i = !is_nan(v_i) && x[i] > v_i ? x[i] : v_i;
    w[i] = stepped(p, w[i], m_i, x_i);
    m[i] = m_i;
    v[i] = v_i;
    x[i] = x_i;
}
