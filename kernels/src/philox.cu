// Philox 4x32-10, the same random words as in philox.rs. Put in front of the kernels that draw.

// Four random words for one position: position is where, key is the seed.
__device__ uint4 philox4x32_10(uint4 position, uint2 seed) {
    uint4 counter = position;
    uint2 key = seed;
    for (u32 round = 0; round < 10; round++) {
        // The upper half of the 64-bit product is an instruction of its own; a * b is the lower one.
        u32 hi0 = __umulhi(0xD2511F53u, counter.x);
        u32 lo0 = 0xD2511F53u * counter.x;
        u32 hi1 = __umulhi(0xCD9E8D57u, counter.z);
        u32 lo1 = 0xCD9E8D57u * counter.z;
        counter = make_uint4(hi1 ^ counter.y ^ key.x, lo1, hi0 ^ counter.w ^ key.y, lo0);
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}

// A random word as a number in [0, 1): its upper 24 bits, which f32 holds exactly.
__device__ float uniform(u32 word) {
    return float(word >> 8) * (1.0f / 16777216.0f);
}
