// Philox 4x32-10, the same random words as in philox.rs. Put in front of the kernels that draw.

// The upper half of the 64-bit product, put together from products of 16-bit halves; a * b is the
// lower one.
fn mul_hi(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    // (2^16 - 1)^2 + 2^16 - 1 is below 2^32: neither sum overflows.
    let middle = a1 * b0 + ((a0 * b0) >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (other >> 16u);
}

// Four random words for one position: position is where, key is the seed.
fn philox4x32_10(position: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var counter = position;
    var key = seed;
    for (var round = 0; round < 10; round++) {
        let hi0 = mul_hi(0xD2511F53u, counter.x);
        let lo0 = 0xD2511F53u * counter.x;
        let hi1 = mul_hi(0xCD9E8D57u, counter.z);
        let lo1 = 0xCD9E8D57u * counter.z;
        counter = vec4(hi1 ^ counter.y ^ key.x, lo1, hi0 ^ counter.w ^ key.y, lo0);
        key += vec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// A random word as a number in [0, 1): its upper 24 bits, which f32 holds exactly.
fn uniform(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}
