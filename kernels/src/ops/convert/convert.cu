// Elements of one type as elements of another. Put behind math.cu.

struct Convert {
    u32 n;
};

// y[i] = words[i], rounded to the nearest float
extern "C" __global__ __launch_bounds__(256)
void u32_to_f32(Convert p, const u32* words, float* y_floats) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        y_floats[i] = float(words[i]);
    }
}

// y[i] = floats[i] without its fraction, saturated at both ends, 0 for NaN
extern "C" __global__ __launch_bounds__(256)
void f32_to_u32(Convert p, const float* floats, u32* y_words) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < p.n) {
        float x = floats[i];
        if (is_nan(x) || x < 1.0f) {
            y_words[i] = 0;
        } else if (x >= 4294967296.0f) {
            y_words[i] = 4294967295u;
        } else {
            y_words[i] = u32(x);
        }
    }
}
