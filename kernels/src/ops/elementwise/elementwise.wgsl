// Filling, and adding up in place.

struct Fill {
    n: u32,
    bits: u32, // of the value
}

struct AddAssign {
    n: u32,
}

@group(0) @binding(0) var<storage, read> fill_p: Fill;
@group(0) @binding(0) var<storage, read> add_p: AddAssign;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

// words[i] = bits, whatever they stand for
@compute @workgroup_size(256)
fn fill(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < fill_p.n {
        words[i] = fill_p.bits;
    }
}

// x[i] += y[i]
@compute @workgroup_size(256)
fn add_assign(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < add_p.n {
        x[i] += y[i];
    }
}
