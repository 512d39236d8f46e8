// Dropout. Put behind philox.wgsl.

struct DropoutCall {
    len: u32,
    group: u32,
    seed: array<u32, 2>,
    offset: array<u32, 2>,
    p: f32,
    scale: f32, // 1 / (1 - p)
}

@group(0) @binding(0) var<storage, read> params: DropoutCall;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Words 4 block to 4 block + 3 of the stream that seed and offset name. With at most 2^32 elements
// the upper half of the block's number is 0.
fn random(block: u32) -> vec4<u32> {
    let counter = vec4(block, 0u, params.offset[0], params.offset[1]);
    return philox4x32_10(counter, vec2(params.seed[0], params.seed[1]));
}

// What an element is multiplied by: 0, or 1 / (1 - p).
fn factor(word: u32) -> f32 {
    return select(0.0, params.scale, uniform(word) >= params.p);
}

// x, y: [len]
@compute @workgroup_size(256)
fn dropout(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + thread;
    if i < params.len {
        let j = i / params.group;
        var words = random(j / 4u);
        y[i] = x[i] * factor(words[j % 4u]);
    }
}

// Philox gives four words at a time; the plain rung computes them all in every thread and takes one,
// or, of a channel, the same one in every thread. Here a workgroup of 256 threads has 1024 elements,
// and each thread draws four words for all: at most 1024 are needed. Neighbouring threads still read
// and write neighbouring elements.
var<workgroup> factors: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn dropout_by_four(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    if number > (params.len - 1u) / 1024u {
        return;
    }
    let first = number * 1024u;
    let last = min(first + 1023u, params.len - 1u);
    // With a group of 1 the first word is the first of a block, and 256 blocks are 1024 words; with
    // larger ones there are at most 513 words.
    let block = first / params.group / 4u;
    if block + thread <= last / params.group / 4u {
        let words = random(block + thread);
        factors[thread] = vec4(factor(words.x), factor(words.y), factor(words.z), factor(words.w));
    }
    workgroupBarrier();
    for (var i = first + thread; i <= last; i += 256u) {
        let j = i / params.group - 4u * block;
        y[i] = x[i] * factors[j / 4u][j % 4u];
    }
}
