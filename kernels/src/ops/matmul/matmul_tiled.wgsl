// Matrix multiplication, the rungs above matmul.wgsl: the same formula, computed in tiles of c.

struct Matmul {
    batch: u32,
    m: u32,
    n: u32,
    k: u32,
    transpose_a: u32,
    transpose_b: u32,
    has_bias: u32,
}

@group(0) @binding(0) var<storage, read> p: Matmul;
@group(0) @binding(1) var<storage, read> a: array<f32>;       // [batch, m, k]
@group(0) @binding(2) var<storage, read> b: array<f32>;       // [batch, k, n]
@group(0) @binding(3) var<storage, read> bias: array<f32>;    // [n]
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // [batch, m, n]

// a[s, i, q], 0 outside.
fn a_at(s: u32, i: u32, q: u32) -> f32 {
    if i >= p.m || q >= p.k {
        return 0.0;
    }
    return a[s * p.m * p.k + select(i * p.k + q, q * p.m + i, p.transpose_a == 1u)];
}

// b[s, q, j], 0 outside.
fn b_at(s: u32, q: u32, j: u32) -> f32 {
    if q >= p.k || j >= p.n {
        return 0.0;
    }
    return b[s * p.k * p.n + select(q * p.n + j, j * p.k + q, p.transpose_b == 1u)];
}

// Four numbers of a that stand under each other, and four of b side by side.
fn four_of_a(s: u32, i: u32, q: u32) -> vec4<f32> {
    return vec4<f32>(a_at(s, i, q), a_at(s, i + 1u, q), a_at(s, i + 2u, q), a_at(s, i + 3u, q));
}

fn four_of_b(s: u32, q: u32, j: u32) -> vec4<f32> {
    return vec4<f32>(b_at(s, q, j), b_at(s, q, j + 1u), b_at(s, q, j + 2u), b_at(s, q, j + 3u));
}

// All products of four rows of a with four columns of b: a row in each vec4.
fn products(rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

fn write(s: u32, i: u32, j: u32, sum: f32) {
    if i < p.m && j < p.n {
        var y = sum;
        if p.has_bias == 1u {
            y += bias[j];
        }
        c[(s * p.m + i) * p.n + j] = y;
    }
}

fn write_row(s: u32, i: u32, j: u32, sums: vec4<f32>) {
    write(s, i, j, sums.x);
    write(s, i, j + 1u, sums.y);
    write(s, i, j + 2u, sums.z);
    write(s, i, j + 3u, sums.w);
}

fn write_block(s: u32, i: u32, j: u32, sums: mat4x4<f32>) {
    write_row(s, i, j, sums[0]);
    write_row(s, i + 1u, j, sums[1]);
    write_row(s, i + 2u, j, sums[2]);
    write_row(s, i + 3u, j, sums[3]);
}

const TILE = 64u;  // rows and columns of c of one group
const DEPTH = 16u; // terms of the sums at a time
const PITCH = 17u; // fours of a term: TILE / 4, and one to keep threads that write off each other's banks

// The strips of a and of b: fours of rows, and fours of columns, of each term.
var<workgroup> strip_a: array<vec4<f32>, 320>; // [DEPTH, PITCH], or [SMALL_DEPTH, SMALL_PITCH]
var<workgroup> strip_b: array<vec4<f32>, 320>;

// "tiled": a thread of the plain rung reads two numbers from memory for each multiplication, and every
// number is read by as many threads as there are rows or columns. Here a group copies a strip of a and
// one of b to its own memory, once, and each thread computes 8 x 4 outputs: 3 reads of four numbers
// from that memory serve 32 multiplications.
@compute @workgroup_size(128)
fn matmul_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = (p.n + TILE - 1u) / TILE;
    let down = (p.m + TILE - 1u) / TILE;
    let tile = group.y * groups.x + group.x;
    if tile >= p.batch * down * across {
        return;
    }
    let s = tile / (down * across);
    let top = tile / across % down * TILE;
    let left = tile % across * TILE;
    // A thread's fours of rows, this one and the one 32 rows below, and its four columns.
    let row = thread / 16u;
    let column = thread % 16u;
    var upper = mat4x4<f32>();
    var lower = mat4x4<f32>();
    for (var block = 0u; block < p.k; block += 256u) {
        // A sum per 256 terms first: beside the sum of thousands a single term would lose its digits.
        var upper_block = mat4x4<f32>();
        var lower_block = mat4x4<f32>();
        for (var first = block; first < min(block + 256u, p.k); first += DEPTH) {
            for (var e = thread; e < 256u; e += 128u) {
                // Neighbouring threads read neighbouring numbers, whichever way a matrix is stored.
                let a_four = select(e / DEPTH, e % 16u, p.transpose_a == 1u);
                let a_term = select(e % DEPTH, e / 16u, p.transpose_a == 1u);
                let b_four = select(e % 16u, e / DEPTH, p.transpose_b == 1u);
                let b_term = select(e / 16u, e % DEPTH, p.transpose_b == 1u);
                strip_a[a_term * PITCH + a_four] = four_of_a(s, top + a_four * 4u, first + a_term);
                strip_b[b_term * PITCH + b_four] = four_of_b(s, first + b_term, left + b_four * 4u);
            }
            workgroupBarrier();
            for (var q = 0u; q < DEPTH; q++) {
                let columns = strip_b[q * PITCH + column];
                upper_block += products(strip_a[q * PITCH + row], columns);
                lower_block += products(strip_a[q * PITCH + row + 8u], columns);
            }
            workgroupBarrier();
        }
        upper += upper_block;
        lower += lower_block;
    }
    write_block(s, top + row * 4u, left + column * 4u, upper);
    write_block(s, top + row * 4u + 32u, left + column * 4u, lower);
}

const SMALL_TILE = 16u;
const SMALL_DEPTH = 64u;
const SMALL_PITCH = 5u;

// "shared sums": a linear layer of a small network has a few thousand outputs, each a long sum. Tiles
// of 64 x 64 would give work to a handful of groups. Here a tile is 16 x 16, and 16 threads share each
// block of 4 x 4 outputs: of every 64 terms they take 4 each, and in the end their sums are added in a
// tree.
@compute @workgroup_size(256)
fn matmul_shared(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = (p.n + SMALL_TILE - 1u) / SMALL_TILE;
    let down = (p.m + SMALL_TILE - 1u) / SMALL_TILE;
    let tile = group.y * groups.x + group.x;
    if tile >= p.batch * down * across {
        return;
    }
    let s = tile / (down * across);
    let top = tile / across % down * SMALL_TILE;
    let left = tile % across * SMALL_TILE;
    // Which of the 16 that share a block, and which block.
    let sharer = thread / 16u;
    let row = thread % 16u / 4u;
    let column = thread % 4u;
    // The four rows, or columns, and the term that this thread copies.
    let a_four = select(thread / SMALL_DEPTH, thread % 4u, p.transpose_a == 1u);
    let a_term = select(thread % SMALL_DEPTH, thread / 4u, p.transpose_a == 1u);
    let b_four = select(thread % 4u, thread / SMALL_DEPTH, p.transpose_b == 1u);
    let b_term = select(thread / 4u, thread % SMALL_DEPTH, p.transpose_b == 1u);
    var sum = mat4x4<f32>();
    for (var block = 0u; block < p.k; block += 4096u) {
        var block_sum = mat4x4<f32>();
        for (var first = block; first < min(block + 4096u, p.k); first += SMALL_DEPTH) {
            strip_a[a_term * SMALL_PITCH + a_four] = four_of_a(s, top + a_four * 4u, first + a_term);
            strip_b[b_term * SMALL_PITCH + b_four] = four_of_b(s, first + b_term, left + b_four * 4u);
            workgroupBarrier();
            for (var q = sharer; q < SMALL_DEPTH; q += 16u) {
                block_sum += products(strip_a[q * SMALL_PITCH + row], strip_b[q * SMALL_PITCH + column]);
            }
            workgroupBarrier();
        }
        sum += block_sum;
    }
    // The strips are not needed any more: one holds the upper half of the blocks, the other the lower.
    for (var half = 8u; half > 0u; half /= 2u) {
        if sharer >= half && sharer < 2u * half {
            let at = (thread - half * 16u) * 2u;
            strip_a[at] = sum[0];
            strip_a[at + 1u] = sum[1];
            strip_b[at] = sum[2];
            strip_b[at + 1u] = sum[3];
        }
        workgroupBarrier();
        if sharer < half {
            let at = thread * 2u;
            sum += mat4x4<f32>(strip_a[at], strip_a[at + 1u], strip_b[at], strip_b[at + 1u]);
        }
        workgroupBarrier();
    }
    if sharer == 0u {
        write_block(s, top + row * 4u, left + column * 4u, sum);
    }
}
