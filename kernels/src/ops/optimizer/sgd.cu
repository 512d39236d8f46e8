// Stochastic gradient descent; see mod.rs. Put behind rules.cu.

struct SgdCall {
    u32 n;
    u32 nesterov;
    u32 first; // the first step: b has no value yet
    float lr;
    float momentum;
    float mix; // 1 - dampening
    float weight_decay;
};

extern "C" __global__ __launch_bounds__(256)
void sgd(SgdCall p, const float* g, float* w) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    w[i] -= p.lr * decay(g[i], w[i], p.weight_decay);
}

extern "C" __global__ __launch_bounds__(256)
void sgd_momentum(SgdCall p, const float* g, float* w, float* b) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float gradient = decay(g[i], w[i], p.weight_decay);
    float direction = gradient;
    if (p.first == 0) {
        direction = b[i] * p.momentum + p.mix * gradient;
    }
    float b_i = direction;
    if (p.nesterov == 1) {
        direction = gradient + p.momentum * direction;
    }
    w[i] -= p.lr * direction;
    b[i] = b_i;
}
