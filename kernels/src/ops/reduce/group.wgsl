// What the kernels share that add up many terms. Put in front of them.
//
// Where a whole group works on sums, its 256 threads are seen as [lanes, width]: `width` neighbouring
// outputs, a power of two, and for each of them 256 / width lanes that share its terms.

// A sum of many terms by one thread: blocks of 256 terms first, then the blocks, because a small term
// loses its digits beside a large sum.
struct Blocks {
    whole: f32,
    block: f32,
    terms: u32,
}

fn add(sum: ptr<function, Blocks>, term: f32) {
    (*sum).block += term;
    (*sum).terms += 1u;
    if (*sum).terms % 256u == 0u {
        (*sum).whole += (*sum).block;
        (*sum).block = 0.0;
    }
}

fn total(sum: Blocks) -> f32 {
    return sum.whole + sum.block;
}

var<workgroup> lanes_hold: array<f32, 256>;

// The sum of what the lanes of an output hold, the same for all of them: a tree, the upper half of the
// threads added to the lower one until `width` are left.
fn sum_of_lanes(mine: f32, width: u32, thread: u32) -> f32 {
    workgroupBarrier(); // until all have read what was here before
    lanes_hold[thread] = mine;
    for (var half = 128u; half >= width; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            lanes_hold[thread] += lanes_hold[thread + half];
        }
    }
    workgroupBarrier();
    return lanes_hold[thread % width];
}

// The largest of what the lanes of an output hold.
fn max_of_lanes(mine: f32, width: u32, thread: u32) -> f32 {
    workgroupBarrier();
    lanes_hold[thread] = mine;
    for (var half = 128u; half >= width; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            lanes_hold[thread] = max(lanes_hold[thread], lanes_hold[thread + half]);
        }
    }
    workgroupBarrier();
    return lanes_hold[thread % width];
}

// Where the terms of a lane stand, one after the other: term t of an output is element t % tail of row
// t / tail, and rows begin `row` elements apart. Keeps count, because a division costs more than a sum.
struct Walk {
    at: u32,
    in_row: u32,
    step: u32,
    step_in_row: u32,
    tail: u32,
    gap: u32, // from the end of a row to the next
}

// From term t on, every `lanes`-th one; term 0 stands at `first`.
fn walk(first: u32, t: u32, lanes: u32, tail: u32, row: u32) -> Walk {
    let at = first + t / tail * row + t % tail;
    return Walk(at, t % tail, lanes / tail * row + lanes % tail, lanes % tail, tail, row - tail);
}

// The place of the next term.
fn next(walk: ptr<function, Walk>) -> u32 {
    let at = (*walk).at;
    (*walk).at += (*walk).step;
    (*walk).in_row += (*walk).step_in_row;
    if (*walk).in_row >= (*walk).tail {
        (*walk).in_row -= (*walk).tail;
        (*walk).at += (*walk).gap;
    }
    return at;
}
