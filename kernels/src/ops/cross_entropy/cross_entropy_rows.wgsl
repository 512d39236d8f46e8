
// The fast rung; put behind cross_entropy.wgsl.
//
// A thread per row reads a row three times over, far from what its neighbours read, and the sum of the
// losses is a launch of its own. Here the lanes of a group share each of its rows, and the group takes
// one bundle of rows after the other and adds up their losses as it goes. A batch of usual size is one
// part, whose sum is the result.

// norm_of by all lanes of a row. A row that is not there is its neighbour, computed once more.
fn norm_of_lanes(first: u32, lane: u32, thread: u32) -> Norm {
    if p.log_probabilities == 1u {
        return Norm(0.0, 0.0);
    }
    let lanes = 256u / p.width;
    var largest = x[first];
    for (var c = lane; c < p.classes; c += lanes) {
        largest = max(largest, x[first + c * p.inner]);
    }
    let m = max_of_lanes(largest, p.width, thread);
    var sum = 0.0;
    for (var c = lane; c < p.classes; c += lanes) {
        sum += exp_(x[first + c * p.inner] - m);
    }
    return Norm(m, log_(sum_of_lanes(sum, p.width, thread)));
}

@compute @workgroup_size(256)
fn cross_entropy_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let part = group.y * groups.x + group.x;
    if part >= p.parts {
        return;
    }
    let lane = thread / p.width;
    let lanes = 256u / p.width;
    let end = min((part + 1u) * p.chunk, p.outer * p.inner);
    var loss_part = 0.0;
    var weight_part = 0.0;
    for (var bundle = part * p.chunk; bundle < end; bundle += p.width) {
        let number = bundle + thread % p.width;
        let row = row_of(min(number, end - 1u));
        let norm = norm_of_lanes(row.first, lane, thread);
        let counts = number < end && !row.ignored;
        var mine = 0.0;
        if counts && lane == 0u {
            let w = weight_of(row.label);
            mine = -p.on_label * w * logp(row, norm, row.label) + row.bad;
            weight_part += w;
        }
        if counts && p.on_each != 0.0 {
            var spread = 0.0;
            for (var c = lane; c < p.classes; c += lanes) {
                spread += weight_of(c) * logp(row, norm, c);
            }
            mine -= p.on_each * spread;
        }
        if p.each_loss == 1u {
            let all = sum_of_lanes(mine, p.width, thread);
            if lane == 0u && number < end {
                loss[number] = all;
            }
        }
        loss_part += mine;
    }
    if p.each_loss == 0u {
        finish(loss_part, weight_part, part, thread);
    }
}

// As above: the lanes of a group share its rows.
@compute @workgroup_size(256)
fn cross_entropy_rows_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let bundle = group.y * groups.x + group.x;
    let rows = p.outer * p.inner;
    if bundle >= (rows + p.width - 1u) / p.width {
        return;
    }
    let lane = thread / p.width;
    let lanes = 256u / p.width;
    let number = bundle * p.width + thread % p.width;
    let row = row_of(min(number, rows - 1u));
    let norm = norm_of_lanes(row.first, lane, thread);
    var part = 0.0;
    for (var c = lane; c < p.classes; c += lanes) {
        part += q(row, c);
    }
    let sum_q = sum_of_lanes(part, p.width, thread);
    if number < rows {
        let g = g_of(number);
        for (var c = lane; c < p.classes; c += lanes) {
            let all = gradient(row, norm, sum_q, g, c) + row.bad;
            dx[row.first + c * p.inner] = select(all, 0.0, row.ignored);
        }
    }
}
