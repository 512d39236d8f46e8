// Matrix multiplication: c[s, i, j] = sum_q a[s, i, q] * b[s, q, j] (+ bias[j]), one output per thread.

struct Matmul {
    batch: u32,
    m: u32,
    n: u32,
    k: u32,
    transpose_a: u32, // a is stored as [k, m]
    transpose_b: u32, // b is stored as [n, k]
    has_bias: u32,
}

@group(0) @binding(0) var<storage, read> p: Matmul;
@group(0) @binding(1) var<storage, read> a: array<f32>;       // [batch, m, k]
@group(0) @binding(2) var<storage, read> b: array<f32>;       // [batch, k, n]
@group(0) @binding(3) var<storage, read> bias: array<f32>;    // [n]
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // [batch, m, n]

@compute @workgroup_size(256)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let o = (group.y * groups.x + group.x) * 256u + thread;
    if o >= p.batch * p.m * p.n {
        return;
    }
    let s = o / (p.m * p.n);
    let i = o / p.n % p.m;
    let j = o % p.n;
    // Element q of the row of a stands at first_a + q * step_a, of the column of b likewise.
    let first_a = s * p.m * p.k + select(i * p.k, i, p.transpose_a == 1u);
    let first_b = s * p.k * p.n + select(j, j * p.k, p.transpose_b == 1u);
    let step_a = select(1u, p.m, p.transpose_a == 1u);
    let step_b = select(p.n, 1u, p.transpose_b == 1u);
    // A sum per 256 terms first: beside the sum of thousands a single term would lose its digits.
    var sum = 0.0;
    for (var first = 0u; first < p.k; first += 256u) {
        var block = 0.0;
        for (var q = first; q < min(first + 256u, p.k); q++) {
            block += a[first_a + q * step_a] * b[first_b + q * step_b];
        }
        sum += block;
    }
    if p.has_bias == 1u {
        sum += bias[j];
    }
    c[o] = sum;
}
