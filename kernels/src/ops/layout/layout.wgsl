// Strided copies; see mod.rs. The elements are words of 4 bytes, whatever they stand for.

struct Strided {
    n: u32,
    offset: u32,
    ndim: u32,
    shape: array<u32, 8>,
    strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> p: Strided;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// Where element i of the view stands.
fn place(i: u32) -> u32 {
    var rest = i;
    var at = p.offset;
    for (var d = p.ndim - 1u; d > 0u; d--) {
        at += rest % p.shape[d] * p.strides[d];
        rest /= p.shape[d];
    }
    return at + rest * p.strides[0];
}

// x: the buffer the view looks into; y: the view's elements
@compute @workgroup_size(256)
fn read_strided(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        y[i] = x[place(i)];
    }
}

// x: the view's elements; y: the buffer the view looks into
@compute @workgroup_size(256)
fn write_strided(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        y[place(i)] = x[i];
    }
}
