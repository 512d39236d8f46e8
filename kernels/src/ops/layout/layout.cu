// Strided copies; see mod.rs. The elements are words of 4 bytes, whatever they stand for.

struct Strided {
    u32 n;
    u32 offset;
    u32 ndim;
    u32 shape[8];
    u32 strides[8];
};

// Where element i of the view stands.
__device__ u32 place(const Strided& p, u32 i) {
    u32 rest = i;
    u32 at = p.offset;
    // Unrolled, so that every d is a constant: arguments that are indexed by a variable every thread
    // would first copy to memory of its own.
    #pragma unroll
    for (u32 d = 7; d > 0; d--) {
        if (d < p.ndim) {
            at += rest % p.shape[d] * p.strides[d];
            rest /= p.shape[d];
        }
    }
    return at + rest * p.strides[0];
}

// x: the buffer the view looks into; y: the view's elements
extern "C" __global__ __launch_bounds__(256)
void read_strided(Strided p, const u32* x, u32* y) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        y[i] = x[place(p, i)];
    }
}

// x: the view's elements; y: the buffer the view looks into
extern "C" __global__ __launch_bounds__(256)
void write_strided(Strided p, const u32* x, u32* y) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        y[place(p, i)] = x[i];
    }
}
