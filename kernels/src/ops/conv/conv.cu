// Convolution: the three formulas of mod.rs, one element of the result per thread. Places of the input
// (i), the output (o) and the kernel (k) are three numbers each: depth, height, width.
//
// x, dx: [N, C, D, H, W]; y, dy: [N, O, OD, OH, OW]; w: [O, C / groups, KD, KH, KW]; bias: [O];
// dw as conv_backward_weight writes it, and parts: [parts, O, C / groups, KD, KH, KW]

struct ConvParts {
    u32 n;     // elements of dw
    u32 parts; // sums to add up for each
};

// y[n, o, p] = bias[o] + sum_{c, k} w[o, c, k] * x[n, c, p * stride - padding + k * dilation]
extern "C" __global__ __launch_bounds__(256)
void conv_forward(ConvCall p, const float* x, const float* w, const float* bias, float* y) {
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    const u32 map = volume(p.output);
    if (e >= p.batch * p.out_channels * map) {
        return;
    }
    const u32 n = e / map / p.out_channels;
    const u32 o = e / map % p.out_channels;
    const int3 place = place_in(p.output, e % map);
    const u32 channels = p.in_channels / p.groups;
    const u32 first = n * p.in_channels + o / (p.out_channels / p.groups) * channels;
    const u32 taps = volume(p.kernel);
    const u32 image = volume(p.input);
    float sum = 0;
    for (u32 c = 0; c < channels; c++) {
        // A sum per channel first: beside the sum of thousands a single term would lose its digits.
        float block = 0;
        for (u32 k = 0; k < taps; k++) {
            const u32 i = seen(p, place, place_in(p.kernel, k));
            if (i != NOWHERE) {
                block += w[(o * channels + c) * taps + k] * x[(first + c) * image + i];
            }
        }
        sum += block;
    }
    if (p.has_bias == 1) {
        sum += bias[o];
    }
    y[e] = sum;
}

// dx[n, c, i] = sum_{o, k} w[o, c, k] * dy[n, o, (i + padding - k * dilation) / stride]
extern "C" __global__ __launch_bounds__(256)
void conv_backward_input(ConvCall p, const float* dy, const float* w, float* dx) {
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    const u32 image = volume(p.input);
    if (e >= p.batch * p.in_channels * image) {
        return;
    }
    const u32 n = e / image / p.in_channels;
    const u32 c = e / image % p.in_channels;
    const int3 place = place_in(p.input, e % image);
    const u32 channels = p.in_channels / p.groups;
    const u32 outputs = p.out_channels / p.groups;
    const u32 first = c / channels * outputs;
    const u32 taps = volume(p.kernel);
    const u32 map = volume(p.output);
    float sum = 0;
    for (u32 o = first; o < first + outputs; o++) {
        float block = 0;
        for (u32 k = 0; k < taps; k++) {
            const u32 i = seen_by(p, place, place_in(p.kernel, k));
            if (i != NOWHERE) {
                block += w[(o * channels + c % channels) * taps + k] * dy[(n * p.out_channels + o) * map + i];
            }
        }
        sum += block;
    }
    dx[e] = sum;
}

// dw[o, c, k] = sum_{n, p} dy[n, o, p] * x[n, c, p * stride - padding + k * dilation]
//
// These are up to millions of terms for a few elements. So a thread adds up a part of them, 256 at a
// time, and a second launch the parts.
extern "C" __global__ __launch_bounds__(256)
void conv_backward_weight(ConvCall p, const float* x, const float* dy, float* dw) {
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    const u32 channels = p.in_channels / p.groups;
    const u32 taps = volume(p.kernel);
    if (e >= p.parts * p.out_channels * channels * taps) {
        return;
    }
    const u32 part = e / taps / channels / p.out_channels;
    const u32 o = e / taps / channels % p.out_channels;
    const u32 c = o / (p.out_channels / p.groups) * channels + e / taps % channels;
    const int3 k = place_in(p.kernel, e % taps);
    const u32 image = volume(p.input);
    const u32 map = volume(p.output);
    const u32 end = min((part + 1) * p.chunk, p.batch * map);
    float sum = 0;
    for (u32 first = part * p.chunk; first < end; first += 256) {
        float block = 0;
        for (u32 t = first; t < min(first + 256, end); t++) {
            const u32 n = t / map;
            const u32 i = seen(p, place_in(p.output, t % map), k);
            if (i != NOWHERE) {
                block += dy[(n * p.out_channels + o) * map + t % map] * x[(n * p.in_channels + c) * image + i];
            }
        }
        sum += block;
    }
    dw[e] = sum;
}

// dw = sum of its parts, in their order
extern "C" __global__ __launch_bounds__(256)
void conv_add_parts(ConvParts p, const float* parts, float* dw) {
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    if (e >= p.n) {
        return;
    }
    float sum = 0;
    for (u32 part = 0; part < p.parts; part++) {
        sum += parts[part * p.n + e];
    }
    dw[e] = sum;
}
