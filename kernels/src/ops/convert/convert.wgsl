// Elements of one type as elements of another. Put behind math.wgsl.

struct Convert {
    n: u32,
}

@group(0) @binding(0) var<storage, read> p: Convert;
@group(0) @binding(1) var<storage, read> floats: array<f32>;
@group(0) @binding(2) var<storage, read> words: array<u32>;
@group(0) @binding(3) var<storage, read_write> y_floats: array<f32>;
@group(0) @binding(4) var<storage, read_write> y_words: array<u32>;

// y[i] = words[i], rounded to the nearest float
@compute @workgroup_size(256)
fn u32_to_f32(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        y_floats[i] = f32(words[i]);
    }
}

// y[i] = floats[i] without its fraction, saturated at both ends, 0 for NaN
@compute @workgroup_size(256)
fn f32_to_u32(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < p.n {
        let x = floats[i];
        if is_nan(x) || x < 1.0 {
            y_words[i] = 0u;
        } else if x >= 4294967296.0 {
            y_words[i] = 4294967295u;
        } else {
            y_words[i] = u32(x);
        }
    }
}
