//! The fast rungs of convolution on the processor: the gradient of the weight.
//!
//! Here the sums run over the places of the output, and the results are few. So the roles change: a
//! vector holds neighbouring terms of the kernel, and the tile's rows are output channels. In a
//! volume whose channels lie side by side, `[place, channel]`, the inputs that one row of the kernel
//! sees from a place are one run of numbers (three taps of 16 channels fill three vectors of 16), and
//! the next place sees the run a few channels further on. `dy` is packed in panels of the tile's rows.
//! Where the channels are few and the maps large, `cpu_places.rs` does without turning anything around.
//!
//! Sums over many samples are cut into runs of samples, whose number follows from the sizes alone, and
//! put together in their order: the number of threads changes no bit.

use std::ops::Range;

use rayon::prelude::*;

use super::cpu_places::Places;
use super::grid::Grid;
use super::{Conv, volume};
use crate::device::scratch::Scratch;
use crate::ops::matmul::dots::Dots;
use crate::ops::matmul::pack::interleave;
use crate::ops::matmul::tile::{Offsets, Store, Tile};
use crate::{Float, Result, split};

/// Parts that the work is cut into: runs of samples, times slices of the input channels.
const PARTS: usize = 16;
/// Fewer runs where their sums together would exceed this.
const MOST_SUMS: usize = 1 << 18;
/// A slice has a multiple of so many channels: three taps of them fill whole vectors.
const SLICE: usize = 16;

/// What one task adds up: some input channels of one group, over some samples.
pub(super) struct Part {
    pub group: usize,
    /// The first of the channels, and how many.
    pub first: usize,
    pub channels: usize,
    pub samples: Range<usize>,
}

/// How the work is cut.
pub(super) struct Cut {
    pub runs: usize,
    pub samples: usize,
    slices: usize,
    channels: usize,
}

impl Cut {
    pub fn new(p: &Conv) -> Cut {
        let ((channels, _), weights) = (p.group_channels(), p.w_len());
        let (batch, groups) = (p.batch as usize, p.groups as usize);
        let samples = batch.div_ceil((MOST_SUMS / weights).clamp(1, PARTS.min(batch)));
        let runs = batch.div_ceil(samples);
        let wanted = PARTS.div_ceil(runs * groups).min(channels.div_ceil(SLICE));
        let of_slice = if wanted > 1 { channels.div_ceil(wanted).next_multiple_of(SLICE) } else { channels };
        Cut { runs, samples, slices: channels.div_ceil(of_slice), channels: of_slice }
    }

    /// Whether a part has all channels.
    pub fn is_of_samples_only(&self, p: &Conv) -> bool {
        self.slices * p.groups as usize == 1
    }

    pub fn samples_of(&self, run: usize, p: &Conv) -> Range<usize> {
        run * self.samples..(p.batch as usize).min((run + 1) * self.samples)
    }

    /// Adds up the parts of all runs in their order, and has `keep` bring the sums of an output channel and a
    /// slice to the order of the weights.
    // parts: [runs, groups, slices, outputs and more, row]
    pub fn add_up<T: Float>(
        &self,
        p: &Conv,
        parts: &[T],
        row: usize,
        keep: impl Fn(&[T], &mut [T]) + Sync,
        dw: &mut [T],
    ) {
        let (channels, outputs) = p.group_channels();
        let (groups, taps) = (p.groups as usize, volume(p.kernel));
        let part = parts.len() / (self.runs * groups * self.slices);
        split::pieces(dw, channels * taps, channels * taps * self.runs, |o, dw| {
            let (group, o) = (o / outputs, o % outputs);
            let mut all = vec![T::zero(); row];
            for (slice, dw) in dw.chunks_mut(self.channels * taps).enumerate() {
                all.fill(T::zero());
                for run in 0..self.runs {
                    let at = ((run * groups + group) * self.slices + slice) * part + o * row;
                    all.iter_mut().zip(&parts[at..at + row]).for_each(|(all, &sum)| *all += sum);
                }
                keep(&all, dw);
            }
        });
    }
}

// dy: [N, O, OD, OH, OW]   x: [N, C, D, H, W]   dw: [O, C / groups, KD, KH, KW]
pub fn backward_weight<T: Float>(form: usize, p: &Conv, dy: &[T], x: &[T], dw: &mut [T]) -> Result<()> {
    if dw.is_empty() || dy.is_empty() {
        dw.fill(T::zero());
        return Ok(());
    }
    let (_, outputs) = p.group_channels();
    let cut = Cut::new(p);
    let places = Places { dots: Dots::new(form), p };
    if places.pay(cut.samples) {
        let row = cut.channels * volume(p.kernel);
        let parts = in_parts(p, &cut, outputs * row, |part, sums| places.sum(&part, dy, x, sums))?;
        cut.add_up(p, &parts, row, |sums, dw| dw.copy_from_slice(&sums[..dw.len()]), dw);
        return Ok(());
    }
    let tile = Tile::new(form, outputs);
    let panels = panels_of(tile.rows(), p, dy)?;
    let turned = |channels| Turned { tile, p, seen: Seen::new(p, channels, tile.lanes()) };
    let (rows, row) = (outputs.next_multiple_of(tile.rows()), turned(cut.channels).row());
    let parts =
        in_parts(p, &cut, rows * row, |part, sums| turned(part.channels).sum(part, &panels, x, sums))?;
    cut.add_up(p, &parts, row, |sums, dw| turned(dw.len() / volume(p.kernel)).keep(sums, dw), dw);
    Ok(())
}

/// Adds up every part: `size` numbers each.
fn in_parts<T: Float>(
    p: &Conv,
    cut: &Cut,
    size: usize,
    sum: impl Fn(Part, &mut [T]) -> Result<()> + Sync,
) -> Result<Scratch<T>> {
    let (channels, _) = p.group_channels();
    let groups = p.groups as usize;
    // [runs, groups, slices, size]
    let mut parts = Scratch::<T>::take(cut.runs * groups * cut.slices * size)?;
    parts.par_chunks_exact_mut(size).enumerate().try_for_each(|(i, sums)| {
        let (group, first) = (i / cut.slices % groups, i % cut.slices * cut.channels);
        let samples = cut.samples_of(i / (groups * cut.slices), p);
        sum(Part { group, first, channels: cut.channels.min(channels - first), samples }, sums)
    })?;
    Ok(parts)
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
    fn new(p: &Conv, channels: usize, lanes: usize) -> Seen {
        let grid = p.padded();
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

/// The sums for some channels, of volumes turned around.
struct Turned<'a, T: 'static> {
    tile: Tile<T>,
    p: &'a Conv,
    seen: Seen,
}

impl<T: Float> Turned<'_, T> {
    /// Sums of one output channel: `[run, tap of the run, channel]`, each run in whole vectors.
    fn row(&self) -> usize {
        self.seen.runs.len() * self.seen.len().next_multiple_of(self.tile.lanes())
    }

    // dy: see `panels_of`   sums: [outputs in whole tiles, row]
    fn sum(&self, part: Part, dy: &[T], x: &[T], sums: &mut [T]) -> Result<()> {
        let (p, rows, lanes, seen) = (self.p, self.tile.rows(), self.tile.lanes(), &self.seen);
        let (all, outputs) = p.group_channels();
        let image = volume(p.input);
        let (grid, inside) = (p.padded(), p.input_inside());
        let side = seen.channels.len();
        let run_starts = |&start: &usize| (0..seen.len()).step_by(lanes).map(move |i| start * side + i);
        let starts: Vec<usize> = seen.runs.iter().flat_map(run_starts).collect();
        let offsets = self.places(grid, side);
        let (plane, panels) = (offsets.len(), outputs.div_ceil(rows));
        // A last slice of fewer channels leaves the ends of its rows.
        let row = sums.len() / (panels * rows);

        // A channel that is a shifted volume goes on behind the last one, and the last vector of a run
        // behind the last place. What is read there is added to sums that nobody looks at.
        let shift = grid.taps(p).last().copied().unwrap_or(0);
        let volumes = part.channels * grid.len();
        let mut padded = Scratch::<T>::take(volumes + shift)?;
        padded[volumes..].fill(T::zero());
        let mut last = Scratch::<T>::take(grid.len() * side + lanes)?;
        sums.fill(T::zero());
        for n in part.samples {
            let x = &x[((n * p.groups as usize + part.group) * all + part.first) * image..];
            grid.lay(&x[..part.channels * image], &inside, &mut padded[..volumes]);
            interleave(&padded, |c| seen.channels[c], side, grid.len(), &mut last, side);
            let depth = p.output[0] as usize;
            for d in 0..depth {
                let plane_of = (n * p.groups as usize + part.group) * depth + d;
                let dy = &dy[plane_of * panels * plane * rows..][..panels * plane * rows];
                let x = &last[grid.at([d * p.stride[0] as usize, 0, 0]) * side..];
                for (panel, sums) in dy.chunks_exact(plane * rows).zip(sums.chunks_exact_mut(rows * row)) {
                    for (v, count) in self.tile.cut(starts.len()) {
                        let (starts, sums) = (&starts[v..v + count], &mut sums[v * lanes..]);
                        self.tile.run(panel, x, starts, &offsets, sums, row, Store::Added);
                    }
                }
            }
        }
        Ok(())
    }

    /// A row of sums in the order of the weights. dw: [channels, taps]
    fn keep(&self, sums: &[T], dw: &mut [T]) {
        let (taps, seen) = (volume(self.p.kernel), &self.seen);
        let channels = dw.len() / taps;
        let runs = sums.chunks_exact(seen.len().next_multiple_of(self.tile.lanes()));
        for (run, sums) in runs.take(seen.runs.len()).enumerate() {
            for (tap, sums) in sums[..seen.len()].chunks_exact(seen.channels.len()).enumerate() {
                // Channels that stand for a row of the kernel follow each other.
                for (row, sums) in (run..).zip(sums.chunks_exact(channels)) {
                    for (dw, &sum) in dw.chunks_exact_mut(taps).zip(sums) {
                        dw[row * seen.taps + tap] = sum;
                    }
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
