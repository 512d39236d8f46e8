// Shared memory. The compiler turns `__shared__ float tile[16][17];` into
//
//     typedef float tile__shared[16][17]; auto& tile = cudasim::shared<0, tile__shared>();
//
// so that every variable lies in memory of its own, with a guard page behind it. The first thread of
// a block that comes by fills it with 0xff bytes, which are NaN: what no thread has written is seen.

namespace cudasim {

template <int declaration, typename T> struct Variable {
    static inline char* memory = nullptr;
    static inline unsigned long long serial = 0;
};

template <int declaration, typename T> inline T& shared() {
    typedef Variable<declaration, T> V;
    if (V::serial != state.serial) {
        if (!V::memory) V::memory = state.host->shared(sizeof(T));
        __builtin_memset(V::memory, 0xff, sizeof(T));
        V::serial = state.serial;
    }
    return *(T*)V::memory;
}

// One outside of any function: its memory is asked for at each use, since no block runs when it is declared.
template <int declaration, typename T> struct Outside {
    operator T&() const { return shared<declaration, T>(); }
    T& operator=(const T& value) const { return shared<declaration, T>() = value; }
};
template <int declaration, typename T, decltype(sizeof 0) n> struct Outside<declaration, T[n]> {
    operator T*() const { return shared<declaration, T[n]>(); }
};

// `extern __shared__ float buffer[];`: as many bytes as the launch says. It stands for its address.
template <typename T> struct Dynamic;
template <typename T> struct Dynamic<T[]> {
    operator T*() const { return (T*)state.dynamic; }
};

}  // namespace cudasim
