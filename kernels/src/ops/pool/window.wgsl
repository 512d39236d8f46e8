// The sizes of a pooling, and which elements a window has. Put behind math.wgsl and in front of
// the pooling kernels.

struct Pool {
    planes: u32,
    in_d: u32,
    in_h: u32,
    in_w: u32,
    out_d: u32,
    out_h: u32,
    out_w: u32,
    kernel_d: u32,
    kernel_h: u32,
    kernel_w: u32,
    stride_d: u32,
    stride_h: u32,
    stride_w: u32,
    pad_d: u32,
    pad_h: u32,
    pad_w: u32,
    dilation_d: u32,
    dilation_h: u32,
    dilation_w: u32,
    count_include_pad: u32,
}

@group(0) @binding(0) var<storage, read> p: Pool;

// What argmax holds for a window that lies in the margin altogether.
const NOWHERE = 0xffffffffu;

// The sizes of a pooling in one dimension.
struct Dim {
    input: u32,
    out: u32,
    kernel: u32,
    stride: u32,
    pad: u32,
    dilation: u32,
}

fn depth() -> Dim {
    return Dim(p.in_d, p.out_d, p.kernel_d, p.stride_d, p.pad_d, p.dilation_d);
}

fn height() -> Dim {
    return Dim(p.in_h, p.out_h, p.kernel_h, p.stride_h, p.pad_h, p.dilation_h);
}

fn width() -> Dim {
    return Dim(p.in_w, p.out_w, p.kernel_w, p.stride_w, p.pad_w, p.dilation_w);
}

// Where element k of window o stands. In the margin that is not below dim.input: what would be
// negative wraps around.
fn element(dim: Dim, o: u32, k: u32) -> u32 {
    return o * dim.stride + k * dim.dilation - dim.pad;
}

// How many elements of window o are not in the margin.
fn inside(dim: Dim, o: u32) -> u32 {
    let start = i32(o * dim.stride) - i32(dim.pad);
    let step = i32(dim.dilation);
    let first = (max(-start, 0) + step - 1) / step;
    let end = min(i32(dim.kernel), (i32(dim.input) - start + step - 1) / step);
    return u32(max(end - first, 0));
}

// By how much the sum over a window is divided.
fn count(od: u32, oh: u32, ow: u32) -> f32 {
    if p.count_include_pad == 1u || (p.pad_d | p.pad_h | p.pad_w) == 0u {
        return f32(p.kernel_d * p.kernel_h * p.kernel_w);
    }
    return f32(inside(depth(), od) * inside(height(), oh) * inside(width(), ow));
}

// The windows that contain element i are among first_window ..= last_window, ..
fn first_window(dim: Dim, i: u32) -> u32 {
    let reach = (dim.kernel - 1u) * dim.dilation;
    return (max(i + dim.pad, reach) - reach + dim.stride - 1u) / dim.stride;
}

fn last_window(dim: Dim, i: u32) -> u32 {
    return min((i + dim.pad) / dim.stride, dim.out - 1u);
}

// .. and with a dilation some of these pass over it.
fn passes_over(dim: Dim, o: u32, i: u32) -> bool {
    return dim.dilation > 1u && (i + dim.pad - o * dim.stride) % dim.dilation != 0u;
}

// A number, and its place in a plane. NOWHERE when there is none.
struct Placed {
    x: f32,
    at: u32,
}

// The greater of two, a standing before b. A NaN is greatest, and of two the latter.
fn greater(a: Placed, b: Placed) -> Placed {
    let better = is_nan(b.x) || (!is_nan(a.x) && b.x > a.x);
    if b.at != NOWHERE && (a.at == NOWHERE || better) {
        return b;
    }
    return a;
}

// The maximum of nothing is minus infinity, put together from its bits.
fn value(max: Placed) -> f32 {
    return select(max.x, bitcast<f32>(max.at & 0xff800000u), max.at == NOWHERE);
}
