// Adam and AdamW; see mod.rs. Put behind math.wgsl and rules.wgsl.

struct AdamCall {
    n: u32,
    step_size: f32,
    correction: f32,
    mix1: f32, // 1 - beta1
    beta2: f32,
    mix2: f32, // 1 - beta2
    eps: f32,
    shrink: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<storage, read> p: AdamCall;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;

// Takes the gradient into both averages.
fn average(i: u32) {
    let g = decay(g[i], w[i], p.weight_decay);
    m[i] = lerp(m[i], g, p.mix1);
    v[i] = v[i] * p.beta2 + p.mix2 * g * g;
}

// The parameter after the step; x is the mean square to divide by.
fn stepped(i: u32, x: f32) -> f32 {
    return w[i] * p.shrink - p.step_size * m[i] / (sqrt(x) / p.correction + p.eps);
}

@compute @workgroup_size(256)
fn adam(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    average(i);
    w[i] = stepped(i, v[i]);
}

@compute @workgroup_size(256)
fn adam_amsgrad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    average(i);
    // Not max, which may drop a NaN.
    x[i] = select(v[i], x[i], !is_nan(v[i]) && x[i] > v[i]);
    w[i] = stepped(i, x[i]);
}
