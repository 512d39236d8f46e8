//! Matrix multiplication on the processor.

use rayon::prelude::*;

use super::Matmul;
use super::tile::Tile;
use crate::{Element, Float};

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

/// Rows of `c` one thread computes at a time, and how many terms it adds before moving on: a
/// block of `a` (128 x 256) and one of `b` (256 x 256) stay in the second-level cache together.
const ROWS: usize = 128;
const COLS: usize = 256;
const TERMS: usize = 256;

/// Rung 1. The plain rung reads each element of `b` from memory once per row of `c`, one
/// multiplication at a time. Here a block of both factors is packed so that the register tile
/// (see `tile.rs`) reads straight through it, and every number loaded is used 8 to 32 times.
/// Each thread owns whole rows of `c`, so the order of the sum never depends on their number.
pub fn tiled<T: Float>(p: &Matmul, a: &[T], b: &[T], bias: Option<&[T]>, c: &mut [T]) {
    let [_, m, n, k] = p.sizes();
    if c.is_empty() {
        return;
    }
    let tile = Tile::<T>::best();
    let blocks = |(index, c): (usize, &mut [T])| {
        let per_product = m.div_ceil(ROWS);
        let (a, b) = product(p, index / per_product, a, b);
        rows_of_c(&tile, &a, &b, index % per_product * ROWS, k, n, bias, c);
    };
    // Cut c into blocks of whole rows that do not cross from one product into the next.
    let work: Vec<_> = c.chunks_mut(m * n).flat_map(|c| c.chunks_mut(ROWS * n)).enumerate().collect();
    if work.len() > 1 && 2 * m * n * k > 1 << 18 {
        work.into_par_iter().for_each(blocks);
    } else {
        work.into_iter().for_each(blocks);
    }
}

/// Computes the rows of `c` from `row0` on. c: [rows, n]
#[allow(clippy::too_many_arguments)]
fn rows_of_c<T: Float>(
    tile: &Tile<T>,
    a: &Matrix<T>,
    b: &Matrix<T>,
    row0: usize,
    k: usize,
    n: usize,
    bias: Option<&[T]>,
    c: &mut [T],
) {
    for row in c.chunks_mut(n) {
        match bias {
            Some(bias) => row.copy_from_slice(bias),
            None => row.fill(T::zero()),
        }
    }
    let (mr, nr, rows) = (tile.rows(), tile.cols(), c.len() / n);
    let mut a_panels = vec![T::zero(); rows.next_multiple_of(mr) * TERMS.min(k)];
    let mut b_panels = vec![T::zero(); COLS.min(n).next_multiple_of(nr) * TERMS.min(k)];
    for k0 in (0..k).step_by(TERMS) {
        let terms = TERMS.min(k - k0);
        let offsets: Vec<usize> = (0..terms).map(|q| q * nr).collect();
        pack(&mut a_panels, mr, rows, terms, |i, q| a.at(row0 + i, k0 + q));
        for j0 in (0..n).step_by(COLS) {
            let cols = COLS.min(n - j0);
            pack(&mut b_panels, nr, cols, terms, |j, q| b.at(k0 + q, j0 + j));
            for (i, a_panel) in a_panels.chunks_exact(mr * terms).take(rows.div_ceil(mr)).enumerate() {
                for (j, b_panel) in b_panels.chunks_exact(nr * terms).take(cols.div_ceil(nr)).enumerate() {
                    let (i, j) = (i * mr, j0 + j * nr);
                    let width = nr.min(j0 + cols - j);
                    tile.add(a_panel, b_panel, &offsets, &mut c[i * n + j..], n, mr.min(rows - i), width);
                }
            }
        }
    }
}

/// Lays a block out in panels of `width`: for each panel, for each term, `width` neighbours, with
/// zeros where the block ends inside a panel.
fn pack<T: Element + Float>(
    panels: &mut [T],
    width: usize,
    count: usize,
    terms: usize,
    at: impl Fn(usize, usize) -> T,
) {
    for (first, panel) in (0..count).step_by(width).zip(panels.chunks_exact_mut(width * terms)) {
        for (q, out) in panel.chunks_exact_mut(width).enumerate() {
            for (i, out) in out.iter_mut().enumerate() {
                *out = if first + i < count { at(first + i, q) } else { T::zero() };
            }
        }
    }
}
