// Functions of one element, each beside its derivative; see unary.rs. Put behind math.cu.

struct UnaryCall {
    u32 function; // its number in Unary
    u32 n;
    float a;
    float b;
};

__device__ float f(const UnaryCall& p, float x) {
    float a = p.a;
    float b = p.b;
    switch (p.function) {
        case 0: return -x;                                                       // neg
        case 1: return fabsf(x);                                                 // abs
        case 2: return exp_(x);                                                  // exp
        case 3: return log_(x);                                                  // log
        case 4: return sqrtf(x);                                                 // sqrt
        case 5: return x * x;                                                    // square
        case 6: return tanh_(x);                                                 // tanh
        case 7: return sigmoid_(x);                                              // sigmoid
        case 8: return x <= 0.0f ? 0.0f : x;                                     // relu
        case 9: return x > 0.0f ? x : a * x;                                     // leaky_relu
        case 10: return x > 0.0f ? x : a * exp_m1_(x);                           // elu
        case 11: return x * normal_(x).p;                                        // gelu
        case 12: {                                                               // softplus
            float z = a * x;
            return z > b || is_nan(x) ? x : (fmaxf(z, 0.0f) + log_near_one(exp_(-fabsf(z)))) / a;
        }
        case 13: return limit(x, a, b);                                          // clamp
        case 14: return x + a;                                                   // add_scalar
        case 15: return a * x;                                                   // mul_scalar
        case 16: return x / a;                                                   // div_scalar
        case 17: return pow_(x, a);                                              // pow_scalar
        default: return x;
    }
}

// -1, 0 or 1; NaN for NaN.
__device__ float sign(float x) {
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}

// s is what the function saved: x, or y.
__device__ float df(const UnaryCall& p, float s, float dy) {
    float a = p.a;
    float b = p.b;
    switch (p.function) {
        case 0: return -dy;                                                      // neg
        case 1: return dy * sign(s);                                             // abs
        case 2: return dy * s;                                                   // exp
        case 3: return dy / s;                                                   // log
        case 4: return dy / (2.0f * s);                                          // sqrt
        case 5: return 2.0f * s * dy;                                            // square
        case 6: return dy * (1.0f - s * s);                                      // tanh
        case 7: return dy * s * (1.0f - s);                                      // sigmoid
        case 8: return s <= 0.0f ? 0.0f : dy;                                    // relu
        case 9: return dy * (s > 0.0f ? 1.0f : a);                               // leaky_relu
        case 10: return s > 0.0f ? dy : dy * a * exp_(s);                        // elu
        case 11: {                                                               // gelu
            Normal normal = normal_(s);
            return dy * (normal.p + s * normal.density);
        }
        case 12: return a * s > b ? dy : dy * sigmoid_(a * s);                   // softplus
        case 13: return s >= a && s <= b ? dy : 0.0f;                            // clamp
        case 14: return dy;                                                      // add_scalar
        case 15: return a * dy;                                                  // mul_scalar
        case 16: return dy / a;                                                  // div_scalar
        case 17: return a == 0.0f ? 0.0f : dy * a * pow_(s, a - 1.0f);           // pow_scalar
        default: return dy;
    }
}

// y[i] = f(x[i])
extern "C" __global__ __launch_bounds__(256)
void unary_forward(UnaryCall p, const float* x, float* y) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        y[i] = f(p, x[i]);
    }
}

// dx[i] = f'(saved[i]) dy[i]
extern "C" __global__ __launch_bounds__(256)
void unary_backward(UnaryCall p, const float* saved, const float* dy, float* dx) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        dx[i] = df(p, saved[i], dy[i]);
    }
}
