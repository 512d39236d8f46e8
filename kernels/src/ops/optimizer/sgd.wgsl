// Stochastic gradient descent; see mod.rs. Put behind rules.wgsl.

struct SgdCall {
    n: u32,
    nesterov: u32,
    first: u32, // the first step: b has no value yet
    lr: f32,
    momentum: f32,
    mix: f32, // 1 - dampening
    weight_decay: f32,
}

@group(0) @binding(0) var<storage, read> p: SgdCall;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> b: array<f32>;

@compute @workgroup_size(256)
fn sgd(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    w[i] -= p.lr * decay(g[i], w[i], p.weight_decay);
}

@compute @workgroup_size(256)
fn sgd_momentum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    let g = decay(g[i], w[i], p.weight_decay);
    var direction = g;
    if p.first == 0u {
        direction = b[i] * p.momentum + p.mix * g;
    }
    b[i] = direction;
    if p.nesterov == 1u {
        direction = g + p.momentum * direction;
    }
    w[i] -= p.lr * direction;
}
