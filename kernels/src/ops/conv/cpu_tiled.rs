//! The fast rungs of convolution on the processor: forward, and the gradient of the input.
//!
//! The plain rung asks for every term where it lies and whether it lies inside. Here the input is
//! copied once into a volume with its border of zeros (`grid.rs`). There the input of kernel tap
//! `k` is the same volume, shifted by a fixed distance, so neighbouring outputs, which share a
//! vector register, read neighbouring inputs, and a convolution is a matrix product (weights by
//! shifted volumes) for matmul's register tile. The gradient of the input is a convolution too: of
//! `dy`, spread out by the stride, with the kernel turned around.
//!
//! Which outputs share a vector (`Vectors`): those of a row, where rows fill whole vectors; a run
//! that goes on from the end of one row to the start of the next, where that wastes less; and where
//! maps are small or the stride is above 1, any outputs at all, for which the shifted inputs are
//! first packed side by side. Rows of whole vectors are stored where they belong; sums that go on
//! over the ends of rows are brought there from a buffer.
//!
//! The zeros of the border are multiplied like any number, so an infinite weight can make NaN where
//! the plain rung, which skips the border, has none.

use std::ops::Range;

use rayon::prelude::*;

use super::grid::{Grid, Inside, copy_row};
use super::{Conv, volume};
use crate::device::scratch::Scratch;
use crate::ops::matmul::pack::interleave;
use crate::ops::matmul::tile::{MOST, Offsets, Store, Tile};
use crate::ops::pool::{Pool, max_of_planes};
use crate::wide::wide_fn;
use crate::{Float, Result, split};

/// Bytes that a thread has in hand at a time, a part of its second-level cache: the rows of the
/// input that it reads, or the packed ones.
const BLOCK: usize = 512 << 10;
/// Tasks wanted, so that a few threads end at about the same time: with few samples, and with many.
const TASKS: usize = 4;
const MOST_TASKS: usize = 32;
/// What packing one vector costs, in multiply-adds.
const PACKING: usize = 20;

/// A function of every element of a buffer, in its place.
pub type InPlace<'a, T> = &'a (dyn Fn(&mut [T]) + Sync);

/// What is done with the maps of a task while they are in the core's own cache, see `then.rs`.
#[derive(Clone, Copy)]
pub struct After<'a, T> {
    /// A function of every element.
    pub function: Option<InPlace<'a, T>>,
    /// Then only the maximum of every window is stored.
    pub max_pool: Option<&'a Pool>,
}

impl<T> After<'_, T> {
    pub const NOTHING: Self = After { function: None, max_pool: None };
}

// x: [N, C, D, H, W]   w: [O, C / groups, KD, KH, KW]   bias: [O]   y: [N, O, OD, OH, OW], or what is left of it
pub fn forward<T: Float>(
    form: usize,
    p: &Conv,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    after: After<T>,
    y: &mut [T],
) -> Result<()> {
    let (channels, outputs) = p.group_channels();
    let tile = Tile::new(form, outputs);
    let terms = channels * volume(p.kernel);
    let (rows, panels) = (tile.rows(), outputs.div_ceil(tile.rows()));
    let mut weights = Scratch::<T>::take(p.groups as usize * panels * rows * terms)?;
    split::pieces(&mut weights, rows * terms, rows * terms, |i, panel| {
        let (g, o) = (i / panels, i % panels * rows);
        let height = rows.min(outputs - o);
        if height < rows {
            panel.fill(T::zero());
        }
        interleave(&w[(g * outputs + o) * terms..], |i| i * terms, height, terms, panel, rows);
    });
    let sizes = p.output.map(|size| size as usize);
    let stride = p.stride.map(|size| size as usize);
    let (grid, inside) = (p.padded(), p.input_inside());
    let pass = Pass { tile, grid, inside, groups: p.groups as usize, sizes, stride, after };
    pass.correlate(p, x, channels, &weights, bias, outputs, y)
}

// dy: [N, O, OD, OH, OW]   w: [O, C / groups, KD, KH, KW]   dx: [N, C, D, H, W]
pub fn backward_input<T: Float>(form: usize, p: &Conv, dy: &[T], w: &[T], dx: &mut [T]) -> Result<()> {
    let (channels, outputs) = p.group_channels();
    let tile = Tile::new(form, channels);
    let taps = volume(p.kernel);
    let terms = outputs * taps;
    let (rows, panels) = (tile.rows(), channels.div_ceil(tile.rows()));
    let mut weights = Scratch::<T>::take(p.groups as usize * panels * rows * terms)?;
    // The kernel turned around: tap `t` of the turned kernel is tap `taps - 1 - t` of the kernel.
    split::pieces(&mut weights, rows * terms, rows * terms, |i, panel| {
        let (g, c) = (i / panels, i % panels * rows);
        let height = rows.min(channels - c);
        if height < rows {
            panel.fill(T::zero());
        }
        for (o, panel) in panel.chunks_exact_mut(taps * rows).enumerate() {
            let kernels = &w[((g * outputs + o) * channels + c) * taps..];
            interleave(kernels, |c| c * taps, height, taps, panel, rows);
            for tap in 0..taps / 2 {
                let (front, back) = panel.split_at_mut((taps - 1 - tap) * rows);
                front[tap * rows..][..rows].swap_with_slice(&mut back[..rows]);
            }
        }
    });
    // How far the kernel reaches beyond its first tap.
    let reach = [0, 1, 2].map(|i| ((p.kernel[i] - 1) * p.dilation[i]) as usize);
    let grid = Grid::new([0, 1, 2].map(|i| p.input[i] as usize + reach[i]));
    let inside = Inside {
        sizes: p.output.map(|size| size as usize),
        origin: [0, 1, 2].map(|i| reach[i] as i64 - i64::from(p.padding[i])),
        step: p.stride.map(|size| size as usize),
    };
    let sizes = p.input.map(|size| size as usize);
    let (groups, after) = (p.groups as usize, After::NOTHING);
    let pass = Pass { tile, grid, inside, groups, sizes, stride: [1; 3], after };
    pass.correlate(p, dy, outputs, &weights, None, channels, dx)
}

/// One convolution without border: of volumes on a grid, to maps of `sizes`.
struct Pass<'a, T: 'static> {
    tile: Tile<T>,
    grid: Grid,
    inside: Inside,
    groups: usize,
    sizes: [usize; 3],
    stride: [usize; 3],
    after: After<'a, T>,
}

/// Some maps of one sample (or of one group of it).
struct Part<'a, T> {
    sample: usize,
    /// The first of them.
    first: usize,
    maps: &'a mut [T],
}

/// Which outputs share the vectors.
#[derive(Clone, Copy, PartialEq)]
enum Vectors {
    /// Those from the start of each row on. The last vector of a row may reach beyond it.
    Rows,
    /// Those of a run over all rows, with what lies between the rows.
    Run,
    /// Any that follow each other.
    Packed,
}

impl<T: Float> Pass<'_, T> {
    /// `maps[n, g, r, p] = bias[g, r] + sum_t weights[g, r, t] * volume[n, g][shifts[t] + place of p]`.
    // from: [N, groups, channels, inside]   weights: [groups, panels, terms, rows of the tile]
    // maps: [N, groups, rows, sizes], or the maxima of their windows
    #[allow(clippy::too_many_arguments)]
    fn correlate(
        &self,
        p: &Conv,
        from: &[T],
        channels: usize,
        weights: &[T],
        bias: Option<&[T]>,
        rows: usize,
        maps: &mut [T],
    ) -> Result<()> {
        let map: usize = self.sizes.iter().product();
        if maps.is_empty() {
            return Ok(());
        }
        // What is stored of a map.
        let stored = self.after.max_pool.map_or(map, |pool| volume([pool.out_d, pool.out_h, pool.out_w]));
        let shifts = self.grid.shifts(channels, p);
        let image = channels * self.inside.sizes.iter().product::<usize>();
        let panels = rows.div_ceil(self.tile.rows());
        let panel = self.tile.rows() * shifts.len();
        // Few samples are shared out by their output channels too, in whole panels.
        let parts = TASKS.div_ceil(maps.len() / (rows * stored)).min(panels);
        let part = panels.div_ceil(parts) * self.tile.rows();
        let mut tasks = Vec::new();
        for (sample, maps) in maps.chunks_mut(rows * stored).enumerate() {
            let parts = maps.chunks_mut(part * stored).zip((0..).step_by(part));
            tasks.extend(parts.map(|(maps, first)| Part { sample, first, maps }));
        }
        let vectors = self.vectors(rows);
        let run = |samples: &mut [Part<T>]| -> Result<()> {
            // The last vector may reach beyond the last channel.
            let reach = self.tile.lanes();
            let mut volume = Scratch::<T>::take(channels * self.grid.len() + reach)?;
            volume[channels * self.grid.len()..].fill(T::zero());
            for Part { sample, first, maps } in samples {
                self.grid.lay(
                    &from[*sample * image..][..image],
                    &self.inside,
                    &mut volume[..channels * self.grid.len()],
                );
                let g = *sample % self.groups;
                let weights = &weights[g * panels * panel..][*first * shifts.len()..];
                let bias = bias.map(|bias| &bias[g * rows + *first..]);
                let compute = |maps: &mut [T]| match vectors {
                    Vectors::Packed => self.packed(&volume, &shifts, weights, bias, maps),
                    _ => self.shifted(vectors, channels, &volume, &shifts, weights, bias, maps),
                };
                let Some(pool) = self.after.max_pool else {
                    compute(maps)?;
                    continue;
                };
                let mut whole = Scratch::<T>::take(maps.len() / stored * map)?;
                compute(&mut whole)?;
                max_of_planes(pool, &whole, maps);
            }
            Ok(())
        };
        let at_once = tasks.len().div_ceil(MOST_TASKS);
        tasks.par_chunks_mut(at_once).try_for_each(run)
    }

    /// What takes the fewest multiply-adds, counting those of places that nobody wants and the work of
    /// packing.
    fn vectors(&self, rows: usize) -> Vectors {
        let [depth, height, width] = self.sizes;
        let lanes = self.tile.lanes();
        let rows = rows.next_multiple_of(self.tile.rows());
        let by_rows = rows * depth * height * width.div_ceil(lanes);
        let run = rows * depth * self.run(height).div_ceil(lanes);
        let packed = (rows + PACKING) * (depth * height * width).div_ceil(lanes);
        if self.stride[2] > 1 || packed < by_rows.min(run) {
            Vectors::Packed
        } else if by_rows <= run {
            Vectors::Rows
        } else {
            Vectors::Run
        }
    }

    /// Positions from the first to the last output of `rows` rows of a plane.
    fn run(&self, rows: usize) -> usize {
        self.grid.at([0, (rows - 1) * self.stride[1], self.sizes[2] - 1]) + 1
    }

    /// Block after block of rows, with the vectors read where they lie.
    #[allow(clippy::too_many_arguments)]
    fn shifted(
        &self,
        vectors: Vectors,
        channels: usize,
        volume: &[T],
        shifts: &Offsets,
        weights: &[T],
        bias: Option<&[T]>,
        maps: &mut [T],
    ) -> Result<()> {
        let [depth, height, width] = self.sizes;
        let (rows, lanes) = (self.tile.rows(), self.tile.lanes());
        let row_bytes = channels * self.grid.width() * size_of::<T>();
        let block = (BLOCK / row_bytes).clamp(1, height);
        // Where the vectors of a block begin, and how far apart the sums of two rows come to lie.
        let per_row = width.div_ceil(lanes);
        let row_start = |row: usize| self.grid.at([0, row * self.stride[1], 0]);
        let (starts, pitch): (Vec<usize>, usize) = match vectors {
            Vectors::Rows => {
                let starts = (0..block * per_row).map(|v| row_start(v / per_row) + v % per_row * lanes);
                (starts.collect(), per_row * lanes)
            }
            _ => ((0..self.run(block)).step_by(lanes).collect(), row_start(1)),
        };
        let len = starts.len() * lanes;
        let map = depth * height * width;
        // Where rows fill whole vectors, and maps the tile, the sums go straight to their place.
        let straight = vectors == Vectors::Rows && pitch == width && (maps.len() / map).is_multiple_of(rows);
        let mut sums = Scratch::<T>::take(if straight { 0 } else { rows * len })?;
        for (d, first) in (0..depth).flat_map(|d| (0..height).step_by(block).map(move |h| (d, h))) {
            let height_of_block = block.min(height - first);
            let wanted = (height_of_block - 1) * pitch + width;
            let volume = &volume[self.grid.at([d * self.stride[0], first * self.stride[1], 0])..];
            let at = (d * height + first) * width;
            let panels = weights.chunks_exact(rows * shifts.len());
            for (i, (panel, maps)) in panels.zip(maps.chunks_mut(rows * map)).enumerate() {
                let (to, len, store) = match (straight, bias) {
                    (true, Some(bias)) => (&mut maps[at..], map, Store::With(&bias[i * rows..])),
                    (true, None) => (&mut maps[at..], map, Store::Sums),
                    (false, _) => (&mut sums[..], len, Store::Sums),
                };
                for (v, count) in self.tile.cut(wanted.div_ceil(lanes)) {
                    let starts = &starts[v..v + count];
                    self.tile.run(panel, volume, starts, shifts, &mut to[v * lanes..], len, store);
                }
                for (r, map) in maps.chunks_mut(map).enumerate() {
                    let map = &mut map[at..][..height_of_block * width];
                    if !straight {
                        let bias = bias.map_or(T::zero(), |bias| bias[i * rows + r]);
                        keep(&sums[r * len..], pitch, bias, map, width);
                    }
                    self.after.function.inspect(|function| function(map));
                }
            }
        }
        Ok(())
    }

    /// Block after block of outputs, with the vectors of every term packed side by side.
    fn packed(
        &self,
        volume: &[T],
        shifts: &Offsets,
        weights: &[T],
        bias: Option<&[T]>,
        maps: &mut [T],
    ) -> Result<()> {
        let map: usize = self.sizes.iter().product();
        let (rows, lanes, terms) = (self.tile.rows(), self.tile.lanes(), shifts.len());
        // Vectors of a block: as many as fit, in blocks of about the same size.
        let (all, most) = (map.div_ceil(lanes), BLOCK / (terms * lanes * size_of::<T>()));
        let block = all.div_ceil(all.div_ceil(most.max(MOST))) * lanes;
        let mut buffer = Scratch::<T>::take(block * terms)?;
        let mut sums = Scratch::<T>::take(rows * block)?;
        let starts: [usize; MOST] = std::array::from_fn(|v| v * lanes);
        let offsets: [Offsets; MOST] = std::array::from_fn(|v| Offsets::every((v + 1) * lanes, terms));
        for first in (0..map).step_by(block) {
            let places = block.min(map - first);
            let vectors = places.div_ceil(lanes);
            for (v, count) in self.tile.cut(vectors) {
                let end = (first + places).min(first + (v + count) * lanes);
                let to = &mut buffer[v * lanes * terms..];
                self.pack(volume, shifts, first + v * lanes..end, count * lanes, to);
            }
            let panels = weights.chunks_exact(rows * terms);
            for (i, (panel, maps)) in panels.zip(maps.chunks_mut(rows * map)).enumerate() {
                for (v, count) in self.tile.cut(vectors) {
                    let (buffer, sums) = (&buffer[v * lanes * terms..], &mut sums[v * lanes..]);
                    let offsets = &offsets[count - 1];
                    self.tile.run(panel, buffer, &starts[..count], offsets, sums, block, Store::Sums);
                }
                for (r, map) in maps.chunks_mut(map).enumerate() {
                    let bias = bias.map_or(T::zero(), |bias| bias[i * rows + r]);
                    let map = &mut map[first..first + places];
                    keep(&sums[r * block..], places, bias, map, places);
                    self.after.function.inspect(|function| function(map));
                }
            }
        }
        Ok(())
    }

    /// The inputs of some outputs, term by term: `to[q * width + i] = volume[shifts[q] + place of i]`.
    fn pack(&self, volume: &[T], shifts: &Offsets, outputs: Range<usize>, width: usize, to: &mut [T]) {
        let [_, height, of_row] = self.sizes;
        // The outputs, as parts of rows: where each begins in the volume and among the outputs.
        let mut parts: Vec<(usize, usize, usize)> = Vec::new();
        let mut at = outputs.start;
        while at < outputs.end {
            let (row, w) = (at / of_row, at % of_row);
            let len = (of_row - w).min(outputs.end - at);
            let place = [row / height, row % height, w];
            parts.push((self.grid.at([0, 1, 2].map(|i| place[i] * self.stride[i])), at - outputs.start, len));
            at += len;
        }
        pack_rows(volume, shifts, &parts, self.stride[2], width, to);
    }
}

wide_fn! {
    /// Parts of rows, `(begin in the volume, begin among the outputs, length)`, for every term.
    fn pack_rows<T: Float>(
        volume: &[T],
        shifts: &Offsets,
        parts: &[(usize, usize, usize)],
        step: usize,
        width: usize,
        to: &mut [T],
    ) {
        for (shift, to) in shifts.iter().zip(to.chunks_mut(width)) {
            for &(from, at, len) in parts {
                let (from, to) = (&volume[shift + from..], &mut to[at..at + len]);
                if step == 1 {
                    copy_row(&from[..len], to);
                } else {
                    to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }
}

wide_fn! {
    /// Rows of sums, `pitch` apart, and one more term, as rows of a map.
    fn keep<T: Float>(sums: &[T], pitch: usize, term: T, map: &mut [T], width: usize) {
        for (y, sums) in map.chunks_exact_mut(width).zip(sums.chunks(pitch)) {
            // In eights, which fill a vector where rows are short.
            let (eights, rest) = y.as_chunks_mut::<8>();
            let (of_eights, of_rest) = sums[..width].as_chunks::<8>();
            for (y, sums) in eights.iter_mut().zip(of_eights) {
                (0..8).for_each(|i| y[i] = sums[i] + term);
            }
            rest.iter_mut().zip(of_rest).for_each(|(y, &sum)| *y = sum + term);
        }
    }
}
