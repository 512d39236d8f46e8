// Arithmetic on two buffers with broadcasting, each operation beside its two derivatives; see
// binary.rs. Put behind math.wgsl.

struct BinaryCall {
    op: u32,   // its number in Binary
    side: u32, // backward: 0 for the gradient of a, 1 for that of b
    n: u32,
    ndim: u32,
    shape: array<u32, 8>,
    a: array<u32, 8>, // strides
    b: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> p: BinaryCall;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

struct Operands {
    a: f32,
    b: f32,
}

// What output element i is computed from.
fn operands(i: u32) -> Operands {
    var rest = i;
    var at_a = 0u;
    var at_b = 0u;
    for (var d = p.ndim - 1u; d > 0u; d--) {
        let index = rest % p.shape[d];
        rest /= p.shape[d];
        at_a += index * p.a[d];
        at_b += index * p.b[d];
    }
    // What is left is the index in the outermost dimension: without broadcasting the only one.
    return Operands(a[at_a + rest * p.a[0]], b[at_b + rest * p.b[0]]);
}

fn f(a: f32, b: f32) -> f32 {
    switch p.op {
        case 0u { return a + b; }                                                // add
        case 1u { return a - b; }                                                // sub
        case 2u { return a * b; }                                                // mul
        case 3u { return a / b; }                                                // div
        case 4u { return pow_(a, b); }                                           // pow
        // A NaN in a wins, one in b wins otherwise.
        case 5u { return select(b, a, is_nan(a) || (!is_nan(b) && a < b)); }     // minimum
        case 6u { return select(b, a, is_nan(a) || (!is_nan(b) && a > b)); }     // maximum
        default { return 0.0; }
    }
}

// The gradient of a.
fn da(a: f32, b: f32, dy: f32) -> f32 {
    switch p.op {
        case 0u, 1u { return dy; }                                               // add, sub
        case 2u { return dy * b; }                                               // mul
        case 3u { return dy / b; }                                               // div
        // a^0 is 1 everywhere.
        case 4u { return select(dy * b * pow_(a, b - 1.0), 0.0, b == 0.0); }     // pow
        case 5u { return share(a, b, dy, a > b); }                               // minimum
        case 6u { return share(a, b, dy, a < b); }                               // maximum
        default { return 0.0; }
    }
}

// The gradient of b.
fn db(a: f32, b: f32, dy: f32) -> f32 {
    switch p.op {
        case 0u { return dy; }                                                   // add
        case 1u { return -dy; }                                                  // sub
        case 2u { return dy * a; }                                               // mul
        case 3u { return -dy * (a / b / b); }                                    // div
        // 0^b is 0 all around b > 0.
        case 4u { return select(dy * pow_(a, b) * log_(a), 0.0, a == 0.0 && b >= 0.0); } // pow
        case 5u { return share(a, b, dy, b > a); }                               // minimum
        case 6u { return share(a, b, dy, b < a); }                               // maximum
        default { return 0.0; }
    }
}

// What the loser, either one in a tie, or the winner gets of the gradient. Nobody loses to a NaN.
fn share(a: f32, b: f32, dy: f32, lost: bool) -> f32 {
    if is_nan(a) || is_nan(b) {
        return dy;
    }
    return select(select(dy, 0.5 * dy, a == b), 0.0, lost);
}

// y[i] = f(a, b)
@compute @workgroup_size(256)
fn binary_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        let x = operands(i);
        y[i] = f(x.a, x.b);
    }
}

// dx[i] = df/da dy[i], or df/db dy[i]
@compute @workgroup_size(256)
fn binary_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        let x = operands(i);
        if p.side == 0u {
            dx[i] = da(x.a, x.b, dy[i]);
        } else {
            dx[i] = db(x.a, x.b, dy[i]);
        }
    }
}
