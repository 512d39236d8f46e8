// Rows picked by number, and the way back; see index_select.rs.

struct IndexSelectCall {
    u32 outer;
    u32 dim;
    u32 inner;
    u32 count;
    u32 missing; // the bits that stand where an index is wrong
    u32 first;   // backward: the indices first .. end are gone through, those before have been
    u32 end;
};

// Notes index k if it is wrong. Each is looked at by the thread of its number.
__device__ void check(const IndexSelectCall& p, const u32* index, u32* faults, u32 k) {
    if (k < p.count) {
        if (index[k] >= p.dim) {
            atomicMin(&faults[2], k);
        }
    }
}

// x: [outer, dim, inner], index: [count], y: [outer, count, inner]
extern "C" __global__ __launch_bounds__(256)
void index_select(IndexSelectCall p, const u32* x, const u32* index, u32* y, u32* faults) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    check(p, index, faults, n);
    if (n >= p.outer * p.count * p.inner) {
        return;
    }
    u32 i = n % p.inner;
    u32 k = n / p.inner % p.count;
    u32 o = n / p.inner / p.count;
    if (index[k] < p.dim) {
        y[n] = x[(o * p.dim + index[k]) * p.inner + i];
    } else {
        y[n] = p.missing;
    }
}

// dy: [outer, count, inner], index: [count], dx: [outer, dim, inner], with what the indices before
// p.first have given
extern "C" __global__ __launch_bounds__(256)
void index_select_backward(IndexSelectCall p, const float* dy, const u32* index, float* dx, u32* faults) {
    u32 n = blockIdx.x * 256 + threadIdx.x;
    check(p, index, faults, n);
    if (n >= p.outer * p.dim * p.inner) {
        return;
    }
    u32 i = n % p.inner;
    u32 d = n / p.inner % p.dim;
    u32 o = n / p.inner / p.dim;
    float sum = 0.0f;
    if (p.first > 0) {
        sum = dx[n];
    }
    // Sums of sums: a row that was picked a million times, added one by one, would lose digits.
    for (u32 first = p.first; first < p.end; first += 1024) {
        float part = 0.0f;
        for (u32 k = first; k < min(first + 1024, p.end); k++) {
            if (index[k] == d) {
                part += dy[(o * p.count + k) * p.inner + i];
            }
        }
        sum += part;
    }
    dx[n] = sum;
}
