// The sizes of a convolution and its places; put in front of its kernels.

struct ConvCall {
    u32 batch;
    u32 in_channels;
    u32 out_channels;
    u32 groups;
    u32 input[3];
    u32 kernel[3];
    u32 output[3];
    u32 stride[3];
    u32 padding[3];
    u32 dilation[3];
    u32 has_bias;
    // Into how many parts the terms of dw are cut, and the terms of a part.
    u32 parts;
    u32 chunk;
};

const u32 NOWHERE = 0xffffffff;

// A place is an int3: depth, height, width. CUDA's vectors come without arithmetic.
__device__ int3 operator+(int3 a, int3 b) { return make_int3(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ int3 operator-(int3 a, int3 b) { return make_int3(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ int3 operator*(int3 a, int3 b) { return make_int3(a.x * b.x, a.y * b.y, a.z * b.z); }
__device__ int3 operator/(int3 a, int3 b) { return make_int3(a.x / b.x, a.y / b.y, a.z / b.z); }
__device__ int3 operator%(int3 a, int3 b) { return make_int3(a.x % b.x, a.y % b.y, a.z % b.z); }

// Places in a block of these sizes.
__device__ u32 volume(const u32 sizes[3]) {
    return sizes[0] * sizes[1] * sizes[2];
}

// Place number i of a block: depth, height, width.
__device__ int3 place_in(const u32 sizes[3], u32 i) {
    return make_int3(i / sizes[2] / sizes[1], i / sizes[2] % sizes[1], i % sizes[2]);
}

__device__ int3 vector(const u32 sizes[3]) {
    return make_int3(sizes[0], sizes[1], sizes[2]);
}

// Whether a place lies in a block. As a whole number without a sign, a negative one is huge.
__device__ bool within(int3 place, const u32 sizes[3]) {
    return (u32)place.x < sizes[0] && (u32)place.y < sizes[1] && (u32)place.z < sizes[2];
}

// Where a place stands in a block, or NOWHERE when it lies outside.
__device__ u32 index_of(int3 place, const u32 sizes[3]) {
    if (!within(place, sizes)) {
        return NOWHERE;
    }
    return (place.x * sizes[1] + place.y) * sizes[2] + place.z;
}

// The place of the input that an output sees through kernel place k.
__device__ u32 seen(const ConvCall& p, int3 output, int3 k) {
    return index_of(output * vector(p.stride) - vector(p.padding) + k * vector(p.dilation), p.input);
}

// The place of the output that sees an input through kernel place k.
__device__ u32 seen_by(const ConvCall& p, int3 input, int3 k) {
    const int3 scaled = input + vector(p.padding) - k * vector(p.dilation);
    const int3 stride = vector(p.stride);
    const int3 rest = scaled % stride;
    if (rest.x != 0 || rest.y != 0 || rest.z != 0) {
        return NOWHERE;
    }
    return index_of(scaled / stride, p.output);
}
