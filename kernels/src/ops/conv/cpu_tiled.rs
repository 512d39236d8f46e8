//! Rung 1 of convolution on the processor.
//!
//! The plain rung asks for every term where it lies and whether it lies inside. This one copies the
//! input once into a volume with its border of zeros, and then sees that in such a volume the
//! input of kernel tap `k` is the SAME volume, shifted by a fixed distance. So the whole map of one
//! tap is one long contiguous run, no term needs a question, and a convolution is a matrix product
//! (weights by shifted volumes) for matmul's register tile. The price: results between the end of
//! one row and the start of the next are computed too and thrown away (2 of 34 for a 32-wide image
//! with padding 1); with a stride above 1, all places between the outputs as well.
//!
//! All three passes use it: the gradient of the input is a convolution of `dy`, spread out by the
//! stride, with the kernel turned around; the gradient of the weight is a dot product of `dy` with
//! each shifted volume. Zeros are multiplied like any number, so an infinite input or weight can
//! make NaN where the plain rung, which skips the border, has none.

use rayon::prelude::*;

use super::{Conv, volume};
use crate::Float;
use crate::ops::matmul::dots::Dots;
use crate::ops::matmul::tile::Tile;

/// A volume with room for the border: what a flat position in it means.
#[derive(Clone, Copy)]
struct Grid([usize; 3]);

impl Grid {
    fn len(self) -> usize {
        self.0.iter().product()
    }

    fn plane(self) -> usize {
        self.0[1] * self.0[2]
    }

    /// The flat position of `[d, h, w]`.
    fn at(self, [d, h, w]: [usize; 3]) -> usize {
        d * self.plane() + h * self.0[2] + w
    }

    /// Copies channels of `sizes` into zeroed volumes of this grid, `pitch` apart: element `i` of a
    /// dimension goes to `origin + i * step`, and what falls outside is left out.
    // from: [channels, sizes]   to: [channels, pitch]
    fn lay<T: Float>(
        self,
        from: &[T],
        sizes: [u32; 3],
        origin: [i64; 3],
        step: [u32; 3],
        pitch: usize,
        to: &mut [T],
    ) {
        to.fill(T::zero());
        let [depth, height, width] = sizes.map(|size| size as usize);
        if from.is_empty() {
            return;
        }
        let place = |dim: usize, i: usize| {
            let at = origin[dim] + i as i64 * i64::from(step[dim]);
            usize::try_from(at).ok().filter(|&at| at < self.0[dim])
        };
        for (row, from) in from.chunks_exact(width).enumerate() {
            let (c, d, h) = (row / (depth * height), row / height % depth, row % height);
            let (Some(d), Some(h)) = (place(0, d), place(1, h)) else { continue };
            let to = &mut to[c * pitch + self.at([d, h, 0])..][..self.0[2]];
            match (step[2], usize::try_from(origin[2])) {
                (1, Ok(first)) if first + width <= to.len() => to[first..first + width].copy_from_slice(from),
                _ => (0..width).filter_map(|i| Some((i, place(2, i)?))).for_each(|(i, w)| to[w] = from[i]),
            }
        }
    }

    /// How far each kernel tap of each channel shifts the volumes, `pitch` apart, in the order of the
    /// weights.
    fn shifts(self, channels: usize, pitch: usize, p: &Conv) -> Vec<usize> {
        let [kd, kh, kw] = p.kernel.map(|size| size as usize);
        let [dd, dh, dw] = p.dilation.map(|size| size as usize);
        let mut shifts = Vec::with_capacity(channels * kd * kh * kw);
        for c in 0..channels {
            for tap in 0..kd * kh * kw {
                let [d, h, w] = [tap / (kh * kw), tap / kw % kh, tap % kw];
                shifts.push(c * pitch + self.at([d * dd, h * dh, w * dw]));
            }
        }
        shifts
    }
}

impl Conv {
    /// The input with its padding.
    fn padded(&self) -> Grid {
        Grid([0, 1, 2].map(|i| (self.input[i] + 2 * self.padding[i]) as usize))
    }

    /// How far the kernel reaches beyond its first tap.
    fn reach(&self) -> [i64; 3] {
        [0, 1, 2].map(|i| i64::from((self.kernel[i] - 1) * self.dilation[i]))
    }
}

/// A packed factor for the register tile: panels of `tile.rows()` rows, term by term.
fn pack<T: Float>(tile: &Tile<T>, rows: usize, terms: usize, at: impl Fn(usize, usize) -> T) -> Vec<T> {
    let mut panels = Vec::with_capacity(rows.next_multiple_of(tile.rows()) * terms);
    for first in (0..rows).step_by(tile.rows()) {
        for term in 0..terms {
            let row = |i: usize| if first + i < rows { at(first + i, term) } else { T::zero() };
            panels.extend((0..tile.rows()).map(row));
        }
    }
    panels
}

/// `maps[r, p] = start[r] + sum_t weights[r, t] * volume[shifts[t] + position of p]`, for every row
/// of the weights and every place `p` of `sizes`, `stride` apart on the grid. One output plane at a
/// time, so that the sums (`scratch`) stay in the cache.
#[allow(clippy::too_many_arguments)]
fn correlate<T: Float>(
    tile: &Tile<T>,
    grid: Grid,
    volume: &[T],
    shifts: &[usize],
    panels: &[T],
    start: impl Fn(usize) -> T,
    sizes: [u32; 3],
    stride: [u32; 3],
    scratch: &mut Vec<T>,
    maps: &mut [T],
) {
    let [depth, height, width] = sizes.map(|size| size as usize);
    let [sd, sh, sw] = stride.map(|size| size as usize);
    let map = depth * height * width;
    let rows = maps.len() / map;
    // Positions from the first to the last output of a plane, in whole tiles.
    let run = (grid.at([0, (height - 1) * sh, (width - 1) * sw]) + 1).next_multiple_of(tile.cols());
    scratch.resize(rows * run, T::zero());
    for d in 0..depth {
        for (row, sums) in scratch.chunks_exact_mut(run).enumerate() {
            sums.fill(start(row));
        }
        let first = grid.at([d * sd, 0, 0]);
        for q in (0..run).step_by(tile.cols()) {
            for (i, panel) in panels.chunks_exact(tile.rows() * shifts.len()).enumerate() {
                let row = i * tile.rows();
                let height = tile.rows().min(rows - row);
                tile.add(
                    panel,
                    &volume[first + q..],
                    shifts,
                    &mut scratch[row * run + q..],
                    run,
                    height,
                    tile.cols(),
                );
            }
        }
        for row in 0..rows {
            for h in 0..height {
                let sums = &scratch[row * run + h * sh * grid.0[2]..];
                let out = &mut maps[row * map + (d * height + h) * width..][..width];
                match sw {
                    1 => out.copy_from_slice(&sums[..width]),
                    _ => out.iter_mut().zip(sums.iter().step_by(sw)).for_each(|(out, &sum)| *out = sum),
                }
            }
        }
    }
}

/// Runs `body(index, chunk, volume, scratch)` for every chunk on all threads, with two vectors that
/// a thread reuses from chunk to chunk.
fn for_each_chunk<T: Float>(
    all: &mut [T],
    size: usize,
    body: impl Fn(usize, &mut [T], &mut Vec<T>, &mut Vec<T>) + Send + Sync,
) {
    if size > 0 {
        all.par_chunks_mut(size).enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(volume, scratch), (i, chunk)| body(i, chunk, volume, scratch),
        );
    }
}

// x: [N, C, D, H, W]   w: [O, C / groups, KD, KH, KW]   bias: [O]   y: [N, O, OD, OH, OW]
pub fn forward<T: Float>(p: &Conv, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let tile = Tile::best();
    let (channels, outputs) = p.group_channels();
    let (grid, groups) = (p.padded(), p.groups as usize);
    let shifts = grid.shifts(channels, grid.len(), p);
    let terms = shifts.len();
    let weights: Vec<_> =
        (0..groups).map(|g| pack(&tile, outputs, terms, |o, t| w[(g * outputs + o) * terms + t])).collect();
    let image = channels * volume(p.input);
    for_each_chunk(y, outputs * volume(p.output), |i, y, padded, scratch| {
        let first = i % groups * outputs;
        let start = |o: usize| bias.map_or(T::zero(), |bias| bias[first + o]);
        padded.resize(channels * grid.len() + tile.cols(), T::zero());
        grid.lay(&x[i * image..][..image], p.input, p.padding.map(i64::from), [1; 3], grid.len(), padded);
        let panels = &weights[i % groups];
        correlate(&tile, grid, padded, &shifts, panels, start, p.output, p.stride, scratch, y);
    });
}

// dy: [N, O, OD, OH, OW]   w: [O, C / groups, KD, KH, KW]   dx: [N, C, D, H, W]
pub fn backward_input<T: Float>(p: &Conv, dy: &[T], w: &[T], dx: &mut [T]) {
    let tile = Tile::best();
    let (channels, outputs) = p.group_channels();
    let (groups, taps, reach) = (p.groups as usize, volume(p.kernel), p.reach());
    let grid = Grid([0, 1, 2].map(|i| p.input[i] as usize + reach[i] as usize));
    let origin = [0, 1, 2].map(|i| reach[i] - i64::from(p.padding[i]));
    let shifts = grid.shifts(outputs, grid.len(), p);
    // The kernel turned around: tap `t` of the turned kernel is tap `taps - 1 - t` of the kernel.
    let turned = |g: usize| {
        pack(&tile, channels, outputs * taps, |c, t| {
            let (o, tap) = (g * outputs + t / taps, taps - 1 - t % taps);
            w[(o * channels + c) * taps + tap]
        })
    };
    let weights: Vec<_> = (0..groups).map(turned).collect();
    let map = outputs * volume(p.output);
    for_each_chunk(dx, channels * volume(p.input), |i, dx, spread, scratch| {
        spread.resize(outputs * grid.len() + tile.cols(), T::zero());
        grid.lay(&dy[i * map..][..map], p.output, origin, p.stride, grid.len(), spread);
        let panels = &weights[i % groups];
        correlate(&tile, grid, spread, &shifts, panels, |_| T::zero(), p.input, [1; 3], scratch, dx);
    });
}

/// Samples are cut into at most this many runs, each summed by one thread: a number that does not
/// depend on the number of threads, so neither does the sum.
const RUNS: usize = 16;
/// Fewer runs when the weight is so large that their sums together would exceed this.
const MOST_SUMS: usize = 1 << 24;
/// Positions of one dot product, few enough that the rows stay in the first-level cache.
const BLOCK: usize = 1024;

// dy: [N, O, OD, OH, OW]   x: [N, C, D, H, W]   dw: [O, C / groups, KD, KH, KW]
pub fn backward_weight<T: Float>(p: &Conv, dy: &[T], x: &[T], dw: &mut [T]) {
    dw.fill(T::zero());
    let (batch, groups) = (p.batch as usize, p.groups as usize);
    if dw.is_empty() || batch == 0 {
        return;
    }
    let runs = (MOST_SUMS / dw.len()).clamp(1, RUNS).min(batch);
    let per_run = batch.div_ceil(runs);
    let (image, map) = (x.len() / (batch * groups), dy.len() / (batch * groups));
    let size = dw.len() / groups;
    let mut sums = vec![T::zero(); dw.len() * batch.div_ceil(per_run)];
    for_each_chunk(&mut sums, size, |i, sums, padded, spread| {
        let (run, g) = (i / groups, i % groups);
        for n in run * per_run..batch.min((run + 1) * per_run) {
            let at = n * groups + g;
            add_sample(p, &dy[at * map..][..map], &x[at * image..][..image], padded, spread, sums);
        }
    });
    for sums in sums.chunks_exact(dw.len()) {
        dw.iter_mut().zip(sums).for_each(|(dw, &sum)| *dw += sum);
    }
}

/// Adds what one sample's group contributes. dy: [O / groups, map], x: [C / groups, image],
/// dw: [O / groups, C / groups * taps]
fn add_sample<T: Float>(p: &Conv, dy: &[T], x: &[T], padded: &mut Vec<T>, spread: &mut Vec<T>, dw: &mut [T]) {
    let tile = Dots::best();
    let (channels, outputs) = p.group_channels();
    let grid = p.padded();
    // Each channel ends in zeros, so that whole registers never reach into the next one.
    let pitch = grid.len() + tile.lanes;
    let shifts = grid.shifts(channels, pitch, p);
    padded.resize(channels * pitch, T::zero());
    grid.lay(x, p.input, p.padding.map(i64::from), [1; 3], pitch, padded);
    // dy on the input's grid, with zeros between: then both factors of a dot product are runs.
    spread.resize(outputs * pitch, T::zero());
    grid.lay(dy, p.output, [0; 3], p.stride, pitch, spread);
    let last = [0, 1, 2].map(|i| ((p.output[i] - 1) * p.stride[i]) as usize);
    let run = grid.at(last) + 1;
    for q in (0..run).step_by(BLOCK) {
        let len = BLOCK.min(run - q).next_multiple_of(tile.lanes);
        for o in (0..outputs).step_by(tile.rows) {
            // At the edges a tile repeats its last row and that result is not used.
            let a: [&[T]; 4] = std::array::from_fn(|i| &spread[(o + i).min(outputs - 1) * pitch + q..]);
            for t in (0..shifts.len()).step_by(tile.terms) {
                let b: [&[T]; 4] =
                    std::array::from_fn(|j| &padded[shifts[(t + j).min(shifts.len() - 1)] + q..]);
                let sums = tile.sums(&a[..tile.rows], &b[..tile.terms], len);
                for i in 0..tile.rows.min(outputs - o) {
                    for j in 0..tile.terms.min(shifts.len() - t) {
                        dw[(o + i) * shifts.len() + t + j] += sums[i * tile.terms + j];
                    }
                }
            }
        }
    }
}
