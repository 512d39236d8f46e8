// What the kernels share that add up many terms. Put in front of them.
//
// Where a whole block works on sums, its 256 threads are seen as [lanes, width]: `width` neighbouring
// outputs, a power of two, and for each of them 256 / width lanes that share its terms.

// A sum of many terms by one thread: blocks of 256 terms first, then the blocks, because a small term
// loses its digits beside a large sum.
struct Blocks {
    float whole;
    float block;
    u32 terms;
};

__device__ void add(Blocks* sum, float term) {
    sum->block += term;
    sum->terms += 1;
    if (sum->terms % 256 == 0) {
        sum->whole += sum->block;
        sum->block = 0.0f;
    }
}

__device__ float total(const Blocks& sum) {
    return sum.whole + sum.block;
}

// The sum of what the lanes of an output hold, the same for all of them. All threads of the block call it.
//
// A tree in shared memory, as in group.wgsl, waits for the whole block before each of its eight steps.
// Here the lanes within a warp are a tree of their own, whose steps hand registers from thread to
// thread: xor finds each thread the partner `half` threads away. That leaves eight warps, or fewer lanes
// where an output is wider than a warp, and what they hold is added up in order.
__device__ float sum_of_lanes(float mine, u32 width, u32 thread) {
    __shared__ float lanes_hold[256];
    for (u32 half = 16; half >= width; half /= 2) {
        mine += __shfl_xor_sync(0xffffffff, mine, half);
    }
    u32 apart = max(width, 32u);
    __syncthreads(); // until all have read what was here before
    lanes_hold[thread] = mine;
    __syncthreads();
    float sum = 0.0f;
    for (u32 other = thread % apart; other < 256; other += apart) {
        sum += lanes_hold[other];
    }
    return sum;
}

// The largest of what the lanes of an output hold.
__device__ float max_of_lanes(float mine, u32 width, u32 thread) {
    __shared__ float lanes_hold[256];
    for (u32 half = 16; half >= width; half /= 2) {
        mine = fmaxf(mine, __shfl_xor_sync(0xffffffff, mine, half));
    }
    u32 apart = max(width, 32u);
    __syncthreads();
    lanes_hold[thread] = mine;
    __syncthreads();
    for (u32 other = thread % apart; other < 256; other += apart) {
        mine = fmaxf(mine, lanes_hold[other]);
    }
    return mine;
}

// Where the terms of a lane stand, one after the other: term t of an output is element t % tail of row
// t / tail, and rows begin `row` elements apart. Keeps count, because a division costs more than a sum.
struct Walk {
    u32 at;
    u32 in_row;
    u32 step;
    u32 step_in_row;
    u32 tail;
    u32 gap; // from the end of a row to the next
};

// From term t on, every `lanes`-th one; term 0 stands at `first`. A tail has at least one element.
__device__ Walk walk(u32 first, u32 t, u32 lanes, u32 tail, u32 row) {
    u32 at = first + t / tail * row + t % tail;
    return {at, t % tail, lanes / tail * row + lanes % tail, lanes % tail, tail, row - tail};
}

// The place of the next term.
__device__ u32 next(Walk* walk) {
    u32 at = walk->at;
    walk->at += walk->step;
    walk->in_row += walk->step_in_row;
    if (walk->in_row >= walk->tail) {
        walk->in_row -= walk->tail;
        walk->at += walk->gap;
    }
    return at;
}
