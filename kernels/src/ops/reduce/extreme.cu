// The largest or smallest element and its place; see mod.rs.

struct ExtremeCall {
    u32 outer;
    u32 dim;
    u32 inner;
    u32 max; // 1 for the largest, 0 for the smallest
    // How a block shares the work; see group.rs.
    u32 width;
    u32 parts;
    u32 chunk;
    // Where an earlier launch has chosen one element of each part: the number of its parts, else 0.
    u32 chosen;
};

struct Reduce {
    u32 outer;
    u32 dim;
    u32 inner;
};

// x: [outer, dim, inner], choice: [outer, chosen, inner], y, index: [outer, parts, inner]

// A number from 1 on that is the larger the better x is; NaN has the largest. The bits of a float
// compare like integers, once those of a negative one are turned around.
__device__ u32 rank(const ExtremeCall& p, float x) {
    u32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return 0xffffffff;
    }
    u32 ascending = bits > 0x80000000 ? ~bits : bits | 0x80000000; // -0 stays with 0
    return p.max == 1 ? ascending : ~ascending;
}

// Where element t of the choice stands along `dim`: everywhere, or where an earlier launch said.
__device__ u32 place(const ExtremeCall& p, const u32* choice, u32 o, u32 t, u32 i) {
    if (p.chosen > 0) {
        return choice[(o * p.chosen + t) * p.inner + i];
    }
    return t;
}

// y[o, i] = max of x[o, d, i] over d, index[o, i] = the first d that has it
//
// Of a very long dimension every part has its best first, and a second launch chooses among them.
extern "C" __global__ __launch_bounds__(256)
void extreme(ExtremeCall p, const float* x, const u32* choice, float* y, u32* index) {
    u32 output = blockIdx.x * 256 + threadIdx.x;
    if (output >= p.outer * p.parts * p.inner) {
        return;
    }
    u32 o = output / p.inner / p.parts;
    u32 part = output / p.inner % p.parts;
    u32 i = output % p.inner;
    u32 first = o * p.dim * p.inner + i;
    u32 begin = part * p.chunk;
    u32 terms = p.chosen > 0 ? p.chosen : p.dim;
    u32 best = place(p, choice, o, begin, i);
    for (u32 t = begin + 1; t < min(begin + p.chunk, terms); t++) {
        u32 d = place(p, choice, o, t, i);
        if (rank(p, x[first + d * p.inner]) > rank(p, x[first + best * p.inner])) {
            best = d;
        }
    }
    y[output] = x[first + best * p.inner];
    index[output] = best;
}

// A rank and, below it, a place turned around, as one number: the larger one is better, and of equal
// ranks the one in front.
typedef unsigned long long Candidate;

__device__ Candidate candidate(u32 rank, u32 place) {
    return Candidate(rank) << 32 | ~place;
}

__device__ Candidate better(Candidate a, Candidate b) {
    return a > b ? a : b;
}

// The best of what the lanes of an output hold, found as sum_of_lanes in group.cu finds a sum. For one
// call: nothing waits until all have read what an earlier one left.
__device__ Candidate best_of_lanes(Candidate mine, u32 width, u32 thread) {
    __shared__ Candidate lanes_hold[256];
    for (u32 half = 16; half >= width; half /= 2) {
        mine = better(mine, __shfl_xor_sync(0xffffffff, mine, half));
    }
    u32 apart = max(width, 32u);
    lanes_hold[thread] = mine;
    __syncthreads();
    for (u32 other = thread % apart; other < 256; other += apart) {
        mine = better(mine, lanes_hold[other]);
    }
    return mine;
}

// As in sum_tree, threads share an output: each finds the best of every so many-th element, and a tree
// the best of those; of equals the one in front.
extern "C" __global__ __launch_bounds__(256)
void extreme_tree(
    ExtremeCall p, const float* __restrict__ x, const u32* __restrict__ choice,
    float* __restrict__ y, u32* __restrict__ index
) {
    u32 thread = threadIdx.x;
    u32 number = blockIdx.x;
    u32 outputs = p.outer * p.inner;
    u32 bundles = (outputs + p.width - 1) / p.width;
    if (number >= bundles * p.parts) {
        return;
    }
    u32 output = number % bundles * p.width + thread % p.width;
    u32 o = output / p.inner;
    u32 i = output % p.inner;
    u32 part = number / bundles;
    u32 begin = part * p.chunk;
    u32 count = min(p.chunk, (p.chosen > 0 ? p.chosen : p.dim) - begin);
    u32 first = o * p.dim * p.inner + i;

    u32 lane = thread / p.width;
    // No element has rank 0: what a lane without elements holds.
    u32 best_rank = 0;
    u32 best = 0;
    if (output < outputs) {
        for (u32 t = lane; t < count; t += 256 / p.width) {
            u32 d = place(p, choice, o, begin + t, i);
            u32 its_rank = rank(p, x[first + d * p.inner]);
            if (its_rank > best_rank) {
                best_rank = its_rank;
                best = d;
            }
        }
    }
    best = ~u32(best_of_lanes(candidate(best_rank, best), p.width, thread));
    // The threads of lane 0 write the results.
    if (lane == 0 && output < outputs) {
        u32 to = (o * p.parts + part) * p.inner + i;
        y[to] = x[first + best * p.inner];
        index[to] = best;
    }
}

// dx[o, d, i] = dy[o, i] where d = index[o, i], else 0
extern "C" __global__ __launch_bounds__(256)
void extreme_backward(Reduce p, const u32* choice, const float* dy, float* dx) {
    u32 element = blockIdx.x * 256 + threadIdx.x;
    if (element >= p.outer * p.dim * p.inner) {
        return;
    }
    u32 i = element % p.inner;
    u32 d = element / p.inner % p.dim;
    u32 o = element / p.inner / p.dim;
    u32 output = o * p.inner + i;
    dx[element] = choice[output] == d ? dy[output] : 0.0f;
}
