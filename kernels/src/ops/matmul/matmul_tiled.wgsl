// Matrix multiplication, the rungs above matmul.wgsl.

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

fn write(s: u32, i: u32, j: u32, sum: f32) {
    if i < p.m && j < p.n {
        var y = sum;
        if p.has_bias == 1u {
            y += bias[j];
        }
        c[(s * p.m + i) * p.n + j] = y;
    }
}

const TILE = 64u;  // rows and columns of c of one group
const DEPTH = 16u; // terms of the sums at a time

var<workgroup> tile_a: array<f32, 1024>; // [DEPTH, TILE]
var<workgroup> tile_b: array<f32, 1024>; // [DEPTH, TILE]

// "tiled": a thread of the plain rung reads two numbers from memory for each multiplication, and every
// number is read by as many threads as there are rows or columns. Here a group copies a strip of a and
// one of b to its own memory, once, and each thread computes 4 x 4 outputs: 8 reads of that memory
// serve 16 multiplications.
@compute @workgroup_size(256)
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
    let row = thread / 16u * 4u;
    let column = thread % 16u * 4u;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var first = 0u; first < p.k; first += DEPTH) {
        for (var e = thread; e < TILE * DEPTH; e += 256u) {
            // Neighbouring threads read neighbouring numbers, whichever way a matrix is stored.
            let far = e / TILE;
            let near = e % TILE;
            if p.transpose_a == 1u {
                tile_a[far * TILE + near] = a_at(s, top + near, first + far);
            } else {
                tile_a[e % DEPTH * TILE + e / DEPTH] = a_at(s, top + e / DEPTH, first + e % DEPTH);
            }
            if p.transpose_b == 0u {
                tile_b[far * TILE + near] = b_at(s, first + far, left + near);
            } else {
                tile_b[e % DEPTH * TILE + e / DEPTH] = b_at(s, first + e % DEPTH, left + e / DEPTH);
            }
        }
        workgroupBarrier();
        for (var q = 0u; q < DEPTH; q++) {
            let at = q * TILE + column;
            let of_b = vec4<f32>(tile_b[at], tile_b[at + 1u], tile_b[at + 2u], tile_b[at + 3u]);
            sum0 += tile_a[q * TILE + row] * of_b;
            sum1 += tile_a[q * TILE + row + 1u] * of_b;
            sum2 += tile_a[q * TILE + row + 2u] * of_b;
            sum3 += tile_a[q * TILE + row + 3u] * of_b;
        }
        workgroupBarrier();
    }
    for (var j = 0u; j < 4u; j++) {
        write(s, top + row, left + column + j, sum0[j]);
        write(s, top + row + 1u, left + column + j, sum1[j]);
        write(s, top + row + 2u, left + column + j, sum2[j]);
        write(s, top + row + 3u, left + column + j, sum3[j]);
    }
}

var<workgroup> parts: array<f32, 256>; // [8 outputs, 32 threads]

// "shared sums": a linear layer of a small network has a few thousand outputs, each a long sum. Tiles
// would give work to a handful of groups. Here 32 threads share each output: they take every 32nd
// term, and their sums are added in a tree.
@compute @workgroup_size(256)
fn matmul_shared(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let o = (group.y * groups.x + group.x) * 8u + thread / 32u;
    let lane = thread % 32u;
    let s = o / (p.m * p.n);
    let i = o / p.n % p.m;
    let j = o % p.n;
    var sum = 0.0;
    if s < p.batch {
        for (var q = lane; q < p.k; q += 32u) {
            sum += a_at(s, i, q) * b_at(s, q, j);
        }
    }
    parts[thread] = sum;
    workgroupBarrier();
    for (var half = 16u; half > 0u; half /= 2u) {
        if lane < half {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    if lane == 0u && s < p.batch {
        write(s, i, j, parts[thread]);
    }
}
