// Convolution, the rung above conv.cu: each of the three formulas is a product of two matrices, one of
// which is never written down. Rows are channels; columns are places (forward, backward_input) or
// kernel taps (backward_weight); what is summed over are the terms of the formula.
//
// The plain rung reads two numbers from memory per multiplication and divides a dozen times to find
// them. Here where things lie is worked out beforehand, once for each column and once for each term, as
// four numbers: a place, and its distance in the buffer. Both are sums of a column's part and a term's.
//
// x, dx: [N, C, D, H, W]; y, dy: [N, O, OD, OH, OW]; w: [O, C / groups, KD, KH, KW]; bias: [O];
// dw: [parts, O, C / groups, KD, KH, KW]

const u32 ROWS = 16; // of a tile

__device__ float4 operator*(float4 a, float b) { return make_float4(a.x * b, a.y * b, a.z * b, a.w * b); }
__device__ void operator+=(float4& a, float4 b) { a.x += b.x, a.y += b.y, a.z += b.z, a.w += b.w; }

// A place, and its distance in the buffer. Sums are those of whole numbers without a sign: they may pass
// 2^31.
__device__ int4 spot_of(int3 place, u32 distance) {
    return make_int4(place.x, place.y, place.z, distance);
}

__device__ int4 operator+(int4 a, int4 b) {
    return make_int4((u32)a.x + b.x, (u32)a.y + b.y, (u32)a.z + b.z, (u32)a.w + b.w);
}

__device__ int3 place_of(int4 spot) {
    return make_int3(spot.x, spot.y, spot.z);
}

// A column that does not exist: no step brings it inside.
__device__ int4 outside() {
    return make_int4(-0x7fffffff, -0x7fffffff, -0x7fffffff, 0);
}

// Where a place would stand in a block; sums of places have sums of these.
__device__ u32 distance_of(int3 place, const u32 sizes[3]) {
    return (place.x * sizes[1] + place.y) * sizes[2] + place.z;
}

// The element of x where an output and a kernel tap meet, 0 outside.
__device__ float x_at(const ConvCall& p, const float* x, int4 output, int4 tap) {
    const int4 spot = output + tap;
    return within(place_of(spot), p.input) ? x[(u32)spot.w] : 0;
}

// Output number i of all samples, for x_at: the place and the distance of its first tap, in the first
// channel of its slice.
__device__ int4 output_spot(const ConvCall& p, u32 i, u32 slice) {
    const u32 map = volume(p.output);
    if (i >= p.batch * map) {
        return outside();
    }
    const int3 first = place_in(p.output, i % map) * vector(p.stride) - vector(p.padding);
    const u32 channel = i / map * p.in_channels + slice * (p.in_channels / p.groups);
    return spot_of(first, channel * volume(p.input) + distance_of(first, p.input));
}

// Term number i of all input channels and taps, for x_at: the steps from the first tap.
__device__ int4 tap_spot(const ConvCall& p, u32 i) {
    const u32 taps = volume(p.kernel);
    const int3 step = place_in(p.kernel, i % taps) * vector(p.dilation);
    return spot_of(step, i / taps * volume(p.input) + distance_of(step, p.input));
}

// w[o, c, k], with o and c counted inside a slice, 0 outside.
__device__ float w_at(const ConvCall& p, const float* w, u32 slice, u32 o, u32 c, u32 k) {
    const u32 channels = p.in_channels / p.groups;
    const u32 outputs = p.out_channels / p.groups;
    if (o >= outputs || c >= channels) {
        return 0;
    }
    return w[((slice * outputs + o) * channels + c) * volume(p.kernel) + k];
}

const u32 COLUMNS = 256; // of a tile of y or dx, two for each thread
const u32 DEPTH = 128;   // terms prepared at a time, one by each thread

// The weights of a term: its ROWS in fours; one more keeps threads that write off each other's banks.
typedef float4 Weights[ROWS / 4 + 1];

__device__ float4 four_w_of_outputs(const ConvCall& p, const float* w, u32 slice, u32 o, u32 c, u32 k) {
    return make_float4(
        w_at(p, w, slice, o, c, k), w_at(p, w, slice, o + 1, c, k),
        w_at(p, w, slice, o + 2, c, k), w_at(p, w, slice, o + 3, c, k)
    );
}

__device__ void write_y(
    const ConvCall& p, const float* bias, float* y, u32 slice, u32 o, u32 i, float4 sums
) {
    const u32 outputs = p.out_channels / p.groups;
    const u32 map = volume(p.output);
    const float four[4] = {sums.x, sums.y, sums.z, sums.w};
    #pragma unroll
    for (u32 r = 0; r < 4; r++) {
        if (o + r < outputs && i < p.batch * map) {
            const u32 channel = slice * outputs + o + r;
            float sum = four[r];
            if (p.has_bias == 1) {
                sum += bias[channel];
            }
            y[(i / map * p.out_channels + channel) * map + i % map] = sum;
        }
    }
}

// y: rows are output channels, columns are samples and places of the output, terms are input channels
// and taps. A thread computes all 16 rows of two columns, so that each element of x it reads serves 16
// multiplications, and each weight in shared memory is read once for two.
extern "C" __global__ __launch_bounds__(128)
void conv_forward_tiled(ConvCall p, const float* x, const float* w, const float* bias, float* y) {
    __shared__ Weights weights[DEPTH];
    __shared__ int4 terms[DEPTH];
    const u32 thread = threadIdx.x;
    const u32 outputs = p.out_channels / p.groups;
    const u32 taps = volume(p.kernel);
    const u32 count = p.in_channels / p.groups * taps;
    const u32 down = (outputs + ROWS - 1) / ROWS;
    const u32 across = (p.batch * volume(p.output) + COLUMNS - 1) / COLUMNS;
    const u32 tile = blockIdx.x;
    if (tile >= p.groups * down * across) {
        return;
    }
    const u32 top = tile % down * ROWS;
    const u32 slice = tile / down % p.groups;
    const u32 column = tile / down / p.groups * COLUMNS + thread;
    const int4 output_a = output_spot(p, column, slice);
    const int4 output_b = output_spot(p, column + 128, slice);
    float4 a[4] = {};
    float4 b[4] = {};
    for (u32 first = 0; first < count; first += DEPTH) {
        const u32 term = first + thread;
        const u32 c = term / taps;
        const u32 k = term % taps;
        terms[thread] = tap_spot(p, term);
        for (u32 r = 0; r < 4; r++) {
            weights[thread][r] = four_w_of_outputs(p, w, slice, top + r * 4, c, k);
        }
        __syncthreads();
        // A sum per DEPTH terms first, which keeps the digits of small terms in a long sum.
        float4 block_a[4] = {};
        float4 block_b[4] = {};
        #pragma unroll 4
        for (u32 q = 0; q < min(DEPTH, count - first); q++) {
            const float x_a = x_at(p, x, output_a, terms[q]);
            const float x_b = x_at(p, x, output_b, terms[q]);
            for (u32 r = 0; r < 4; r++) {
                block_a[r] += weights[q][r] * x_a;
                block_b[r] += weights[q][r] * x_b;
            }
        }
        for (u32 r = 0; r < 4; r++) {
            a[r] += block_a[r];
            b[r] += block_b[r];
        }
        __syncthreads();
    }
    #pragma unroll
    for (u32 r = 0; r < 4; r++) {
        write_y(p, bias, y, slice, top + r * 4, column, a[r]);
        write_y(p, bias, y, slice, top + r * 4, column + 128, b[r]);
    }
}

// An input, for dy_at. With input + padding = stride * spot + rest and k * dilation likewise, the
// division by the stride has no remainder where the rests are equal, and gives the difference of the
// spots.
struct InputSpot {
    int4 spot;
    int4 rest; // of three numbers; the fourth is 0
};

__device__ InputSpot input_spot(const ConvCall& p, u32 i, u32 slice) {
    const u32 image = volume(p.input);
    if (i >= p.batch * image) {
        return InputSpot{outside(), make_int4(0, 0, 0, 0)};
    }
    const int3 padded = place_in(p.input, i % image) + vector(p.padding);
    const int3 spot = padded / vector(p.stride);
    const u32 channel = i / image * p.out_channels + slice * (p.out_channels / p.groups);
    const u32 distance = channel * volume(p.output) + distance_of(spot, p.output);
    return InputSpot{spot_of(spot, distance), spot_of(padded % vector(p.stride), 0)};
}

// The element of dy where an input and a kernel tap meet, 0 where there is none. All comparisons are
// made (& instead of &&), so that no thread of a warp takes another way than its neighbours.
__device__ float dy_at(const ConvCall& p, const float* dy, InputSpot input, int4 tap, int4 rest) {
    const int4 spot = input.spot + tap;
    const bool even = (input.rest.x == rest.x) & (input.rest.y == rest.y) & (input.rest.z == rest.z);
    return within(place_of(spot), p.output) & even ? dy[(u32)spot.w] : 0;
}

__device__ float4 four_w_of_inputs(const ConvCall& p, const float* w, u32 slice, u32 o, u32 c, u32 k) {
    return make_float4(
        w_at(p, w, slice, o, c, k), w_at(p, w, slice, o, c + 1, k),
        w_at(p, w, slice, o, c + 2, k), w_at(p, w, slice, o, c + 3, k)
    );
}

__device__ void write_dx(const ConvCall& p, float* dx, u32 slice, u32 c, u32 i, float4 sums) {
    const u32 channels = p.in_channels / p.groups;
    const u32 image = volume(p.input);
    const float four[4] = {sums.x, sums.y, sums.z, sums.w};
    #pragma unroll
    for (u32 r = 0; r < 4; r++) {
        if (c + r < channels && i < p.batch * image) {
            dx[(i / image * p.in_channels + slice * channels + c + r) * image + i % image] = four[r];
        }
    }
}

// dx: rows are input channels, columns are samples and places of the input, terms are output channels
// and taps. The same as forward in the other direction.
extern "C" __global__ __launch_bounds__(128)
void conv_backward_input_tiled(ConvCall p, const float* dy, const float* w, float* dx) {
    __shared__ Weights weights[DEPTH];
    __shared__ int4 terms[DEPTH];
    __shared__ int4 rests[DEPTH];
    const u32 thread = threadIdx.x;
    const u32 channels = p.in_channels / p.groups;
    const u32 taps = volume(p.kernel);
    const u32 count = p.out_channels / p.groups * taps;
    const u32 down = (channels + ROWS - 1) / ROWS;
    const u32 across = (p.batch * volume(p.input) + COLUMNS - 1) / COLUMNS;
    const u32 tile = blockIdx.x;
    if (tile >= p.groups * down * across) {
        return;
    }
    const u32 top = tile % down * ROWS;
    const u32 slice = tile / down % p.groups;
    const u32 column = tile / down / p.groups * COLUMNS + thread;
    const InputSpot input_a = input_spot(p, column, slice);
    const InputSpot input_b = input_spot(p, column + 128, slice);
    float4 a[4] = {};
    float4 b[4] = {};
    for (u32 first = 0; first < count; first += DEPTH) {
        const u32 term = first + thread;
        const u32 o = term / taps;
        const u32 k = term % taps;
        const int3 step = place_in(p.kernel, k) * vector(p.dilation);
        const int3 back = make_int3(0, 0, 0) - step / vector(p.stride);
        terms[thread] = spot_of(back, o * volume(p.output) + distance_of(back, p.output));
        rests[thread] = spot_of(step % vector(p.stride), 0);
        for (u32 r = 0; r < 4; r++) {
            weights[thread][r] = four_w_of_inputs(p, w, slice, o, top + r * 4, k);
        }
        __syncthreads();
        float4 block_a[4] = {};
        float4 block_b[4] = {};
        #pragma unroll 4
        for (u32 q = 0; q < min(DEPTH, count - first); q++) {
            const float dy_a = dy_at(p, dy, input_a, terms[q], rests[q]);
            const float dy_b = dy_at(p, dy, input_b, terms[q], rests[q]);
            for (u32 r = 0; r < 4; r++) {
                block_a[r] += weights[q][r] * dy_a;
                block_b[r] += weights[q][r] * dy_b;
            }
        }
        for (u32 r = 0; r < 4; r++) {
            a[r] += block_a[r];
            b[r] += block_b[r];
        }
        __syncthreads();
    }
    #pragma unroll
    for (u32 r = 0; r < 4; r++) {
        write_dx(p, dx, slice, top + r * 4, column, a[r]);
        write_dx(p, dx, slice, top + r * 4, column + 128, b[r]);
    }
}

const u32 TAPS = 64;   // columns of a tile of dw
const u32 BLOCK = 128; // terms whose spots are worked out at a time
const u32 STEP = 32;   // terms copied at a time

// Adds the product of four rows and four columns at one term: a row in each float4.
__device__ void add_products(float4 sums[4], float4 rows, float4 columns) {
    sums[0] += columns * rows.x;
    sums[1] += columns * rows.y;
    sums[2] += columns * rows.z;
    sums[3] += columns * rows.w;
}

__device__ void write_dw(const ConvCall& p, float* dw, u32 part, u32 slice, u32 o, u32 tap, float4 sums) {
    const u32 outputs = p.out_channels / p.groups;
    const u32 count = p.in_channels / p.groups * volume(p.kernel);
    const float four[4] = {sums.x, sums.y, sums.z, sums.w};
    #pragma unroll
    for (u32 r = 0; r < 4; r++) {
        if (o < outputs && tap + r < count) {
            dw[(part * p.out_channels + slice * outputs + o) * count + tap + r] = four[r];
        }
    }
}

// dw: rows are output channels, columns are input channels and taps, terms are samples and places of the
// output, cut into p.parts parts of p.chunk terms. A tile has fewer elements than a thread block has
// threads to keep busy, so four threads share each patch of 4 x 4, and in the end their sums are added.
extern "C" __global__ __launch_bounds__(256)
void conv_backward_weight_tiled(ConvCall p, const float* x, const float* dy, float* dw) {
    // Fours of rows, and fours of columns, of each term; one more keeps threads that write off each
    // other's banks.
    __shared__ float4 dy_strip[STEP * 5]; // [STEP, ROWS / 4 + 1]
    __shared__ float4 x_strip[STEP * 17]; // [STEP, TAPS / 4 + 1]
    __shared__ int4 columns[TAPS];
    __shared__ int4 outputs_seen[BLOCK];
    __shared__ u32 dy_seen[BLOCK]; // where they stand in dy
    const u32 thread = threadIdx.x;
    const u32 outputs = p.out_channels / p.groups;
    const u32 map = volume(p.output);
    const u32 count = p.in_channels / p.groups * volume(p.kernel);
    const u32 down = (outputs + ROWS - 1) / ROWS;
    const u32 across = (count + TAPS - 1) / TAPS;
    const u32 tile = blockIdx.x;
    if (tile >= p.groups * down * across * p.parts) {
        return;
    }
    const u32 top = tile % down * ROWS;
    const u32 left = tile / down % across * TAPS;
    const u32 slice = tile / down / across % p.groups;
    const u32 part = tile / down / across / p.groups;
    const u32 begin = part * p.chunk;
    const u32 end = min(begin + p.chunk, p.batch * map);

    if (thread < TAPS) {
        columns[thread] = tap_spot(p, min(left + thread, count - 1));
    }
    // Which of the four that share a patch, and which patch.
    const u32 sharer = thread / 64;
    const u32 row = thread % 64 / 16;
    const u32 column = thread % 16;
    const u32 copied = thread % STEP;
    float4 sum[4] = {};
    for (u32 first = begin; first < end; first += BLOCK) {
        if (thread < BLOCK) {
            const u32 term = first + thread;
            outputs_seen[thread] = term < end ? output_spot(p, term, slice) : outside();
            dy_seen[thread] = (term / map * p.out_channels + slice * outputs) * map + term % map;
        }
        __syncthreads();
        float4 block[4] = {};
        for (u32 step = 0; step < min(BLOCK, end - first); step += STEP) {
            const int4 seen = outputs_seen[step + copied];
            #pragma unroll 1 // NVRTC 13.0 spills registers on sm_75 without this
            for (u32 four = thread / STEP; four < 16; four += 8) {
                const u32 at = four * 4;
                x_strip[copied * 17 + four] = make_float4(
                    x_at(p, x, seen, columns[at]), x_at(p, x, seen, columns[at + 1]),
                    x_at(p, x, seen, columns[at + 2]), x_at(p, x, seen, columns[at + 3])
                );
            }
            const u32 four = thread / STEP;
            if (four < 4) {
                float gradients[4] = {};
                for (u32 r = 0; r < 4; r++) {
                    const u32 o = top + four * 4 + r;
                    if (o < outputs && first + step + copied < end) {
                        gradients[r] = dy[dy_seen[step + copied] + o * map];
                    }
                }
                dy_strip[copied * 5 + four] =
                    make_float4(gradients[0], gradients[1], gradients[2], gradients[3]);
            }
            __syncthreads();
            #pragma unroll
            for (u32 round = 0; round < STEP; round += 4) {
                const u32 q = round + sharer;
                add_products(block, dy_strip[q * 5 + row], x_strip[q * 17 + column]);
            }
            __syncthreads();
        }
        for (u32 r = 0; r < 4; r++) {
            sum[r] += block[r];
        }
    }
    // Sharers 2 and 3 hand their sums to 0 and 1, then 1 to 0.
    for (u32 half = 2; half > 0; half /= 2) {
        __syncthreads();
        if (sharer >= half && sharer < 2 * half) {
            const u32 at = (thread - half * 64) * 4;
            for (u32 r = 0; r < 4; r++) {
                x_strip[at + r] = sum[r];
            }
        }
        __syncthreads();
        if (sharer < half) {
            for (u32 r = 0; r < 4; r++) {
                sum[r] += x_strip[thread * 4 + r];
            }
        }
    }
    if (sharer == 0) {
        for (u32 r = 0; r < 4; r++) {
            write_dw(p, dw, part, slice, top + row * 4 + r, left + column * 4, sum[r]);
        }
    }
}
