// Vector types: float2 and its like, with CUDA's alignments. A vector of two or four is read and written
// at a multiple of its own size; at any other address that is an error, as it is on a GPU.

#define CUDASIM_VECTOR(T, name)                                                                                 \
    struct name##1 { T x; };                                                                                    \
    struct __attribute__((aligned(2 * sizeof(T)))) name##2 { T x, y; };                                         \
    struct name##3 { T x, y, z; };                                                                              \
    struct __attribute__((aligned(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16))) name##4 { T x, y, z, w; };         \
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
