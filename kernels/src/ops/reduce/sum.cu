// Sums; see mod.rs. Put behind group.cu.

// x is seen as [outer, dim, inner, tail], and dim and tail are added up.
struct SumCall {
    u32 outer;
    u32 dim;
    u32 inner;
    u32 tail;
    // How a block shares the work; see group.rs.
    u32 width;
    u32 parts;
    u32 chunk;
};

// x: [outer, dim, inner, tail], y: [outer, parts, inner]

// y[o, i] = sum of x[o, d, i, j] over d and j
//
// A thread adds up at most `chunk` terms, because small ones lose their digits beside a large sum. Where
// there are more, y gets a sum for each part of them, and a second launch adds up the parts.
extern "C" __global__ __launch_bounds__(256)
void sum(SumCall p, const float* x, float* y) {
    u32 output = blockIdx.x * 256 + threadIdx.x;
    if (output >= p.outer * p.parts * p.inner) {
        return;
    }
    u32 o = output / p.inner / p.parts;
    u32 part = output / p.inner % p.parts;
    u32 i = output % p.inner;
    float sum = 0.0f;
    for (u32 t = part * p.chunk; t < min((part + 1) * p.chunk, p.dim * p.tail); t++) {
        u32 d = t / p.tail;
        u32 j = t % p.tail;
        sum += x[((o * p.dim + d) * p.inner + i) * p.tail + j];
    }
    y[output] = sum;
}

// One thread per output leaves most of a GPU idle when there are few outputs, and threads side by side
// read elements far apart when the terms of an output are neighbours. Here many threads share an
// output: each adds up every so many-th term, four loads at a time so that they don't wait for one
// another, and a tree adds up the threads' sums. So parts are seldom needed.
extern "C" __global__ __launch_bounds__(256)
void sum_tree(SumCall p, const float* __restrict__ x, float* __restrict__ y) {
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
    u32 count = min(p.chunk, p.dim * p.tail - begin);

    u32 lane = thread / p.width;
    u32 lanes = 256 / p.width;
    float sum = 0.0f;
    if (output < outputs && lane < count) {
        u32 first = (o * p.dim * p.inner + i) * p.tail;
        Walk places = walk(first, begin + lane, lanes, p.tail, p.inner * p.tail);
        u32 t = lane;
        for (; t + 3 * lanes < count; t += 4 * lanes) {
            // C++ leaves open which operand of a + it computes first, and each next() is another place.
            float a = x[next(&places)];
            float b = x[next(&places)];
            float c = x[next(&places)];
            float d = x[next(&places)];
            sum += (a + b) + (c + d);
        }
        for (; t < count; t += lanes) {
            sum += x[next(&places)];
        }
    }
    float all = sum_of_lanes(sum, p.width, thread);
    if (lane == 0 && output < outputs) {
        y[(o * p.parts + part) * p.inner + i] = all;
    }
}
