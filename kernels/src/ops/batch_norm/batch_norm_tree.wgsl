
// The fast rung: sums over channels by threads that share them. Put behind batch_norm.wgsl.
//
// A thread per channel leaves a GPU idle, for there are few channels, and each thread reads alone. Here
// the lanes of a group share a channel's values, neighbours reading neighbours, and add up in a tree.
// A channel is one part unless it is very long; then a second launch puts its parts together.

// What a thread has to do in sum_tree's order; see sum.wgsl.
struct Task {
    c: u32,
    output: u32, // of a part of a channel
    there: bool, // whether there is such a channel
    lane: u32,
    lanes: u32,
    begin: u32, // the first value of the part
    count: u32, // and how many it has
}

fn task(number: u32, thread: u32) -> Task {
    let bundles = (p.channels + p.width - 1u) / p.width;
    let part = number / bundles;
    let c = number % bundles * p.width + thread % p.width;
    let begin = part * p.chunk;
    let lanes = 256u / p.width;
    let count = min(p.chunk, values() - begin);
    return Task(c, part * p.channels + c, c < p.channels, thread / p.width, lanes, begin, count);
}

fn walk_channel(task: Task) -> Walk {
    let row = p.channels * p.inner;
    return walk(task.c * p.inner, task.begin + task.lane, task.lanes, p.inner, row);
}

@compute @workgroup_size(256)
fn batch_norm_statistics_tree(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    if number >= (p.channels + p.width - 1u) / p.width * p.parts {
        return;
    }
    let task = task(number, thread);
    let count = select(0u, task.count, task.there);
    let lanes = task.lanes;

    var sum = 0.0;
    var places = walk_channel(task);
    var t = task.lane;
    for (; t + 3u * lanes < count; t += 4u * lanes) {
        let two = x[next(&places)] + x[next(&places)];
        sum += two + (x[next(&places)] + x[next(&places)]);
    }
    for (; t < count; t += lanes) {
        sum += x[next(&places)];
    }
    let m = sum_of_lanes(sum, p.width, thread) / f32(task.count);

    var squares = 0.0;
    places = walk_channel(task);
    t = task.lane;
    for (; t + 3u * lanes < count; t += 4u * lanes) {
        let a = x[next(&places)] - m;
        let b = x[next(&places)] - m;
        let c = x[next(&places)] - m;
        let d = x[next(&places)] - m;
        squares += (a * a + b * b) + (c * c + d * d);
    }
    for (; t < count; t += lanes) {
        let d = x[next(&places)] - m;
        squares += d * d;
    }
    let v = sum_of_lanes(squares, p.width, thread) / f32(task.count);

    if task.lane == 0u && task.there {
        first_out[task.output] = m;
        second_out[task.output] = v;
    }
}

@compute @workgroup_size(256)
fn batch_norm_sums_tree(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group.y * groups.x + group.x;
    if number >= (p.channels + p.width - 1u) / p.width * p.parts {
        return;
    }
    let task = task(number, thread);
    var weight_sum = 0.0;
    var bias_sum = 0.0;
    if task.there {
        let m = mean[task.c];
        var places = walk_channel(task);
        var t = task.lane;
        for (; t + task.lanes < task.count; t += 2u * task.lanes) {
            let i = next(&places);
            let j = next(&places);
            weight_sum += dy[i] * (x[i] - m) + dy[j] * (x[j] - m);
            bias_sum += dy[i] + dy[j];
        }
        for (; t < task.count; t += task.lanes) {
            let i = next(&places);
            weight_sum += dy[i] * (x[i] - m);
            bias_sum += dy[i];
        }
        weight_sum *= inv_std(task.c);
    }
    weight_sum = sum_of_lanes(weight_sum, p.width, thread);
    bias_sum = sum_of_lanes(bias_sum, p.width, thread);
    if task.lane == 0u && task.there {
        first_out[task.output] = weight_sum;
        second_out[task.output] = bias_sum;
    }
}

// The statistics of all values from those of parts with n_k values, mean m_k and variance v_k each:
// m = sum n_k m_k / M, v = sum n_k (v_k + (m_k - m)^2) / M. A group per channel.
@compute @workgroup_size(256)
fn batch_norm_merge_statistics(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let c = group.y * groups.x + group.x;
    if c >= p.channels {
        return;
    }
    var sum: Blocks;
    for (var k = thread; k < p.parts; k += 256u) {
        let n = f32(min(p.chunk, values() - k * p.chunk));
        add(&sum, n * mean[k * p.channels + c]);
    }
    let m = sum_of_lanes(total(sum), 1u, thread) / f32(values());
    var squares: Blocks;
    for (var k = thread; k < p.parts; k += 256u) {
        let n = f32(min(p.chunk, values() - k * p.chunk));
        let d = mean[k * p.channels + c] - m;
        add(&squares, n * (variance[k * p.channels + c] + d * d));
    }
    let v = sum_of_lanes(total(squares), 1u, thread) / f32(values());
    if thread == 0u {
        first_out[c] = m;
        second_out[c] = v;
    }
}

// The sums of the parts. A group per channel.
@compute @workgroup_size(256)
fn batch_norm_merge_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let c = group.y * groups.x + group.x;
    if c >= p.channels {
        return;
    }
    var weight_sum: Blocks;
    var bias_sum: Blocks;
    for (var k = thread; k < p.parts; k += 256u) {
        add(&weight_sum, dweight[k * p.channels + c]);
        add(&bias_sum, dbias[k * p.channels + c]);
    }
    let dweight_c = sum_of_lanes(total(weight_sum), 1u, thread);
    let dbias_c = sum_of_lanes(total(bias_sum), 1u, thread);
    if thread == 0u {
        first_out[c] = dweight_c;
        second_out[c] = dbias_c;
    }
}
