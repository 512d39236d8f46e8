// Exponentials with a known error, the same formulas as in math.rs and math.wgsl. CUDA's own expf, logf
// and tanhf are as exact; these are written out so that all devices have the same errors. Not the same
// bits: NVRTC joins a * b + c into one operation, which rounds once. Put in front of the kernels that
// need them.

// Splits x = n ln 2 + r with a whole n and |r| <= ln 2 / 2. For |x| below 200.
struct Reduced {
    i32 n;
    float r;
};

__device__ Reduced reduce(float x) {
    float whole = rintf(x * 1.442695041f);
    // ln 2 in two parts (Cody and Waite): n times the first is exact.
    return {i32(whole), (x - whole * 0.693359375f) - whole * -2.12194440e-4f};
}

// e^r - 1 - r for |r| <= ln 2 / 2: the Taylor series up to r^7.
__device__ float exp_tail(float r) {
    float series = 1.0f / 5040.0f;
    series = series * r + 1.0f / 720.0f;
    series = series * r + 1.0f / 120.0f;
    series = series * r + 1.0f / 24.0f;
    series = series * r + 1.0f / 6.0f;
    series = series * r + 0.5f;
    return series * (r * r);
}

// 2^n for n in -126..=127, put together from its bits.
__device__ float power_of_two(i32 n) {
    return __uint_as_float(u32(n + 127) << 23);
}

__device__ bool is_nan(float x) {
    // Nothing else differs from itself.
    return x != x;
}

// x within [low, high]; NaN stays NaN.
__device__ float limit(float x, float low, float high) {
    return is_nan(x) ? x : fminf(fmaxf(x, low), high);
}

// e^x within 2 units in the last place; 0 and infinity at the ends, NaN for NaN.
__device__ float exp_(float x) {
    if (is_nan(x)) {
        return x;
    }
    Reduced s = reduce(limit(x, -104.0f, 89.0f));
    // 2^n in two factors: n goes from -150, below the smallest exponent, to 128, above the largest.
    i32 half = s.n >> 1;
    return (exp_tail(s.r) + s.r + 1.0f) * power_of_two(half) * power_of_two(s.n - half);
}

// e^x - 1 within 3 units in the last place: 2^n (e^r - 1) + (2^n - 1).
__device__ float exp_m1_(float x) {
    if (is_nan(x)) {
        return x;
    }
    Reduced s = reduce(limit(x, -20.0f, 89.0f));
    i32 half = s.n >> 1;
    float rest = power_of_two(half) - power_of_two(half - s.n);
    return ((exp_tail(s.r) + s.r) * power_of_two(half) + rest) * power_of_two(s.n - half);
}

// tanh x within 3 units in the last place: with t = e^(2|x|) - 1, tanh |x| = t / (t + 2).
__device__ float tanh_(float x) {
    if (is_nan(x)) {
        return x;
    }
    // From 9.02 on the nearest f32 is 1.
    Reduced s = reduce(2.0f * limit(fabsf(x), 0.0f, 10.0f));
    float power = power_of_two(s.n);
    float t = (exp_tail(s.r) + s.r) * power + (power - 1.0f);
    return copysignf(t / (t + 2.0f), x);
}

// 1 / (1 + e^-x) = e^x / (1 + e^x): e^-|x| never overflows and serves both.
__device__ float sigmoid_(float x) {
    float small = exp_(-fabsf(x));
    return (x < 0.0f ? small : 1.0f) / (1.0f + small);
}

// log(1 + f) for f in [sqrt(1/2) - 1, 1] within 3 units in the last place, small f not lost.
__device__ float log_near_one(float f) {
    float s = f / (2.0f + f);
    float square = s * s;
    float series = 1.0f / 15.0f;
    series = series * square + 1.0f / 13.0f;
    series = series * square + 1.0f / 11.0f;
    series = series * square + 1.0f / 9.0f;
    series = series * square + 1.0f / 7.0f;
    series = series * square + 1.0f / 5.0f;
    series = series * square + 1.0f / 3.0f;
    return 2.0f * (s + s * square * series);
}

// log x within 3 units in the last place; -infinity for 0, NaN below 0.
//
// x = 2^n m with m in [sqrt(1/2), sqrt 2), and log m = 2 artanh s with s = (m - 1) / (m + 1), at most
// 0.1716: the first term left out of the series is below 2e-9 s.
__device__ float log_(float x) {
    if (x == 0.0f) {
        return -INFINITY;
    }
    if (is_nan(x) || x < 0.0f || x == INFINITY) {
        return x < 0.0f ? NAN : x;
    }
    // A subnormal number is made normal first.
    bool tiny = __float_as_uint(x) < 0x00800000u;
    u32 scaled = __float_as_uint(tiny ? x * 8388608.0f : x);
    // How far the bits are above those of sqrt(1/2).
    i32 above = i32(scaled) - 0x3f3504f3;
    i32 n = (above >> 23) - (tiny ? 23 : 0);
    float m = __uint_as_float(u32((above & 0x7fffff) + 0x3f3504f3));
    return float(n) * 0.693359375f + (log_near_one(m - 1.0f) + float(n) * -2.12194440e-4f);
}

__device__ float pow_of_positive(float x, float a) {
    if (x == 1.0f) {
        return 1.0f;
    }
    // Small whole powers are products, as exact as products are.
    if (floorf(a) == a && fabsf(a) <= 4.0f) {
        float product = x;
        for (i32 i = 1; i < i32(fabsf(a)); i++) {
            product *= x;
        }
        return a < 0.0f ? 1.0f / product : product;
    }
    return exp_(a * log_(x));
}

// x^a: for negative x only a whole a gives a number. e^(a log x) is off by about |a log x| units in the
// last place: 1e-6 of results up to 1e7, 1e-5 near the ends of what an f32 holds.
__device__ float pow_(float x, float a) {
    if (a == 0.0f) {
        return 1.0f;
    }
    float size = fabsf(x);
    bool whole = floorf(a) == a;
    bool odd = whole && fabsf(a) < 16777216.0f && (i32(a) & 1) == 1;
    float power = pow_of_positive(size, a);
    if (x < 0.0f) {
        return odd ? -power : whole ? power : NAN;
    }
    return is_nan(x) ? x : power;
}

// The standard normal distribution P and its density, both within 3e-7; see math.rs.
struct Normal {
    float p;
    float density;
};

__device__ Normal normal_(float x) {
    float t = 1.0f / (1.0f + 0.25f * fabsf(x));
    float q = 0.020814888f;
    q = q * t - 0.08538923f;
    q = q * t + 0.10379886f;
    q = q * t - 0.039746863f;
    q = q * t + 0.06827399f;
    q = q * t + 0.05744626f;
    q = q * t + 0.08188963f;
    q = q * t + 0.09343951f;
    q = q * t + 0.0997374f;
    q = q * t + 0.09973556f;
    float bell = exp_(-0.5f * x * x);
    float tail = bell * t * q;
    return {x < 0.0f ? tail : 1.0f - tail, bell * 0.398942280f};
}
