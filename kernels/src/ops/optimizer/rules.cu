// What the steps of all optimizers share, the same as in cpu.rs. Put in front of them.
//
// The steps read everything before they write anything: for all the compiler knows the buffers overlap,
// and after a write it would read again what it has.

// The gradient with weight decay; without any, a parameter that is infinite leaves it alone.
__device__ float decay(float g, float w, float weight_decay) {
    return weight_decay == 0.0f ? g : g + weight_decay * w;
}

// From a to b by weight, from whichever end is nearer, so that a weight of 1 gives b.
__device__ float lerp(float a, float b, float weight) {
    return weight < 0.5f ? a + weight * (b - a) : b - (b - a) * (1.0f - weight);
}
