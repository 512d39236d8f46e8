// Atomic operations on integers: each returns what stood there before. Threads run one at a time, so
// plain reads and writes are enough. There is none on floats: their sums would depend on the order.

#define CUDASIM_ATOMIC(T)                                                                                           \
    inline T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }                              \
    inline T atomicExch(T* at, T value) { T old = *at; *at = value; return old; }                                   \
    inline T atomicMin(T* at, T value) { T old = *at; *at = value < old ? value : old; return old; }                \
    inline T atomicMax(T* at, T value) { T old = *at; *at = value > old ? value : old; return old; }                \
    inline T atomicAnd(T* at, T value) { T old = *at; *at = old & value; return old; }                              \
    inline T atomicOr(T* at, T value) { T old = *at; *at = old | value; return old; }                               \
    inline T atomicXor(T* at, T value) { T old = *at; *at = old ^ value; return old; }                              \
    inline T atomicCAS(T* at, T compare, T value) { T old = *at; *at = old == compare ? value : old; return old; }

CUDASIM_ATOMIC(int)
CUDASIM_ATOMIC(unsigned int)
CUDASIM_ATOMIC(unsigned long long)

inline int atomicSub(int* at, int value) { int old = *at; *at = old - value; return old; }
inline unsigned atomicSub(unsigned* at, unsigned value) { unsigned old = *at; *at = old - value; return old; }
// Counts up to `most` and begins again at 0; counts down from `most`.
inline unsigned atomicInc(unsigned* at, unsigned most) { unsigned old = *at; *at = old >= most ? 0 : old + 1; return old; }
inline unsigned atomicDec(unsigned* at, unsigned most) {
    unsigned old = *at;
    *at = old == 0 || old > most ? most : old - 1;
    return old;
}

float atomicAdd(float*, float) = delete;
double atomicAdd(double*, double) = delete;
