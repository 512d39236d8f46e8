// Matrix multiplication: c[s, i, j] = sum_q a[s, i, q] * b[s, q, j] (+ bias[j]), one output per thread.

struct Matmul {
    u32 batch;
    u32 m;
    u32 n;
    u32 k;
    u32 transpose_a; // a is stored as [k, m]
    u32 transpose_b; // b is stored as [n, k]
    u32 has_bias;
};

// a: [batch, m, k], b: [batch, k, n], bias: [n], c: [batch, m, n]
extern "C" __global__ __launch_bounds__(256)
void matmul(Matmul p, const float* a, const float* b, const float* bias, float* c) {
    const u32 o = blockIdx.x * 256 + threadIdx.x;
    if (o >= p.batch * p.m * p.n) {
        return;
    }
    const u32 s = o / (p.m * p.n);
    const u32 i = o / p.n % p.m;
    const u32 j = o % p.n;
    // Element q of the row of a stands at first_a + q * step_a, of the column of b likewise.
    const u32 first_a = s * p.m * p.k + (p.transpose_a == 1 ? i : i * p.k);
    const u32 first_b = s * p.k * p.n + (p.transpose_b == 1 ? j * p.k : j);
    const u32 step_a = p.transpose_a == 1 ? p.m : 1;
    const u32 step_b = p.transpose_b == 1 ? 1 : p.n;
    // A sum per 256 terms first: beside the sum of thousands a single term would lose its digits.
    float sum = 0;
    for (u32 first = 0; first < p.k; first += 256) {
        float block = 0;
        for (u32 q = first; q < min(first + 256, p.k); q++) {
            block += a[first_a + q * step_a] * b[first_b + q * step_b];
        }
        sum += block;
    }
    if (p.has_bias == 1) {
        sum += bias[j];
    }
    c[o] = sum;
}
