// Exponentials with a known error, the same formulas as in math.rs: what a shader's own exp, log and
// tanh give differs from driver to driver by far more than the last place. Put in front of the
// kernels that need them.

// Splits x = n ln 2 + r with a whole n and |r| <= ln 2 / 2. For |x| below 200.
struct Reduced {
    n: i32,
    r: f32,
}

fn reduce(x: f32) -> Reduced {
    let whole = round(x * 1.442695041);
    // ln 2 in two parts (Cody and Waite): n times the first is exact.
    return Reduced(i32(whole), (x - whole * 0.693359375) - whole * -2.12194440e-4);
}

// e^r - 1 - r for |r| <= ln 2 / 2: the Taylor series up to r^7.
fn exp_tail(r: f32) -> f32 {
    var series = 1.0 / 5040.0;
    series = series * r + 1.0 / 720.0;
    series = series * r + 1.0 / 120.0;
    series = series * r + 1.0 / 24.0;
    series = series * r + 1.0 / 6.0;
    series = series * r + 0.5;
    return series * (r * r);
}

// 2^n for n in -126..=127, put together from its bits.
fn power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

fn is_nan(x: f32) -> bool {
    // A compiler may take x != x for false.
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// x within [low, high]; NaN stays NaN.
fn limit(x: f32, low: f32, high: f32) -> f32 {
    return select(clamp(x, low, high), x, is_nan(x));
}

// e^x within 2 units in the last place; 0 and infinity at the ends, NaN for NaN.
fn exp_(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    let s = reduce(clamp(x, -104.0, 89.0));
    // 2^n in two factors: n goes from -150, below the smallest exponent, to 128, above the largest.
    let half = s.n >> 1u;
    return (exp_tail(s.r) + s.r + 1.0) * power_of_two(half) * power_of_two(s.n - half);
}

// e^x - 1 within 3 units in the last place: 2^n (e^r - 1) + (2^n - 1).
fn exp_m1_(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    let s = reduce(clamp(x, -20.0, 89.0));
    let half = s.n >> 1u;
    let rest = power_of_two(half) - power_of_two(half - s.n);
    return ((exp_tail(s.r) + s.r) * power_of_two(half) + rest) * power_of_two(s.n - half);
}

// tanh x within 3 units in the last place: with t = e^(2|x|) - 1, tanh |x| = t / (t + 2).
fn tanh_(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    // From 9.02 on the nearest f32 is 1.
    let s = reduce(2.0 * clamp(abs(x), 0.0, 10.0));
    let power = power_of_two(s.n);
    let t = (exp_tail(s.r) + s.r) * power + (power - 1.0);
    return bitcast<f32>(bitcast<u32>(t / (t + 2.0)) | (bitcast<u32>(x) & 0x80000000u));
}

// 1 / (1 + e^-x) = e^x / (1 + e^x): e^-|x| never overflows and serves both.
fn sigmoid_(x: f32) -> f32 {
    let small = exp_(-abs(x));
    return select(1.0, small, x < 0.0) / (1.0 + small);
}

// log x within 3 units in the last place; -infinity for 0, NaN below 0.
//
// x = 2^n m with m in [sqrt(1/2), sqrt 2), and log m = 2 artanh s with s = (m - 1) / (m + 1), at most
// 0.1716: the first term left out of the series is below 2e-9 s.
fn log_(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if bits == 0u || bits == 0x80000000u {
        return -1.0 / abs(x);
    }
    if is_nan(x) || x < 0.0 || bits == 0x7f800000u {
        return select(x, bitcast<f32>(bits | 0xffc00000u), x < 0.0);
    }
    // A subnormal number is made normal first.
    let tiny = bits < 0x00800000u;
    let scaled = bitcast<u32>(select(x, x * 8388608.0, tiny));
    // How far the bits are above those of sqrt(1/2).
    let above = i32(scaled) - 0x3f3504f3;
    let n = (above >> 23u) - select(0, 23, tiny);
    let m = bitcast<f32>((above & 0x7fffff) + 0x3f3504f3);
    return f32(n) * 0.693359375 + (log_near_one(m - 1.0) + f32(n) * -2.12194440e-4);
}

// log(1 + f) for f in [sqrt(1/2) - 1, 1] within 3 units in the last place, small f not lost.
fn log_near_one(f: f32) -> f32 {
    let s = f / (2.0 + f);
    let square = s * s;
    var series = 1.0 / 15.0;
    series = series * square + 1.0 / 13.0;
    series = series * square + 1.0 / 11.0;
    series = series * square + 1.0 / 9.0;
    series = series * square + 1.0 / 7.0;
    series = series * square + 1.0 / 5.0;
    series = series * square + 1.0 / 3.0;
    return 2.0 * (s + s * square * series);
}

// x^a: for negative x only a whole a gives a number. e^(a log x) is off by about |a log x| units in the
// last place: 1e-6 of results up to 1e7, 1e-5 near the ends of what an f32 holds.
fn pow_(x: f32, a: f32) -> f32 {
    if a == 0.0 {
        return 1.0;
    }
    let size = abs(x);
    let whole = floor(a) == a;
    let odd = whole && abs(a) < 16777216.0 && (i32(a) & 1) == 1;
    let power = pow_of_positive(size, a);
    if x < 0.0 {
        // WGSL has no constant NaN: one is made of bits that are known at run time only.
        return select(select(bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u), power, whole), -power, odd);
    }
    return select(power, x, is_nan(x));
}

fn pow_of_positive(x: f32, a: f32) -> f32 {
    if x == 1.0 {
        return 1.0;
    }
    // Small whole powers are products, as exact as products are.
    if floor(a) == a && abs(a) <= 4.0 {
        var product = x;
        for (var i = 1; i < i32(abs(a)); i++) {
            product *= x;
        }
        return select(product, 1.0 / product, a < 0.0);
    }
    return exp_(a * log_(x));
}

// The standard normal distribution P and its density, both within 3e-7; see math.rs.
struct Normal {
    p: f32,
    density: f32,
}

fn normal_(x: f32) -> Normal {
    let t = 1.0 / (1.0 + 0.25 * abs(x));
    var q = 0.020814888;
    q = q * t - 0.08538923;
    q = q * t + 0.10379886;
    q = q * t - 0.039746863;
    q = q * t + 0.06827399;
    q = q * t + 0.05744626;
    q = q * t + 0.08188963;
    q = q * t + 0.09343951;
    q = q * t + 0.0997374;
    q = q * t + 0.09973556;
    let bell = exp_(-0.5 * x * x);
    let tail = bell * t * q;
    return Normal(select(1.0 - tail, tail, x < 0.0), bell * 0.398942280);
}
