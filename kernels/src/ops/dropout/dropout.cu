// Dropout. Put behind philox.cu.

struct DropoutCall {
    u32 len;
    u32 group;
    u32 seed[2];
    u32 offset[2];
    float p;
    float scale; // 1 / (1 - p)
};

// Words 4 block to 4 block + 3 of the stream that seed and offset name. With at most 2^32 elements
// the upper half of the block's number is 0.
//
// A captured graph repeats a launch with the same arguments, and yet must draw new numbers. So a 64-bit
// count that the graph raises in the device's memory, the clock, is added to the offset. Outside of
// graphs it is 0.
__device__ uint4 random(const DropoutCall& params, const u32* clock, u32 block) {
    u32 lower = params.offset[0] + clock[0];
    u32 carry = lower < clock[0] ? 1 : 0;
    uint4 counter = make_uint4(block, 0, lower, params.offset[1] + clock[1] + carry);
    return philox4x32_10(counter, make_uint2(params.seed[0], params.seed[1]));
}

// What an element is multiplied by: 0, or 1 / (1 - p).
__device__ float factor(const DropoutCall& params, u32 word) {
    return uniform(word) >= params.p ? params.scale : 0.0f;
}

// x, y: [len]
extern "C" __global__ __launch_bounds__(256)
void dropout(DropoutCall params, const float* x, float* y, const u32* clock) {
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < params.len) {
        u32 j = i / params.group;
        uint4 words = random(params, clock, j / 4);
        u32 k = j % 4;
        y[i] = x[i] * factor(params, k == 0 ? words.x : k == 1 ? words.y : k == 2 ? words.z : words.w);
    }
}

// Philox gives four words at a time; the plain rung computes them all in every thread and takes one,
// or, of a channel, the same one in every thread. Here a block of 256 threads has 1024 elements,
// and each thread draws four words for all: at most 1024 are needed. Neighbouring threads still read
// and write neighbouring elements.
extern "C" __global__ __launch_bounds__(256)
void dropout_by_four(
    DropoutCall params, const float* __restrict__ x, float* __restrict__ y, const u32* clock) {
    __shared__ float4 factors[256];
    u32 thread = threadIdx.x;
    u32 number = blockIdx.x;
    if (number > (params.len - 1) / 1024) {
        return;
    }
    u32 first = number * 1024;
    u32 last = min(first + 1023, params.len - 1);
    // With a group of 1 the first word is the first of a philox block, and 256 of those are 1024 words;
    // with larger ones there are at most 513 words.
    u32 block = first / params.group / 4;
    if (block + thread <= last / params.group / 4) {
        uint4 words = random(params, clock, block + thread);
        factors[thread] = make_float4(
            factor(params, words.x),
            factor(params, words.y),
            factor(params, words.z),
            factor(params, words.w));
    }
    __syncthreads();
    const float* of_word = &factors[0].x;
    for (u32 k = thread; k <= last - first; k += 256) {
        u32 i = first + k;
        u32 j = i / params.group - 4 * block;
        y[i] = x[i] * of_word[j];
    }
}
