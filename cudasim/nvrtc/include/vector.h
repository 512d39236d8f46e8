// Vector types: float2 and its like, with CUDA's alignments. A vector of two or four is read and written
// at a multiple of its own size; at any other address that is an error, as it is on a GPU.

typedef decltype(sizeof(0)) size_t;
#define NULL 0

namespace cudasim {
[[noreturn]] void misaligned(const void* at, size_t alignment);

// What a pointer to a vector promises to the compiler is what has to be looked at.
inline void check_alignment(const void* at, size_t alignment) {
#ifdef __clang__
    asm("" : "+r"(at));
#endif
    if ((size_t)at % alignment) misaligned(at, alignment);
}
}  // namespace cudasim

// A copy looks at both addresses. That of a local variable is known to be right, and costs nothing.
#define CUDASIM_COPIES(V, set)                                                                                  \
    V() = default;                                                                                              \
    V(const V& v) { *this = v; }                                                                                \
    V& operator=(const V& v) {                                                                                  \
        cudasim::check_alignment(&v, alignof(V)), cudasim::check_alignment(this, alignof(V));                   \
        set;                                                                                                    \
        return *this;                                                                                           \
    }
#define CUDASIM_VECTOR(T, name)                                                                                 \
    struct name##1 { T x; };                                                                                    \
    struct __attribute__((aligned(2 * sizeof(T)))) name##2 {                                                    \
        T x, y;                                                                                                 \
        constexpr name##2(T x, T y) : x(x), y(y) {}                                                             \
        CUDASIM_COPIES(name##2, (x = v.x, y = v.y))                                                          \
    };                                                                                                          \
    struct name##3 { T x, y, z; };                                                                              \
    struct __attribute__((aligned(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16))) name##4 {                          \
        T x, y, z, w;                                                                                           \
        constexpr name##4(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}                                       \
        CUDASIM_COPIES(name##4, (x = v.x, y = v.y, z = v.z, w = v.w))                                        \
    };                                                                                                          \
    inline name##1 make_##name##1(T x) { return {x}; }                                                          \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                                  \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                          \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

CUDASIM_VECTOR(char, char)
CUDASIM_VECTOR(unsigned char, uchar)
CUDASIM_VECTOR(short, short)
CUDASIM_VECTOR(unsigned short, ushort)
CUDASIM_VECTOR(int, int)
CUDASIM_VECTOR(unsigned int, uint)
CUDASIM_VECTOR(long long, longlong)
CUDASIM_VECTOR(unsigned long long, ulonglong)
CUDASIM_VECTOR(float, float)
CUDASIM_VECTOR(double, double)
