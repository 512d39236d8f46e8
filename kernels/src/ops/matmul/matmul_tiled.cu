// Matrix multiplication, the rungs above matmul.cu: the same formula, computed in tiles of c.

struct Matmul {
    u32 batch;
    u32 m;
    u32 n;
    u32 k;
    u32 transpose_a;
    u32 transpose_b;
    u32 has_bias;
};

// a: [batch, m, k], b: [batch, k, n], bias: [n], c: [batch, m, n]

__device__ float4 operator*(float4 a, float b) { return make_float4(a.x * b, a.y * b, a.z * b, a.w * b); }
__device__ void operator+=(float4& a, float4 b) { a.x += b.x, a.y += b.y, a.z += b.z, a.w += b.w; }

// Four numbers in one read; the first must stand at a multiple of four.
__device__ float4 read_four(const float* numbers) {
    return *(const float4*)numbers;
}

// Four numbers, a step apart, 0 for those from number `exist` on. `whole` says that they are neighbours
// in rows of a multiple of four: then all four exist or none, and one read gets them.
__device__ float4 four_of(const float* numbers, u32 step, u32 exist, bool whole) {
    if (whole) {
        return exist > 0 ? read_four(numbers) : make_float4(0, 0, 0, 0);
    }
    return make_float4(
        exist > 0 ? numbers[0] : 0, exist > 1 ? numbers[step] : 0,
        exist > 2 ? numbers[2 * step] : 0, exist > 3 ? numbers[3 * step] : 0
    );
}

// Four numbers of a that stand under each other, and four of b side by side: a[s, i .. i + 4, q] and
// b[s, q, j .. j + 4], 0 outside.
__device__ float4 four_of_a(const Matmul& p, const float* a, u32 s, u32 i, u32 q) {
    const u32 at = p.transpose_a == 1 ? q * p.m + i : i * p.k + q;
    const u32 step = p.transpose_a == 1 ? 1 : p.k;
    const u32 exist = q < p.k && i < p.m ? p.m - i : 0;
    return four_of(&a[s * p.m * p.k + at], step, exist, p.transpose_a == 1 && p.m % 4 == 0);
}

__device__ float4 four_of_b(const Matmul& p, const float* b, u32 s, u32 q, u32 j) {
    const u32 at = p.transpose_b == 1 ? j * p.k + q : q * p.n + j;
    const u32 step = p.transpose_b == 1 ? p.k : 1;
    const u32 exist = q < p.k && j < p.n ? p.n - j : 0;
    return four_of(&b[s * p.k * p.n + at], step, exist, p.transpose_b == 0 && p.n % 4 == 0);
}

// Adds all products of four rows of a with four columns of b: a row in each float4.
__device__ void add_products(float4 sums[4], float4 rows, float4 columns) {
    sums[0] += columns * rows.x;
    sums[1] += columns * rows.y;
    sums[2] += columns * rows.z;
    sums[3] += columns * rows.w;
}

__device__ void write(const Matmul& p, const float* bias, float* c, u32 s, u32 i, u32 j, float sum) {
    if (i < p.m && j < p.n) {
        if (p.has_bias == 1) {
            sum += bias[j];
        }
        c[(s * p.m + i) * p.n + j] = sum;
    }
}

__device__ void write_row(const Matmul& p, const float* bias, float* c, u32 s, u32 i, u32 j, float4 sums) {
    if (p.n % 4 == 0 && i < p.m && j < p.n) {
        if (p.has_bias == 1) {
            sums += read_four(&bias[j]);
        }
        *(float4*)&c[(s * p.m + i) * p.n + j] = sums;
        return;
    }
    write(p, bias, c, s, i, j, sums.x);
    write(p, bias, c, s, i, j + 1, sums.y);
    write(p, bias, c, s, i, j + 2, sums.z);
    write(p, bias, c, s, i, j + 3, sums.w);
}

__device__ void write_patch(
    const Matmul& p, const float* bias, float* c, u32 s, u32 i, u32 j, const float4 sums[4]
) {
    for (u32 r = 0; r < 4; r++) {
        write_row(p, bias, c, s, i + r, j, sums[r]);
    }
}

const u32 TILE = 64;  // rows and columns of c of one thread block
const u32 DEPTH = 16; // terms of the sums at a time
const u32 PITCH = 17; // fours of a term: TILE / 4, and one to keep threads that write off each other's banks

// "tiled": a thread of the plain rung reads two numbers from memory for each multiplication, and every
// number is read by as many threads as there are rows or columns. Here a thread block copies a strip
// of a and one of b to its shared memory, once, and each thread computes 8 x 4 outputs: 3 reads of four
// numbers from there serve 32 multiplications.
extern "C" __global__ __launch_bounds__(128)
void matmul_tiled(Matmul p, const float* a, const float* b, const float* bias, float* c) {
    // The strips of a and of b: fours of rows, and fours of columns, of each term.
    __shared__ float4 strip_a[DEPTH * PITCH];
    __shared__ float4 strip_b[DEPTH * PITCH];
    const u32 thread = threadIdx.x;
    const u32 across = (p.n + TILE - 1) / TILE;
    const u32 down = (p.m + TILE - 1) / TILE;
    const u32 tile = blockIdx.x;
    if (tile >= p.batch * down * across) {
        return;
    }
    const u32 s = tile / (down * across);
    const u32 top = tile / across % down * TILE;
    const u32 left = tile % across * TILE;
    // A thread's fours of rows, this one and the one 32 rows below, and its four columns.
    const u32 row = thread / 16;
    const u32 column = thread % 16;
    float4 upper[4] = {};
    float4 lower[4] = {};
    for (u32 block = 0; block < p.k; block += 256) {
        // A sum per 256 terms first: beside the sum of thousands a single term would lose its digits.
        float4 upper_block[4] = {};
        float4 lower_block[4] = {};
        for (u32 first = block; first < min(block + 256, p.k); first += DEPTH) {
            #pragma unroll
            for (u32 round = 0; round < 256; round += 128) {
                const u32 e = round + thread;
                // Neighbouring threads read neighbouring numbers, whichever way a matrix is stored.
                const u32 a_four = p.transpose_a == 1 ? e % 16 : e / DEPTH;
                const u32 a_term = p.transpose_a == 1 ? e / 16 : e % DEPTH;
                const u32 b_four = p.transpose_b == 1 ? e / DEPTH : e % 16;
                const u32 b_term = p.transpose_b == 1 ? e % DEPTH : e / 16;
                strip_a[a_term * PITCH + a_four] = four_of_a(p, a, s, top + a_four * 4, first + a_term);
                strip_b[b_term * PITCH + b_four] = four_of_b(p, b, s, first + b_term, left + b_four * 4);
            }
            __syncthreads();
            #pragma unroll
            for (u32 q = 0; q < DEPTH; q++) {
                const float4 columns = strip_b[q * PITCH + column];
                add_products(upper_block, strip_a[q * PITCH + row], columns);
                add_products(lower_block, strip_a[q * PITCH + row + 8], columns);
            }
            __syncthreads();
        }
        for (u32 r = 0; r < 4; r++) {
            upper[r] += upper_block[r];
            lower[r] += lower_block[r];
        }
    }
    write_patch(p, bias, c, s, top + row * 4, left + column * 4, upper);
    write_patch(p, bias, c, s, top + row * 4 + 32, left + column * 4, lower);
}

const u32 SMALL_TILE = 16;
const u32 SMALL_DEPTH = 64;
const u32 SMALL_PITCH = 5;

// "shared sums": a linear layer of a small network has a few thousand outputs, each a long sum. Tiles
// of 64 x 64 would give work to a handful of thread blocks. Here a tile is 16 x 16, and 16 threads share
// each patch of 4 x 4 outputs: of every 64 terms they take 4 each, and in the end their sums are added
// in a tree.
extern "C" __global__ __launch_bounds__(256)
void matmul_shared(Matmul p, const float* a, const float* b, const float* bias, float* c) {
    __shared__ float4 strip_a[SMALL_DEPTH * SMALL_PITCH];
    __shared__ float4 strip_b[SMALL_DEPTH * SMALL_PITCH];
    const u32 thread = threadIdx.x;
    const u32 across = (p.n + SMALL_TILE - 1) / SMALL_TILE;
    const u32 down = (p.m + SMALL_TILE - 1) / SMALL_TILE;
    const u32 tile = blockIdx.x;
    if (tile >= p.batch * down * across) {
        return;
    }
    const u32 s = tile / (down * across);
    const u32 top = tile / across % down * SMALL_TILE;
    const u32 left = tile % across * SMALL_TILE;
    // Which of the 16 that share a patch, and which patch.
    const u32 sharer = thread / 16;
    const u32 row = thread % 16 / 4;
    const u32 column = thread % 4;
    // The four rows, or columns, and the term that this thread copies.
    const u32 a_four = p.transpose_a == 1 ? thread % 4 : thread / SMALL_DEPTH;
    const u32 a_term = p.transpose_a == 1 ? thread / 4 : thread % SMALL_DEPTH;
    const u32 b_four = p.transpose_b == 1 ? thread / SMALL_DEPTH : thread % 4;
    const u32 b_term = p.transpose_b == 1 ? thread % SMALL_DEPTH : thread / 4;
    float4 sum[4] = {};
    for (u32 block = 0; block < p.k; block += 4096) {
        float4 block_sum[4] = {};
        for (u32 first = block; first < min(block + 4096, p.k); first += SMALL_DEPTH) {
            strip_a[a_term * SMALL_PITCH + a_four] = four_of_a(p, a, s, top + a_four * 4, first + a_term);
            strip_b[b_term * SMALL_PITCH + b_four] = four_of_b(p, b, s, first + b_term, left + b_four * 4);
            __syncthreads();
            #pragma unroll
            for (u32 round = 0; round < SMALL_DEPTH; round += 16) {
                const u32 q = round + sharer;
                add_products(block_sum, strip_a[q * SMALL_PITCH + row], strip_b[q * SMALL_PITCH + column]);
            }
            __syncthreads();
        }
        for (u32 r = 0; r < 4; r++) {
            sum[r] += block_sum[r];
        }
    }
    // The strips are not needed any more: one holds the upper half of the patches, the other the lower.
    for (u32 half = 8; half > 0; half /= 2) {
        if (sharer >= half && sharer < 2 * half) {
            const u32 at = (thread - half * 16) * 2;
            strip_a[at] = sum[0];
            strip_a[at + 1] = sum[1];
            strip_b[at] = sum[2];
            strip_b[at + 1] = sum[3];
        }
        __syncthreads();
        if (sharer < half) {
            const u32 at = thread * 2;
            sum[0] += strip_a[at];
            sum[1] += strip_a[at + 1];
            sum[2] += strip_b[at];
            sum[3] += strip_b[at + 1];
        }
        __syncthreads();
    }
    if (sharer == 0) {
        write_patch(p, bias, c, s, top + row * 4, left + column * 4, sum);
    }
}
