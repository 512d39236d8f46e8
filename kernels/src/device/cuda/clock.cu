// What a CUDA graph ends with.

struct Advance {
    u32 count[2]; // lower half first
};

// clock += count, of 64 bits: the next launch of the graph draws the random numbers that follow
extern "C" __global__ __launch_bounds__(1)
void advance(Advance p, u32* words) {
    u32 low = words[0] + p.count[0];
    u32 carry = low < p.count[0] ? 1 : 0;
    words[0] = low;
    words[1] += p.count[1] + carry;
}
