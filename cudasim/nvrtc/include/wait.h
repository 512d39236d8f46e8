// What makes threads wait for each other: barriers, votes and shuffles. Every call says where it stands.

#define CUDASIM_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CUDASIM_HERE) {
    cudasim::state.host->wait(cudasim::Block, 0, 0, 0, file, line);
}
inline int __syncthreads_count(int predicate, CUDASIM_HERE) {
    return (int)cudasim::state.host->wait(cudasim::Block, 0, predicate != 0, 0, file, line);
}
inline int __syncthreads_or(int predicate, CUDASIM_HERE) {
    return __syncthreads_count(predicate, file, line) != 0;
}
inline int __syncthreads_and(int predicate, CUDASIM_HERE) {
    return __syncthreads_count(!predicate, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, CUDASIM_HERE) {
    cudasim::state.host->wait(cudasim::Warp, mask, 0, 0, file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, CUDASIM_HERE) {
    return (unsigned)cudasim::state.host->wait(cudasim::Vote, mask, predicate != 0, 0, file, line);
}
inline int __any_sync(unsigned mask, int predicate, CUDASIM_HERE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, CUDASIM_HERE) {
    return __ballot_sync(mask, !predicate, file, line) == 0;
}

namespace cudasim {

inline unsigned lane() { return state.thread.number % 32; }

// The value of lane `source`, or this lane's own where there is no such lane in its part of the warp.
template <typename T> inline T exchange(unsigned mask, T value, int source, bool there, const char* file, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle takes values of at most 8 bytes");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = state.host->wait(Shuffle, mask, bits, there ? source : lane(), file, line);
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}

// The first lane of this lane's part of the warp, where the warp is cut into parts of `width`.
inline int part(int width) { return (int)lane() / width * width; }

}  // namespace cudasim

template <typename T> inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDASIM_HERE) {
    return cudasim::exchange(mask, value, cudasim::part(width) + (source & (width - 1)), true, file, line);
}
template <typename T> inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDASIM_HERE) {
    int source = (int)cudasim::lane() - (int)delta;
    return cudasim::exchange(mask, value, source, source >= cudasim::part(width), file, line);
}
template <typename T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDASIM_HERE) {
    int source = (int)cudasim::lane() + (int)delta;
    return cudasim::exchange(mask, value, source, source < cudasim::part(width) + width, file, line);
}
template <typename T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, CUDASIM_HERE) {
    int source = (int)cudasim::lane() ^ bits;
    return cudasim::exchange(mask, value, source, source < cudasim::part(width) + width, file, line);
}

// Threads run one at a time, so that what one has written the next one sees.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

inline void __trap(CUDASIM_HERE) { cudasim::state.host->stop(cudasim::Trap, "", file, line); }
#define assert(condition) \
    ((condition) ? (void)0 : cudasim::state.host->stop(cudasim::Assert, #condition, __FILE__, __LINE__))
extern "C" int printf(const char*, ...);
