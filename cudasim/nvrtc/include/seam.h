// How a compiled module and the driver talk: the same structs as in cudasim/src/seam.rs.
// No header of the system is included, so that a kernel has no more names than under NVRTC.

#define __global__ __attribute__((visibility("default")))
#define __device__ __attribute__((visibility("default")))
#define __constant__ __attribute__((visibility("default")))
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__

namespace cudasim {

struct Place { uint3 index; unsigned number; };

enum WaitKind : int { Block, Warp, Vote, Shuffle };
enum Stop : int { Trap, Assert, Misaligned };

struct Host {
    unsigned long long (*wait)(WaitKind kind, unsigned mask, unsigned long long value, unsigned source, const char* file, int line);
    void (*stop)(Stop why, const void* what, const char* file, int line);
    char* (*shared)(size_t bytes);
};

struct State {
    Place thread;
    uint3 block, block_size, grid_size;
    unsigned next, end;
    const Place* places;
    unsigned long long serial;
    const char* arguments;
    char* dynamic;
    const Host* host;
};

struct Parameter { unsigned offset, size, pointer; };

struct Kernel {
    const char* name;
    const void* function;
    void (*run)();
    unsigned most_threads, parameter_count;
    const Parameter* parameters;
    const char* declarations;
};

struct Module {
    unsigned version, architecture, kernel_count;
    const Kernel* kernels;
    State* state;
    const char *begin, *end;
};

static State state;

// Where the whole module lies in memory: the linker knows.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[], _end[];

[[noreturn]] inline __attribute__((noinline, cold)) void misaligned(const void* at, size_t alignment) {
    state.host->stop(Misaligned, at, "", (int)alignment);
    __builtin_unreachable();
}

// A list of numbers 0, 1, .. n - 1 as template arguments.
template <size_t... I> struct Numbers {};
template <size_t n, size_t... I> struct Count : Count<n - 1, n - 1, I...> {};
template <size_t... I> struct Count<0, I...> { typedef Numbers<I...> List; };

template <typename T> constexpr bool is_pointer = false;
template <typename T> constexpr bool is_pointer<T*> = true;

// Where each parameter lies: in the order of the declaration, each at a multiple of its alignment.
template <typename... P> struct Layout {
    Parameter at[sizeof...(P) + 1] = {};
    constexpr Layout() {
        const unsigned size[] = {sizeof(P)..., 0}, align[] = {alignof(P)..., 1}, pointer[] = {is_pointer<P>..., 0};
        unsigned offset = 0;
        for (size_t i = 0; i < sizeof...(P); i++) {
            offset = (offset + align[i] - 1) / align[i] * align[i];
            at[i] = Parameter{offset, size[i], pointer[i]};
            offset += size[i];
        }
    }
};

// Calls a kernel for one thread after the other, each with its own copies of the arguments. A thread
// that waits leaves this loop standing where it is, and the driver starts the next threads in another.
template <auto function, typename Signature = decltype(function)> struct Caller;
template <auto function, typename... P> struct Caller<function, void (*)(P...)> {
    static constexpr Layout<P...> layout = {};

    template <size_t... I> static void call(const char* arguments, Numbers<I...>) {
        function(*(const P*)(arguments + layout.at[I].offset)...);
    }
    static void run() {
        while (state.next < state.end) {
            state.thread = state.places[state.next++];
            call(state.arguments, typename Count<sizeof...(P)>::List());
        }
    }
    static Kernel kernel(const char* name, unsigned most_threads, const char* declarations) {
        return {name, (const void*)function, run, most_threads, sizeof...(P), layout.at, declarations};
    }
};

}  // namespace cudasim

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};

static const uint3& threadIdx = cudasim::state.thread.index;
static const uint3& blockIdx = cudasim::state.block;
static const uint3& blockDim = cudasim::state.block_size;
static const uint3& gridDim = cudasim::state.grid_size;
constexpr int warpSize = 32;
