// Adagrad; see mod.rs. Put behind rules.cu.

struct AdagradCall {
    u32 n;
    float lr;
    float eps;
    float weight_decay;
};

extern "C" __global__ __launch_bounds__(256)
void adagrad(AdagradCall p, const float* g, float* w, float* s) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= p.n) {
        return;
    }
    float gradient = decay(g[i], w[i], p.weight_decay);
    float s_i = s[i] + gradient * gradient;
    w[i] -= p.lr * gradient / (sqrtf(s_i) + p.eps);
    s[i] = s_i;
}
