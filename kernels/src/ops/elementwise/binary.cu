// Arithmetic on two buffers with broadcasting, each operation beside its two derivatives; see
// binary.rs. Put behind math.cu.

struct BinaryCall {
    u32 op;   // its number in Binary
    u32 side; // backward: 0 for the gradient of a, 1 for that of b
    u32 n;
    u32 ndim;
    u32 shape[8];
    u32 a[8]; // strides
    u32 b[8];
};

struct Operands {
    float a;
    float b;
};

// What output element i is computed from.
__device__ Operands operands(const BinaryCall& p, const float* a, const float* b, u32 i) {
    u32 rest = i;
    u32 at_a = 0;
    u32 at_b = 0;
    // Unrolled, so that every d is a constant: arguments that are indexed by a variable every thread
    // would first copy to memory of its own.
    #pragma unroll
    for (u32 d = 7; d > 0; d--) {
        if (d < p.ndim) {
            u32 index = rest % p.shape[d];
            rest /= p.shape[d];
            at_a += index * p.a[d];
            at_b += index * p.b[d];
        }
    }
    // What is left is the index in the outermost dimension: without broadcasting the only one.
    return {a[at_a + rest * p.a[0]], b[at_b + rest * p.b[0]]};
}

__device__ float f(const BinaryCall& p, float a, float b) {
    switch (p.op) {
        case 0: return a + b;                                                    // add
        case 1: return a - b;                                                    // sub
        case 2: return a * b;                                                    // mul
        case 3: return a / b;                                                    // div
        case 4: return pow_(a, b);                                               // pow
        // A NaN in a wins, one in b wins otherwise.
        case 5: return is_nan(a) || (!is_nan(b) && a < b) ? a : b;               // minimum
        case 6: return is_nan(a) || (!is_nan(b) && a > b) ? a : b;               // maximum
        default: return 0.0f;
    }
}

// What the loser, either one in a tie, or the winner gets of the gradient. Nobody loses to a NaN.
__device__ float share(float a, float b, float dy, bool lost) {
    if (is_nan(a) || is_nan(b)) {
        return dy;
    }
    return lost ? 0.0f : a == b ? 0.5f * dy : dy;
}

// The gradient of a.
__device__ float da(const BinaryCall& p, float a, float b, float dy) {
    switch (p.op) {
        case 0: case 1: return dy;                                               // add, sub
        case 2: return dy * b;                                                   // mul
        case 3: return dy / b;                                                   // div
        // a^0 is 1 everywhere.
        case 4: return b == 0.0f ? 0.0f : dy * b * pow_(a, b - 1.0f);            // pow
        case 5: return share(a, b, dy, a > b);                                   // minimum
        case 6: return share(a, b, dy, a < b);                                   // maximum
        default: return 0.0f;
    }
}

// The gradient of b.
__device__ float db(const BinaryCall& p, float a, float b, float dy) {
    switch (p.op) {
        case 0: return dy;                                                       // add
        case 1: return -dy;                                                      // sub
        case 2: return dy * a;                                                   // mul
        case 3: return -dy * (a / b / b);                                        // div
        // 0^b is 0 all around b > 0.
        case 4: return a == 0.0f && b >= 0.0f ? 0.0f : dy * pow_(a, b) * log_(a); // pow
        case 5: return share(a, b, dy, b > a);                                   // minimum
        case 6: return share(a, b, dy, b < a);                                   // maximum
        default: return 0.0f;
    }
}

// y[i] = f(a, b)
extern "C" __global__ __launch_bounds__(256)
void binary_forward(BinaryCall p, const float* a, const float* b, float* y) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        Operands x = operands(p, a, b, i);
        y[i] = f(p, x.a, x.b);
    }
}

// dx[i] = df/da dy[i], or df/db dy[i]
extern "C" __global__ __launch_bounds__(256)
void binary_backward(BinaryCall p, const float* a, const float* b, const float* dy, float* dx) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        Operands x = operands(p, a, b, i);
        if (p.side == 0) {
            dx[i] = da(p, x.a, x.b, dy[i]);
        } else {
            dx[i] = db(p, x.a, x.b, dy[i]);
        }
    }
}
