// Adagrad; see mod.rs. Put behind rules.wgsl.

struct AdagradCall {
    n: u32,
    lr: f32,
    eps: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<storage, read> p: AdagradCall;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

@compute @workgroup_size(256)
fn adagrad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i >= p.n {
        return;
    }
    let g = decay(g[i], w[i], p.weight_decay);
    s[i] += g * g;
    w[i] -= p.lr * g / (sqrt(s[i]) + p.eps);
}
