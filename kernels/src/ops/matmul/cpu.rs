//! Matrix multiplication on the processor.

use rayon::prelude::*;

use super::Matmul;
use super::pack::interleave;
use super::tile::{MOST, Offsets, Store, Tile};
use crate::device::scratch::Scratch;
use crate::{Float, Result};

/// One factor, read as `[rows, cols]` however it is stored.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    row: usize,
    col: usize,
}

impl<'a, T: Float> Matrix<'a, T> {
    fn new(data: &'a [T], rows: usize, cols: usize, transposed: u32) -> Self {
        let (row, col) = if transposed == 0 { (cols, 1) } else { (1, rows) };
        Matrix { data, row, col }
    }

    fn at(&self, i: usize, j: usize) -> T {
        self.data[i * self.row + j * self.col]
    }
}

/// The two factors and the result of product number `index`.
fn product<'a, T: Float>(p: &Matmul, index: usize, a: &'a [T], b: &'a [T]) -> (Matrix<'a, T>, Matrix<'a, T>) {
    let [_, m, n, k] = p.sizes();
    (
        Matrix::new(&a[index * m * k..][..m * k], m, k, p.transpose_a),
        Matrix::new(&b[index * k * n..][..k * n], k, n, p.transpose_b),
    )
}

/// Rung 0, the formula. a: [batch, m, k], b: [batch, k, n], bias: [n], c: [batch, m, n]
pub fn plain<T: Float>(p: &Matmul, a: &[T], b: &[T], bias: Option<&[T]>, c: &mut [T]) {
    let [batch, m, n, k] = p.sizes();
    for index in 0..batch {
        let (a, b) = product(p, index, a, b);
        for i in 0..m {
            for j in 0..n {
                let sum: T = (0..k).map(|q| a.at(i, q) * b.at(q, j)).sum();
                c[(index * m + i) * n + j] = sum + bias.map_or(T::zero(), |bias| bias[j]);
            }
        }
    }
}

/// The block of `c` that one thread computes, at most, and how many terms it adds before moving on:
/// its sums (512 x 480), a block of `a` (512 x 128) and one of `b` (128 x 480) stay in the second-level
/// cache together, and the few columns of `b` that all rows of `a` pass by in the first-level cache.
const ROWS: usize = 512;
const COLS: usize = 480;
const TERMS: usize = 128;
/// Blocks wanted, so that a few threads end at about the same time, where there is work enough: a block
/// of so many multiply-adds.
const BLOCKS: usize = 4;
const ENOUGH: usize = 1 << 17;
/// The longer side of the smallest block.
const SMALL: usize = 32;

/// A block of `c`: where it begins, and its rows.
struct Block<'a, T> {
    index: usize,
    row: usize,
    col: usize,
    rows: Vec<&'a mut [T]>,
}

/// The rungs above. The plain rung reads each element of `b` from memory once per row of `c`, one
/// multiplication at a time. Here a block of both factors is packed so that the register tile (see
/// `tile.rs`) reads straight through it, and every number loaded is used 8 to 48 times. Each block of
/// `c` is one thread's, so the order of the sum never depends on their number.
pub fn tiled<T: Float>(
    form: usize,
    p: &Matmul,
    a: &[T],
    b: &[T],
    bias: Option<&[T]>,
    c: &mut [T],
) -> Result<()> {
    let [_, m, n, k] = p.sizes();
    if c.is_empty() {
        return Ok(());
    }
    let tile = Tile::new(form, m);
    let [mut rows, mut cols] = [(m, ROWS), (n, COLS)].map(|(size, most)| size.div_ceil(size.div_ceil(most)));
    // The longer side is cut, until there are enough blocks, or they become too small.
    let blocks = (m * n * k / ENOUGH).clamp(1, BLOCKS).div_ceil(p.batch as usize);
    while m.div_ceil(rows) * n.div_ceil(cols) < blocks && rows.max(cols) > SMALL {
        let longer = if rows > cols { &mut rows } else { &mut cols };
        *longer = longer.div_ceil(2);
    }
    let (rows, cols) = (rows.next_multiple_of(tile.rows()), cols.next_multiple_of(tile.lanes()));
    let work = blocks_of(c, [m, n], [rows, cols]);
    let run = |block: Block<T>| {
        let (a, b) = product(p, block.index, a, b);
        block.compute(&tile, a, b, k, bias)
    };
    if work.len() > 1 && m * n * k > ENOUGH {
        work.into_par_iter().try_for_each(run)
    } else {
        work.into_iter().try_for_each(run)
    }
}

/// Cuts every product into blocks of at most so many rows and columns.
fn blocks_of<T>(c: &mut [T], [m, n]: [usize; 2], [rows, cols]: [usize; 2]) -> Vec<Block<'_, T>> {
    let mut blocks = Vec::new();
    for (index, c) in c.chunks_mut(m * n).enumerate() {
        for (i, c) in c.chunks_mut(rows * n).enumerate() {
            let first = blocks.len();
            let col = (0..n).step_by(cols);
            blocks.extend(col.map(|col| Block { index, row: i * rows, col, rows: Vec::new() }));
            for row in c.chunks_mut(n) {
                let parts = blocks[first..].iter_mut().zip(row.chunks_mut(cols));
                parts.for_each(|(block, part)| block.rows.push(part));
            }
        }
    }
    blocks
}

impl<T: Float> Block<'_, T> {
    fn compute(self, tile: &Tile<T>, a: Matrix<T>, b: Matrix<T>, k: usize, bias: Option<&[T]>) -> Result<()> {
        let (rows, cols) = (self.rows.len(), self.rows[0].len());
        let (height, lanes) = (tile.rows(), tile.lanes());
        let (vectors, panels) = (cols.div_ceil(lanes), rows.div_ceil(height));
        let width = vectors * lanes;
        let most = TERMS.min(k);
        let mut sums = Scratch::<T>::take(panels * height * width)?;
        let mut a_panels = Scratch::<T>::take(panels * height * most)?;
        let mut b_rows = Scratch::<T>::take(width * most)?;
        let starts: [usize; MOST] = std::array::from_fn(|v| v * lanes);
        if k == 0 {
            sums.fill(T::zero());
        }
        for first in (0..k).step_by(TERMS) {
            let terms = TERMS.min(k - first);
            let offsets: [Offsets; MOST] = std::array::from_fn(|v| Offsets::every((v + 1) * lanes, terms));
            a.columns(self.row, rows, first, terms, height, &mut a_panels);
            for (v, count) in tile.cut(vectors) {
                let (col, width) = (v * lanes, count * lanes);
                let to = &mut b_rows[col * terms..][..width * terms];
                b.rows(first, terms, self.col + col, width.min(cols - col), width, to);
            }
            for (v, count) in tile.cut(vectors) {
                let (b, offsets) = (&b_rows[v * lanes * terms..], &offsets[count - 1]);
                let store = if first > 0 { Store::Added } else { Store::Sums };
                for (panel, sums) in a_panels.chunks(height * terms).zip(sums.chunks_mut(height * width)) {
                    tile.run(panel, b, &starts[..count], offsets, &mut sums[v * lanes..], width, store);
                }
            }
        }
        for (c, sums) in self.rows.into_iter().zip(sums.chunks(width)) {
            match bias {
                Some(bias) => {
                    let terms = sums.iter().zip(&bias[self.col..]);
                    c.iter_mut().zip(terms).for_each(|(c, (&sum, &bias))| *c = sum + bias);
                }
                None => c.copy_from_slice(&sums[..cols]),
            }
        }
        Ok(())
    }
}

impl<T: Float> Matrix<'_, T> {
    /// Rows of this matrix as panels of `height`, term by term: `[panel, term, row]`, with zeros for the
    /// rows that the last one lacks.
    fn columns(&self, row: usize, rows: usize, term: usize, terms: usize, height: usize, to: &mut [T]) {
        for (i, to) in (0..rows).step_by(height).zip(to.chunks_mut(height * terms)) {
            let count = height.min(rows - i);
            if count < height {
                to.fill(T::zero());
            }
            let from = &self.data[(row + i) * self.row + term * self.col..];
            if self.col == 1 {
                interleave(from, |i| i * self.row, count, terms, to, height);
            } else {
                let from = from.chunks(self.col).map(|from| &from[..count]);
                to.chunks_mut(height).zip(from).for_each(|(to, from)| to[..count].copy_from_slice(from));
            }
        }
    }

    /// Terms of this matrix as rows: `[term, column]`, `width` long, with zeros at the end.
    fn rows(&self, term: usize, terms: usize, col: usize, cols: usize, width: usize, to: &mut [T]) {
        let from = &self.data[term * self.row + col * self.col..];
        let rows = to.chunks_mut(width).take(terms);
        if self.col == 1 {
            for (q, to) in rows.enumerate() {
                to[..cols].copy_from_slice(&from[q * self.row..][..cols]);
                to[cols..].fill(T::zero());
            }
        } else {
            rows.for_each(|to| to[cols..].fill(T::zero()));
            interleave(from, |i| i * self.col, cols, terms, to, width);
        }
    }
}
