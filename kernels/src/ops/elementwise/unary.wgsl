// Functions of one element, each beside its derivative; see unary.rs. Put behind math.wgsl.

struct UnaryCall {
    function: u32, // its number in Unary
    n: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<storage, read> p: UnaryCall;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>; // x or y
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

fn f(x: f32) -> f32 {
    let a = p.a;
    let b = p.b;
    switch p.function {
        case 0u { return -x; }                                                   // neg
        case 1u { return abs(x); }                                               // abs
        case 2u { return exp_(x); }                                              // exp
        case 3u { return log_(x); }                                              // log
        case 4u { return sqrt(x); }                                              // sqrt
        case 5u { return x * x; }                                                // square
        case 6u { return tanh_(x); }                                             // tanh
        case 7u { return sigmoid_(x); }                                          // sigmoid
        case 8u { return select(x, 0.0, x <= 0.0); }                             // relu
        case 9u { return select(a * x, x, x > 0.0); }                            // leaky_relu
        case 10u { return select(a * exp_m1_(x), x, x > 0.0); }                  // elu
        case 11u { return x * normal_(x).p; }                                    // gelu
        case 12u {                                                               // softplus
            let z = a * x;
            return select((max(z, 0.0) + log_near_one(exp_(-abs(z)))) / a, x, z > b || is_nan(x));
        }
        case 13u { return limit(x, a, b); }                                      // clamp
        case 14u { return x + a; }                                               // add_scalar
        case 15u { return a * x; }                                               // mul_scalar
        case 16u { return x / a; }                                               // div_scalar
        case 17u { return pow_(x, a); }                                          // pow_scalar
        default { return x; }
    }
}

// s is what the function saved: x, or y.
fn df(s: f32, dy: f32) -> f32 {
    let a = p.a;
    let b = p.b;
    switch p.function {
        case 0u { return -dy; }                                                  // neg
        case 1u { return dy * sign(s); }                                         // abs
        case 2u { return dy * s; }                                               // exp
        case 3u { return dy / s; }                                               // log
        case 4u { return dy / (2.0 * s); }                                       // sqrt
        case 5u { return 2.0 * s * dy; }                                         // square
        case 6u { return dy * (1.0 - s * s); }                                   // tanh
        case 7u { return dy * s * (1.0 - s); }                                   // sigmoid
        case 8u { return select(dy, 0.0, s <= 0.0); }                            // relu
        case 9u { return dy * select(a, 1.0, s > 0.0); }                         // leaky_relu
        case 10u { return select(dy * a * exp_(s), dy, s > 0.0); }               // elu
        case 11u {                                                               // gelu
            let normal = normal_(s);
            return dy * (normal.p + s * normal.density);
        }
        case 12u { return select(dy * sigmoid_(a * s), dy, a * s > b); }         // softplus
        case 13u { return select(0.0, dy, s >= a && s <= b); }                   // clamp
        case 14u { return dy; }                                                  // add_scalar
        case 15u { return a * dy; }                                              // mul_scalar
        case 16u { return dy / a; }                                              // div_scalar
        case 17u { return select(dy * a * pow_(s, a - 1.0), 0.0, a == 0.0); }    // pow_scalar
        default { return dy; }
    }
}

// y[i] = f(x[i])
@compute @workgroup_size(256)
fn unary_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        y[i] = f(x[i]);
    }
}

// dx[i] = f'(saved[i]) dy[i]
@compute @workgroup_size(256)
fn unary_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        dx[i] = df(saved[i], dy[i]);
    }
}
