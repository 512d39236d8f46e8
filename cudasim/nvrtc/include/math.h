// CUDA's mathematical functions, from the C library: float forms with and without the f, and double.

#define CUDASIM_MATH1(name)                                                             \
    inline float name##f(float x) { return __builtin_##name##f(x); }                    \
    inline float name(float x) { return __builtin_##name##f(x); }                       \
    inline double name(double x) { return __builtin_##name(x); }
#define CUDASIM_MATH2(name)                                                             \
    inline float name##f(float x, float y) { return __builtin_##name##f(x, y); }        \
    inline float name(float x, float y) { return __builtin_##name##f(x, y); }           \
    inline double name(double x, double y) { return __builtin_##name(x, y); }

CUDASIM_MATH1(sqrt) CUDASIM_MATH1(cbrt) CUDASIM_MATH1(fabs)
CUDASIM_MATH1(exp) CUDASIM_MATH1(exp2) CUDASIM_MATH1(exp10) CUDASIM_MATH1(expm1)
CUDASIM_MATH1(log) CUDASIM_MATH1(log2) CUDASIM_MATH1(log10) CUDASIM_MATH1(log1p) CUDASIM_MATH1(logb)
CUDASIM_MATH1(sin) CUDASIM_MATH1(cos) CUDASIM_MATH1(tan)
CUDASIM_MATH1(asin) CUDASIM_MATH1(acos) CUDASIM_MATH1(atan)
CUDASIM_MATH1(sinh) CUDASIM_MATH1(cosh) CUDASIM_MATH1(tanh)
CUDASIM_MATH1(asinh) CUDASIM_MATH1(acosh) CUDASIM_MATH1(atanh)
CUDASIM_MATH1(erf) CUDASIM_MATH1(erfc) CUDASIM_MATH1(tgamma) CUDASIM_MATH1(lgamma)
CUDASIM_MATH1(floor) CUDASIM_MATH1(ceil) CUDASIM_MATH1(trunc)
CUDASIM_MATH1(round) CUDASIM_MATH1(rint) CUDASIM_MATH1(nearbyint)
CUDASIM_MATH2(pow) CUDASIM_MATH2(fmod) CUDASIM_MATH2(remainder) CUDASIM_MATH2(fdim)
CUDASIM_MATH2(hypot) CUDASIM_MATH2(atan2) CUDASIM_MATH2(copysign) CUDASIM_MATH2(nextafter)

inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
inline float rsqrtf(float x) { return 1 / __builtin_sqrtf(x); }
inline float rsqrt(float x) { return 1 / __builtin_sqrtf(x); }
inline double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
inline float ldexpf(float x, int e) { return __builtin_ldexpf(x, e); }
inline float scalbnf(float x, int e) { return __builtin_scalbnf(x, e); }
inline float frexpf(float x, int* e) { return __builtin_frexpf(x, e); }
inline float modff(float x, float* whole) { return __builtin_modff(x, whole); }
inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
inline long lrintf(float x) { return __builtin_lrintf(x); }
inline long lroundf(float x) { return __builtin_lroundf(x); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }

#define CUDASIM_CLASS(T)                                                \
    inline bool isnan(T x) { return __builtin_isnan(x); }               \
    inline bool isinf(T x) { return __builtin_isinf(x); }               \
    inline bool isfinite(T x) { return __builtin_isfinite(x); }         \
    inline bool signbit(T x) { return __builtin_signbit(x); }
CUDASIM_CLASS(float)
CUDASIM_CLASS(double)

// The larger, or the one that is a number; of two zeros, +0 is the larger.
#define CUDASIM_MINMAX(T, min, max)                                     \
    inline T max(T a, T b) {                                            \
        if (a == b) return __builtin_signbit(a) ? b : a;                \
        return a > b || b != b ? a : b;                                 \
    }                                                                   \
    inline T min(T a, T b) {                                            \
        if (a == b) return __builtin_signbit(a) ? a : b;                \
        return a < b || b != b ? a : b;                                 \
    }
CUDASIM_MINMAX(float, fminf, fmaxf)
CUDASIM_MINMAX(float, fmin, fmax)
CUDASIM_MINMAX(double, fmin, fmax)
CUDASIM_MINMAX(float, min, max)
CUDASIM_MINMAX(double, min, max)
inline double min(float a, double b) { return min((double)a, b); }
inline double min(double a, float b) { return min(a, (double)b); }
inline double max(float a, double b) { return max((double)a, b); }
inline double max(double a, float b) { return max(a, (double)b); }

#define CUDASIM_INTEGER_MINMAX(A, B, T)                                 \
    inline T min(A a, B b) { return (T)a < (T)b ? (T)a : (T)b; }        \
    inline T max(A a, B b) { return (T)a > (T)b ? (T)a : (T)b; }
CUDASIM_INTEGER_MINMAX(int, int, int)
CUDASIM_INTEGER_MINMAX(unsigned, unsigned, unsigned)
CUDASIM_INTEGER_MINMAX(int, unsigned, unsigned)
CUDASIM_INTEGER_MINMAX(unsigned, int, unsigned)
CUDASIM_INTEGER_MINMAX(long, long, long)
CUDASIM_INTEGER_MINMAX(unsigned long, unsigned long, unsigned long)
CUDASIM_INTEGER_MINMAX(long long, long long, long long)
CUDASIM_INTEGER_MINMAX(unsigned long long, unsigned long long, unsigned long long)

inline int abs(int x) { return x < 0 ? -x : x; }
inline long abs(long x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline float abs(float x) { return __builtin_fabsf(x); }
inline double abs(double x) { return __builtin_fabs(x); }

// One operation, rounded to the nearest, never joined with another.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1 / a; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
