// RMSprop; see mod.rs. Put behind rules.wgsl.

struct RmsPropCall {
    n: u32,
    lr: f32,
    alpha: f32,
    mix: f32, // 1 - alpha
    eps: f32,
    weight_decay: f32,
    momentum: f32,
}

@group(0) @binding(0) var<storage, read> p: RmsPropCall;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> m: array<f32>;
@group(0) @binding(5) var<storage, read_write> b: array<f32>;

// Takes the gradient into the mean square, and gives g / d.
fn scaled(i: u32) -> f32 {
    let g = decay(g[i], w[i], p.weight_decay);
    v[i] = v[i] * p.alpha + p.mix * g * g;
    return g / (sqrt(v[i]) + p.eps);
}

// The same with the mean too.
fn scaled_centered(i: u32) -> f32 {
    let g = decay(g[i], w[i], p.weight_decay);
    v[i] = v[i] * p.alpha + p.mix * g * g;
    m[i] = lerp(m[i], g, p.mix);
    return g / (sqrt(v[i] - m[i] * m[i]) + p.eps);
}

@compute @workgroup_size(256)
fn rmsprop(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    w[i] -= p.lr * scaled(i);
}

@compute @workgroup_size(256)
fn rmsprop_momentum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    b[i] = b[i] * p.momentum + scaled(i);
    w[i] -= p.lr * b[i];
}

@compute @workgroup_size(256)
fn rmsprop_centered(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    w[i] -= p.lr * scaled_centered(i);
}

@compute @workgroup_size(256)
fn rmsprop_centered_momentum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    b[i] = b[i] * p.momentum + scaled_centered(i);
    w[i] -= p.lr * b[i];
}
