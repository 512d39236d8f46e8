// The sizes of a pooling, and which elements a window has. Put behind math.cu and in front of
// the pooling kernels.

struct Pool {
    u32 planes;
    u32 in_d;
    u32 in_h;
    u32 in_w;
    u32 out_d;
    u32 out_h;
    u32 out_w;
    u32 kernel_d;
    u32 kernel_h;
    u32 kernel_w;
    u32 stride_d;
    u32 stride_h;
    u32 stride_w;
    u32 pad_d;
    u32 pad_h;
    u32 pad_w;
    u32 dilation_d;
    u32 dilation_h;
    u32 dilation_w;
    u32 count_include_pad;
};

// What argmax holds for a window that lies in the margin altogether.
const u32 NOWHERE = 0xffffffff;

// The sizes of a pooling in one dimension.
struct Dim {
    u32 input;
    u32 out;
    u32 kernel;
    u32 stride;
    u32 pad;
    u32 dilation;
};

__device__ Dim depth(const Pool& p) {
    return {p.in_d, p.out_d, p.kernel_d, p.stride_d, p.pad_d, p.dilation_d};
}

__device__ Dim height(const Pool& p) {
    return {p.in_h, p.out_h, p.kernel_h, p.stride_h, p.pad_h, p.dilation_h};
}

__device__ Dim width(const Pool& p) {
    return {p.in_w, p.out_w, p.kernel_w, p.stride_w, p.pad_w, p.dilation_w};
}

// Where element k of window o stands. In the margin that is not below dim.input: what would be
// negative wraps around.
__device__ u32 element(Dim dim, u32 o, u32 k) {
    return o * dim.stride + k * dim.dilation - dim.pad;
}

// How many elements of window o are not in the margin.
__device__ u32 inside(Dim dim, u32 o) {
    const i32 start = i32(o * dim.stride) - i32(dim.pad);
    const i32 step = i32(dim.dilation);
    const i32 first = (max(-start, 0) + step - 1) / step;
    const i32 end = min(i32(dim.kernel), (i32(dim.input) - start + step - 1) / step);
    return u32(max(end - first, 0));
}

// By how much the sum over a window is divided.
__device__ float count(const Pool& p, u32 od, u32 oh, u32 ow) {
    if (p.count_include_pad == 1 || (p.pad_d | p.pad_h | p.pad_w) == 0) {
        return float(p.kernel_d * p.kernel_h * p.kernel_w);
    }
    return float(inside(depth(p), od) * inside(height(p), oh) * inside(width(p), ow));
}

// The windows that contain element i are among first_window ..= last_window, ..
__device__ u32 first_window(Dim dim, u32 i) {
    const u32 reach = (dim.kernel - 1) * dim.dilation;
    return (max(i + dim.pad, reach) - reach + dim.stride - 1) / dim.stride;
}

__device__ u32 last_window(Dim dim, u32 i) {
    return min((i + dim.pad) / dim.stride, dim.out - 1);
}

// .. and with a dilation some of these pass over it.
__device__ bool passes_over(Dim dim, u32 o, u32 i) {
    return dim.dilation > 1 && (i + dim.pad - o * dim.stride) % dim.dilation != 0;
}

// A number, and its place in a plane. NOWHERE when there is none.
struct Placed {
    float x;
    u32 at;
};

// The greater of two, a standing before b. A NaN is greatest, and of two the latter.
__device__ Placed greater(Placed a, Placed b) {
    const bool better = is_nan(b.x) || (!is_nan(a.x) && b.x > a.x);
    if (b.at != NOWHERE && (a.at == NOWHERE || better)) {
        return b;
    }
    return a;
}

// The maximum of nothing is minus infinity.
__device__ float value(Placed max) {
    return max.at == NOWHERE ? -INFINITY : max.x;
}
