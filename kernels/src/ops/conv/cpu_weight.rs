//! The fast rungs of convolution on the processor: the gradient of the weight.
//!
//! Here the sums run over the places of the output, and the results are few. So the roles change: a
//! vector holds neighbouring terms of the kernel, and the tile's rows are output channels. In a
//! volume whose channels lie side by side, `[place, channel]`, the inputs that one row of the kernel
//! sees from a place are one run of numbers (three taps of 16 channels fill three vectors of 16), and
//! the next place sees the run a few channels further on. `dy` is packed in panels of the tile's rows.
//!
//! Sums over many samples are cut into runs of samples, whose number follows from the sizes alone, and
//! put together in their order: the number of threads changes no bit.

use std::ops::Range;

use rayon::prelude::*;

use super::grid::Grid;
use super::{Conv, volume};
use crate::device::scratch::Scratch;
use crate::ops::matmul::pack::interleave;
use crate::ops::matmul::tile::{Offsets, Tile};
use crate::{Float, Result, split};

/// Parts that the work is cut into: runs of samples, times slices of the input channels.
const PARTS: usize = 16;
/// Fewer runs where their sums together would exceed this.
const MOST_SUMS: usize = 1 << 18;
/// A slice has a multiple of so many channels: three taps of them fill whole vectors.
const SLICE: usize = 16;

/// How the work is cut.
struct Cut {
    runs: usize,
    samples: usize,
    slices: usize,
    channels: usize,
}

impl Cut {
    fn new(p: &Conv, channels: usize, weights: usize) -> Cut {
        let (batch, groups) = (p.batch as usize, p.groups as usize);
        let samples = batch.div_ceil((MOST_SUMS / weights).clamp(1, PARTS.min(batch)));
        let runs = batch.div_ceil(samples);
        let wanted = PARTS.div_ceil(runs * groups).min(channels.div_ceil(SLICE));
        let of_slice = if wanted > 1 { channels.div_ceil(wanted).next_multiple_of(SLICE) } else { channels };
        Cut { runs, samples, slices: channels.div_ceil(of_slice), channels: of_slice }
    }
}

// dy: [N, O, OD, OH, OW]   x: [N, C, D, H, W]   dw: [O, C / groups, KD, KH, KW]
pub fn backward_weight<T: Float>(form: usize, p: &Conv, dy: &[T], x: &[T], dw: &mut [T]) -> Result<()> {
    if dw.is_empty() || dy.is_empty() {
        dw.fill(T::zero());
        return Ok(());
    }
    let (channels, outputs) = p.group_channels();
    let (groups, taps) = (p.groups as usize, volume(p.kernel));
    let tile = Tile::new(form, outputs);
    let cut = Cut::new(p, channels, dw.len());
    // [runs, groups, slices, outputs, channels of the slice, taps]
    let part = outputs * cut.channels * taps;
    let mut parts = Scratch::<T>::take(cut.runs * groups * cut.slices * part)?;
    let panels = panels_of(tile.rows(), p, dy)?;
    parts.par_chunks_exact_mut(part).enumerate().try_for_each(|(i, sums)| {
        let (run, g, slice) = (i / (groups * cut.slices), i / cut.slices % groups, i % cut.slices);
        let first = slice * cut.channels;
        let slice = Slice { tile, p, group: g, first, channels: cut.channels.min(channels - first) };
        let samples = run * cut.samples..(p.batch as usize).min((run + 1) * cut.samples);
        slice.sum(samples, &panels, x, sums)
    })?;
    split::pieces(dw, channels * taps, channels * taps * cut.runs, |row, dw| {
        let (g, o) = (row / outputs, row % outputs);
        for (slice, dw) in dw.chunks_mut(cut.channels * taps).enumerate() {
            dw.fill(T::zero());
            for run in 0..cut.runs {
                let part = &parts[((run * groups + g) * cut.slices + slice) * part..];
                let part = &part[o * dw.len()..];
                dw.iter_mut().zip(part).for_each(|(dw, &sum)| *dw += sum);
            }
        }
    });
    Ok(())
}

/// `dy` in panels of `rows` output channels, those of a place side by side: `[N, groups, OD, panels,
/// OH * OW, rows]`, with zeros for the channels that the last panel lacks.
fn panels_of<T: Float>(rows: usize, p: &Conv, dy: &[T]) -> Result<Scratch<T>> {
    let (_, outputs) = p.group_channels();
    let (map, depth) = (volume(p.output), p.output[0] as usize);
    let (plane, panels) = (map / depth, outputs.div_ceil(rows));
    let mut all = Scratch::<T>::take(p.batch as usize * p.groups as usize * depth * panels * plane * rows)?;
    let size = panels * plane * rows;
    split::pieces(&mut all, size, size, |i, to| {
        let dy = &dy[i / depth * outputs * map + i % depth * plane..];
        for (panel, to) in to.chunks_exact_mut(plane * rows).enumerate() {
            let height = rows.min(outputs - panel * rows);
            if height < rows {
                to.fill(T::zero());
            }
            interleave(dy, |o| (panel * rows + o) * map, height, plane, to, rows);
        }
    });
    Ok(all)
}

/// Some input channels of one group.
struct Slice<'a, T: 'static> {
    tile: Tile<T>,
    p: &'a Conv,
    group: usize,
    first: usize,
    channels: usize,
}

/// What a place sees of a volume whose channels lie side by side.
struct Seen {
    /// Where each of those channels begins in volumes one after the other. With few channels the rows of
    /// the kernel are made channels too, each the volume shifted by a row: else most of a vector would
    /// be past the end of a run.
    channels: Vec<usize>,
    /// Neighbouring taps in a run.
    taps: usize,
    /// Where the runs begin, as places.
    runs: Vec<usize>,
}

impl Seen {
    fn new(p: &Conv, grid: Grid, channels: usize, lanes: usize) -> Seen {
        let volumes = (0..channels).map(|c| c * grid.len());
        let width = p.kernel[2] as usize;
        let taps = if p.dilation[2] == 1 { width } else { 1 };
        let runs: Vec<usize> = grid.taps(p).into_iter().step_by(taps).collect();
        if taps == width && 2 * taps * channels <= lanes {
            let channels = runs.iter().flat_map(|row| volumes.clone().map(move |c| c + row)).collect();
            return Seen { channels, taps, runs: vec![0] };
        }
        Seen { channels: volumes.collect(), taps, runs }
    }

    /// Numbers in a run.
    fn len(&self) -> usize {
        self.taps * self.channels.len()
    }
}

impl<T: Float> Slice<'_, T> {
    /// What the samples contribute to the gradient of these channels. dw: [outputs, channels, taps]
    // dy: see `panels_of`
    fn sum(&self, samples: Range<usize>, dy: &[T], x: &[T], dw: &mut [T]) -> Result<()> {
        let (p, rows, lanes) = (self.p, self.tile.rows(), self.tile.lanes());
        let (all, outputs) = p.group_channels();
        let image = volume(p.input);
        let (grid, inside) = (p.padded(), p.input_inside());
        let seen = Seen::new(p, grid, self.channels, lanes);
        let side = seen.channels.len();
        let run_starts = |&start: &usize| (0..seen.len()).step_by(lanes).map(move |i| start * side + i);
        let starts: Vec<usize> = seen.runs.iter().flat_map(run_starts).collect();
        let offsets = self.places(grid, side);
        let (plane, panels) = (offsets.len(), outputs.div_ceil(rows));
        let width = starts.len() * lanes;

        // A channel that is a shifted volume goes on behind the last one, and the last vector of a run
        // behind the last place. What is read there is added to sums that nobody looks at.
        let shift = grid.taps(p).last().copied().unwrap_or(0);
        let mut padded = Scratch::<T>::take(self.channels * grid.len() + shift)?;
        let mut last = Scratch::<T>::take(grid.len() * side + lanes)?;
        let mut sums = Scratch::<T>::take(panels * rows * width)?;
        sums.fill(T::zero());
        for n in samples {
            let x = &x[((n * p.groups as usize + self.group) * all + self.first) * image..];
            grid.lay(&x[..self.channels * image], &inside, &mut padded);
            interleave(&padded, |c| seen.channels[c], side, grid.len(), &mut last, side);
            let depth = p.output[0] as usize;
            for d in 0..depth {
                let plane_of = (n * p.groups as usize + self.group) * depth + d;
                let dy = &dy[plane_of * panels * plane * rows..][..panels * plane * rows];
                let x = &last[grid.at([d * p.stride[0] as usize, 0, 0]) * side..];
                for (panel, sums) in dy.chunks_exact(plane * rows).zip(sums.chunks_exact_mut(rows * width)) {
                    for (v, count) in self.tile.cut(starts.len()) {
                        let (starts, sums) = (&starts[v..v + count], &mut sums[v * lanes..]);
                        self.tile.run(panel, x, starts, &offsets, sums, width, true);
                    }
                }
            }
        }
        self.keep(&seen, &sums, width, dw);
        Ok(())
    }

    /// From `[output, run, tap of the run, channel]` to the order of the weights.
    fn keep(&self, seen: &Seen, sums: &[T], width: usize, dw: &mut [T]) {
        let taps = volume(self.p.kernel);
        for (dw, sums) in dw.chunks_exact_mut(self.channels * taps).zip(sums.chunks_exact(width)) {
            let runs = sums.chunks_exact(seen.len().next_multiple_of(self.tile.lanes()));
            for (run, sums) in runs.enumerate() {
                for (i, &sum) in sums[..seen.len()].iter().enumerate() {
                    let (tap, channel) = (i / seen.channels.len(), i % seen.channels.len());
                    // A channel that stands for a row of the kernel.
                    let (row, channel) = (run + channel / self.channels, channel % self.channels);
                    dw[channel * taps + row * seen.taps + tap] = sum;
                }
            }
        }
    }

    /// Where the places of an output plane begin.
    fn places(&self, grid: Grid, side: usize) -> Offsets {
        let [_, height, width] = self.p.output.map(|size| size as usize);
        let [_, sh, sw] = self.p.stride.map(|size| size as usize);
        let places = (0..height).flat_map(|h| (0..width).map(move |w| [0, h * sh, w * sw]));
        places.map(|place| grid.at(place) * side).collect()
    }
}
