// Bits: the same bits as another type, and CUDA's functions that count and move them.

namespace cudasim {
template <typename To, typename From> inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "of the same size");
    To to;
    __builtin_memcpy(&to, &value, sizeof(To));
    return to;
}
}  // namespace cudasim

inline int __float_as_int(float x) { return cudasim::bits<int>(x); }
inline unsigned __float_as_uint(float x) { return cudasim::bits<unsigned>(x); }
inline float __int_as_float(int x) { return cudasim::bits<float>(x); }
inline float __uint_as_float(unsigned x) { return cudasim::bits<float>(x); }
inline long long __double_as_longlong(double x) { return cudasim::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cudasim::bits<double>(x); }

inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; i++) y |= (x >> i & 1) << (31 - i);
    return y;
}

// To an integer, rounded to the nearest, down, up or to zero; what does not fit becomes the nearest
// integer that does, and NaN becomes 0.
namespace cudasim {
template <typename To> inline To whole(float x, float least, float beyond, To smallest, To largest) {
    return x != x ? 0 : x < least ? smallest : x >= beyond ? largest : (To)x;
}
}  // namespace cudasim
#define CUDASIM_ROUND(mode, round)                                                                                           \
    inline int __float2int_##mode(float x) {                                                                                 \
        return cudasim::whole<int>(__builtin_##round##f(x), -2147483648.0f, 2147483648.0f, -2147483647 - 1, 2147483647);     \
    }                                                                                                                        \
    inline unsigned __float2uint_##mode(float x) {                                                                           \
        return cudasim::whole<unsigned>(__builtin_##round##f(x), 0.0f, 4294967296.0f, 0u, 4294967295u);                      \
    }
CUDASIM_ROUND(rn, rint)
CUDASIM_ROUND(rd, floor)
CUDASIM_ROUND(ru, ceil)
CUDASIM_ROUND(rz, trunc)
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }

// Reads that say where to cache: here they are reads.
template <typename T> inline T __ldg(const T* at) { return *at; }
template <typename T> inline T __ldcg(const T* at) { return *at; }
template <typename T> inline T __ldcs(const T* at) { return *at; }
template <typename T> inline void __stcs(T* at, T value) { *at = value; }
template <typename T> inline void __stcg(T* at, T value) { *at = value; }
