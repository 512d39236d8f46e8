//! The fast rungs of convolution on the processor: the gradient of the weight where the maps are large and
//! the channels few.
//!
//! `cpu_weight.rs` turns both factors around so that the channels of a place lie side by side; with few
//! channels that takes longer than the products. Here both stay as they lie: a vector holds neighbouring
//! places of `dy`, and is multiplied with the same places of the input, shifted by a tap of the kernel
//! (`matmul/dots.rs`). Where the rows of `dy` do not fill whole vectors it is copied to rows as wide as
//! those of the input with its border, zeros in between, and the vectors go on from row to row.

use std::ops::Range;

use super::cpu_weight::Part;
use super::grid::{Grid, Inside};
use super::{Conv, volume};
use crate::device::scratch::Scratch;
use crate::ops::matmul::dots::{Dots, Terms};
use crate::ops::reduce::sum_row;
use crate::{Float, Result};

/// Vectors of places that are multiplied before the next rows and columns: those of a few maps stay in the
/// first-level cache together.
const VECTORS: usize = 64;

/// Bytes of the most sums that stay in the second-level cache with the rest.
const SUMS: usize = 320 << 10;

#[derive(Clone, Copy)]
pub(super) struct Places<'a, T: 'static> {
    pub dots: Dots<T>,
    pub p: &'a Conv,
}

impl<T: Float> Places<'_, T> {
    /// Whether this pays for runs of so many samples: few sums, of so many places that adding up their lanes
    /// counts for little.
    pub fn pay(&self, samples: usize) -> bool {
        let p = self.p;
        p.stride == [1; 3]
            && p.w_len() * self.dots.lanes() * size_of::<T>() <= SUMS
            && samples * volume(p.output) >= VECTORS * self.dots.lanes()
    }

    // dw: [outputs, channels and taps]
    pub fn sum(self, part: &Part, dy: &[T], x: &[T], dw: &mut [T]) -> Result<()> {
        let mut sums = Sums::new(self, part)?;
        for samples in sums.blocks() {
            sums.add(samples.clone(), &dy[samples.start * self.p.y_len() / self.p.batch as usize..], x);
        }
        sums.keep(dw);
        Ok(())
    }
}

/// The sums of one part, a vector each, which grow by a block of samples at a time.
pub(super) struct Sums<'a, T: Float> {
    places: Places<'a, T>,
    part: &'a Part,
    /// Where `dy` lies, unless it can stay as it is: in rows of the input's grid, with room behind a plane for
    /// its last vector.
    laid: Option<Grid>,
    /// Where the vectors of a sample begin, in `dy` and in the input.
    vectors: Vec<[usize; 2]>,
    /// How far each channel and tap shifts the input.
    columns: Vec<usize>,
    at_once: usize,
    volumes: Scratch<T>,
    maps: Scratch<T>,
    sums: Scratch<T>,
}

impl<'a, T: Float> Sums<'a, T> {
    pub fn new(places: Places<'a, T>, part: &'a Part) -> Result<Sums<'a, T>> {
        let (p, lanes) = (places.p, places.dots.lanes());
        let (grid, outputs) = (p.padded(), p.group_channels().1);
        let [depth, height, width] = p.output.map(|size| size as usize);
        let laid = (!width.is_multiple_of(lanes))
            .then(|| Grid::new([depth, height + lanes.div_ceil(grid.width()), grid.width()]));
        let vectors: Vec<[usize; 2]> = match laid {
            None => {
                let row = |at: usize| grid.at([at / height, at % height, 0]);
                let vectors = |at| (0..width).step_by(lanes).map(move |w| [at * width + w, row(at) + w]);
                (0..depth * height).flat_map(vectors).collect()
            }
            Some(laid) => {
                let run = (height - 1) * grid.width() + width;
                let starts = |d| [laid, grid].map(|grid| grid.at([d, 0, 0]));
                let vectors = |d| (0..run).step_by(lanes).map(move |i| starts(d).map(|start| start + i));
                (0..depth).flat_map(vectors).collect()
            }
        };
        let at_once = (VECTORS / vectors.len()).clamp(1, part.samples.len().max(1));
        let columns: Vec<usize> = grid.shifts(part.channels, p).iter().collect();
        let rows = outputs.next_multiple_of(places.dots.rows());
        let mut sums = Scratch::take(rows * columns.len() * lanes)?;
        sums.fill(T::zero());
        let volumes = Scratch::take(at_once * part.channels * grid.len() + lanes)?;
        let maps = Scratch::take(at_once * laid.map_or(0, |laid| outputs * laid.len()))?;
        Ok(Sums { places, part, laid, vectors, columns, at_once, volumes, maps, sums })
    }

    /// Samples of a block at most.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// The samples of the part, cut into blocks.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let (samples, at_once) = (self.part.samples.clone(), self.at_once);
        samples.clone().step_by(at_once).map(move |n| n..samples.end.min(n + at_once))
    }

    /// Adds a block. dy: from its first sample on.
    pub fn add(&mut self, samples: Range<usize>, dy: &[T], x: &[T]) {
        let Places { dots, p } = self.places;
        let (rows, lanes) = (dots.rows(), dots.lanes());
        let (all, outputs) = p.group_channels();
        let (image, map) = (volume(p.input), volume(p.output));
        let (grid, inside, groups) = (p.padded(), p.input_inside(), p.groups as usize);
        let of_x = self.part.channels * grid.len();
        let of_dy = self.laid.map_or(groups * outputs * map, |laid| outputs * laid.len());
        for (i, n) in samples.clone().enumerate() {
            let x = &x[((n * groups + self.part.group) * all + self.part.first) * image..];
            grid.lay(&x[..self.part.channels * image], &inside, &mut self.volumes[i * of_x..][..of_x]);
            if let Some(laid) = self.laid {
                let dy = &dy[(i * groups + self.part.group) * outputs * map..][..outputs * map];
                let sizes = p.output.map(|size| size as usize);
                let inside = Inside { sizes, origin: [0; 3], step: [1; 3] };
                laid.lay(dy, &inside, &mut self.maps[i * of_dy..][..of_dy]);
            }
        }
        // The last vector may reach beyond the last place.
        self.volumes[samples.len() * of_x..][..lanes].fill(T::zero());
        let (dy, map) = match self.laid {
            None => (&dy[self.part.group * outputs * map..], map),
            Some(laid) => (&self.maps[..], laid.len()),
        };
        let of_sample = |i| self.vectors.iter().map(move |[y, x]| [i * of_dy + y, i * of_x + x]);
        let terms: Vec<[usize; 2]> = (0..samples.len()).flat_map(of_sample).collect();
        for terms in terms.chunks(VECTORS) {
            let terms = Terms::from(terms.to_vec());
            let panels = self.sums.chunks_exact_mut(rows * self.columns.len() * lanes);
            for (o, sums) in (0..outputs).step_by(rows).zip(panels) {
                // What is missing to whole tiles is the last row again.
                let starts: Vec<usize> = (o..o + rows).map(|o| o.min(outputs - 1) * map).collect();
                for (t, count) in dots.cut(self.columns.len()) {
                    let (columns, sums) = (&self.columns[t..t + count], &mut sums[t * lanes..]);
                    dots.run(dy, &starts, &self.volumes, columns, &terms, sums, self.columns.len());
                }
            }
        }
    }

    // dw: [outputs, channels and taps]
    pub fn keep(&self, dw: &mut [T]) {
        let lanes = self.places.dots.lanes();
        // A last slice of fewer channels leaves the ends of its rows.
        let row = dw.len() / self.places.p.group_channels().1;
        for (dw, sums) in dw.chunks_exact_mut(row).zip(self.sums.chunks_exact(self.columns.len() * lanes)) {
            dw.iter_mut().zip(sums.chunks_exact(lanes)).for_each(|(dw, lanes)| *dw = sum_row(lanes));
        }
    }
}
