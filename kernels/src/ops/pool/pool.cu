// Pooling, the plain rung: one output (forward) or one input (backward) per thread; see mod.rs. Put
// behind window.cu.

// x: [planes, in_d, in_h, in_w]   y, y_argmax: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void max_pool_forward(Pool p, const float* x, float* y, u32* y_argmax) {
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 ow = n % p.out_w;
    const u32 oh = n / p.out_w % p.out_h;
    const u32 od = n / (p.out_w * p.out_h) % p.out_d;
    const u32 plane = n / (p.out_w * p.out_h * p.out_d);
    if (plane >= p.planes) {
        return;
    }
    const u32 start = plane * p.in_d * p.in_h * p.in_w;
    Placed max = {0.0f, NOWHERE};
    for (u32 kd = 0; kd < p.kernel_d; kd++) {
        const u32 d = element(depth(p), od, kd);
        for (u32 kh = 0; kh < p.kernel_h; kh++) {
            const u32 h = element(height(p), oh, kh);
            for (u32 kw = 0; kw < p.kernel_w; kw++) {
                const u32 w = element(width(p), ow, kw);
                if (d < p.in_d && h < p.in_h && w < p.in_w) {
                    const u32 i = (d * p.in_h + h) * p.in_w + w;
                    max = greater(max, {x[start + i], i});
                }
            }
        }
    }
    y[n] = value(max);
    y_argmax[n] = max.at;
}

// argmax, dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
extern "C" __global__ __launch_bounds__(256)
void max_pool_backward(Pool p, const u32* argmax, const float* dy, float* dx) {
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 w = n % p.in_w;
    const u32 h = n / p.in_w % p.in_h;
    const u32 d = n / (p.in_w * p.in_h) % p.in_d;
    const u32 plane = n / (p.in_w * p.in_h * p.in_d);
    if (plane >= p.planes) {
        return;
    }
    const u32 i = (d * p.in_h + h) * p.in_w + w;
    float sum = 0.0f;
    for (u32 od = first_window(depth(p), d); od <= last_window(depth(p), d); od++) {
        // Sums of sums: an element can be in thousands of windows.
        float of_slice = 0.0f;
        for (u32 oh = first_window(height(p), h); oh <= last_window(height(p), h); oh++) {
            float of_row = 0.0f;
            for (u32 ow = first_window(width(p), w); ow <= last_window(width(p), w); ow++) {
                const u32 o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                if (argmax[o] == i) {
                    of_row += dy[o];
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    dx[n] = sum;
}

// x: [planes, in_d, in_h, in_w]   y: [planes, out_d, out_h, out_w]
extern "C" __global__ __launch_bounds__(256)
void avg_pool_forward(Pool p, const float* x, float* y) {
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 ow = n % p.out_w;
    const u32 oh = n / p.out_w % p.out_h;
    const u32 od = n / (p.out_w * p.out_h) % p.out_d;
    const u32 plane = n / (p.out_w * p.out_h * p.out_d);
    if (plane >= p.planes) {
        return;
    }
    float sum = 0.0f;
    for (u32 kd = 0; kd < p.kernel_d; kd++) {
        const u32 d = element(depth(p), od, kd);
        // Sums of sums: a window of a hundred thousand elements added one by one would lose digits.
        float of_slice = 0.0f;
        for (u32 kh = 0; kh < p.kernel_h; kh++) {
            const u32 h = element(height(p), oh, kh);
            float of_row = 0.0f;
            for (u32 kw = 0; kw < p.kernel_w; kw++) {
                const u32 w = element(width(p), ow, kw);
                if (d < p.in_d && h < p.in_h && w < p.in_w) {
                    of_row += x[((plane * p.in_d + d) * p.in_h + h) * p.in_w + w];
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    y[n] = sum / count(p, od, oh, ow);
}

// dy: [planes, out_d, out_h, out_w]   dx: [planes, in_d, in_h, in_w]
extern "C" __global__ __launch_bounds__(256)
void avg_pool_backward(Pool p, const float* dy, float* dx) {
    const u32 n = blockIdx.x * 256 + threadIdx.x;
    const u32 w = n % p.in_w;
    const u32 h = n / p.in_w % p.in_h;
    const u32 d = n / (p.in_w * p.in_h) % p.in_d;
    const u32 plane = n / (p.in_w * p.in_h * p.in_d);
    if (plane >= p.planes) {
        return;
    }
    float sum = 0.0f;
    for (u32 od = first_window(depth(p), d); od <= last_window(depth(p), d); od++) {
        float of_slice = 0.0f;
        for (u32 oh = first_window(height(p), h); oh <= last_window(height(p), h); oh++) {
            float of_row = 0.0f;
            for (u32 ow = first_window(width(p), w); ow <= last_window(width(p), w); ow++) {
                const u32 o = ((plane * p.out_d + od) * p.out_h + oh) * p.out_w + ow;
                if (!(passes_over(depth(p), od, d) || passes_over(height(p), oh, h) ||
                      passes_over(width(p), ow, w))) {
                    of_row += dy[o] / count(p, od, oh, ow);
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    dx[n] = sum;
}
