// The sizes of a convolution and its places; put in front of its kernels.

struct ConvCall {
    batch: u32,
    in_channels: u32,
    out_channels: u32,
    groups: u32,
    input: array<u32, 3>,
    kernel: array<u32, 3>,
    output: array<u32, 3>,
    stride: array<u32, 3>,
    padding: array<u32, 3>,
    dilation: array<u32, 3>,
    has_bias: u32,
    // Into how many parts the terms of dw are cut, and the terms of a part.
    parts: u32,
    chunk: u32,
}

const NOWHERE = 0xffffffffu;

// Places in a block of these sizes.
fn volume(sizes: array<u32, 3>) -> u32 {
    return sizes[0] * sizes[1] * sizes[2];
}

// Place number i of a block: depth, height, width.
fn place_in(sizes: array<u32, 3>, i: u32) -> vec3<i32> {
    return vec3<i32>(vec3<u32>(i / sizes[2] / sizes[1], i / sizes[2] % sizes[1], i % sizes[2]));
}

fn vector(sizes: array<u32, 3>) -> vec3<i32> {
    return vec3<i32>(vec3<u32>(sizes[0], sizes[1], sizes[2]));
}

// Where a place stands in a block, or NOWHERE when it lies outside.
fn index_of(place: vec3<i32>, sizes: array<u32, 3>) -> u32 {
    if any(place < vec3<i32>()) || any(place >= vector(sizes)) {
        return NOWHERE;
    }
    return (u32(place.x) * sizes[1] + u32(place.y)) * sizes[2] + u32(place.z);
}

// The place of the input that an output sees through kernel place k.
fn seen(output: vec3<i32>, k: vec3<i32>) -> u32 {
    return index_of(output * vector(p.stride) - vector(p.padding) + k * vector(p.dilation), p.input);
}

// The place of the output that sees an input through kernel place k.
fn seen_by(input: vec3<i32>, k: vec3<i32>) -> u32 {
    let scaled = input + vector(p.padding) - k * vector(p.dilation);
    let stride = vector(p.stride);
    if any(scaled % stride != vec3<i32>()) {
        return NOWHERE;
    }
    return index_of(scaled / stride, p.output);
}
