//! Strided copies on the processor, run by run along the innermost dimension.

use rayon::prelude::*;

use super::{IndexSelect, Strided, runs};
use crate::ops::elementwise::cpu::{WORTH_THREADS, in_chunks};
use crate::{Element, Float};

// x: the buffer the view looks into; y: the view's elements
pub fn read<T: Element>(p: &Strided, x: &[T], y: &mut [T]) {
    let dims = p.ndim as usize;
    let step = p.strides[dims - 1] as usize;
    let x = &x[p.offset as usize..];
    if dims > 1 && step > 1 && p.strides[dims - 2] < p.strides[dims - 1] {
        return read_transposed(p, x, y);
    }
    in_chunks(y, &|first, y| {
        runs(&p.shape[..dims], [&p.strides[..dims]], first..first + y.len(), |run, [at]| {
            let y = &mut y[run.start - first..run.end - first];
            match step {
                0 => y.fill(x[at]),
                1 => y.copy_from_slice(&x[at..at + y.len()]),
                _ => y.iter_mut().zip(x[at..].iter().step_by(step)).for_each(|(y, &x)| *y = x),
            }
        });
    });
}

/// Where the elements of a row of y lie far apart in x, one row uses one element of each cache line
/// it loads and drives the line out before the next row comes for the neighbour. So `ROWS` rows
/// advance together, `COLUMNS` at a time.
fn read_transposed<T: Element>(p: &Strided, x: &[T], y: &mut [T]) {
    const ROWS: usize = 32;
    const COLUMNS: usize = 32;
    let last = p.ndim as usize - 1;
    let (width, step) = (p.shape[last] as usize, p.strides[last] as usize);
    let band = |(band, y): (usize, &mut [T])| {
        let (first, rows) = (band * ROWS, y.len() / width);
        let mut starts = [0; ROWS];
        runs(&p.shape[..last], [&p.strides[..last]], first..first + rows, |run, [at]| {
            let next = p.strides[last - 1] as usize;
            run.clone().for_each(|row| starts[row - first] = at + (row - run.start) * next);
        });
        for left in (0..width).step_by(COLUMNS) {
            let right = width.min(left + COLUMNS);
            for (y, start) in y.chunks_exact_mut(width).zip(starts) {
                let x = x[start + left * step..].iter().step_by(step);
                y[left..right].iter_mut().zip(x).for_each(|(y, &x)| *y = x);
            }
        }
    };
    let bands = y.par_chunks_mut(ROWS * width).with_min_len(WORTH_THREADS.div_ceil(ROWS * width));
    bands.enumerate().for_each(band);
}

// x: the view's elements; y: the buffer the view looks into
pub fn write<T: Element>(p: &Strided, x: &[T], y: &mut [T]) {
    let dims = p.ndim as usize;
    let step = p.strides[dims - 1] as usize;
    let y = &mut y[p.offset as usize..];
    runs(&p.shape[..dims], [&p.strides[..dims]], 0..x.len(), |run, [at]| {
        let x = &x[run];
        match step {
            // 0: the view is a single element.
            0 | 1 => y[at..at + x.len()].copy_from_slice(x),
            _ => y[at..].iter_mut().step_by(step).zip(x).for_each(|(y, &x)| *y = x),
        }
    });
}

// x: [outer, dim, inner], index: [count], y: [outer, count, inner]
pub fn index_select<T: Element>(p: &IndexSelect, x: &[T], index: &[u32], y: &mut [T]) {
    let (dim, inner, count) = (p.dim as usize, p.inner as usize, p.count as usize);
    if y.is_empty() {
        return;
    }
    for (row, y) in y.chunks_exact_mut(inner).enumerate() {
        let (outer, k) = (row / count, row % count);
        let from = (outer * dim + index[k] as usize) * inner;
        y.copy_from_slice(&x[from..from + inner]);
    }
}

// dy: [outer, count, inner], index: [count], dx: [outer, dim, inner]
pub fn index_select_backward<T: Float>(p: &IndexSelect, dy: &[T], index: &[u32], dx: &mut [T]) {
    let (dim, inner, count) = (p.dim as usize, p.inner as usize, p.count as usize);
    if dx.is_empty() {
        return;
    }
    // Each row of dx collects the rows of dy that were taken from it, in their order.
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); dim];
    index.iter().enumerate().for_each(|(k, &row)| taken[row as usize].push(k));
    for (row, dx) in dx.chunks_exact_mut(inner).enumerate() {
        let outer = row / dim;
        dx.fill(T::zero());
        for k in &taken[row % dim] {
            let dy = &dy[(outer * count + k) * inner..][..inner];
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
        }
    }
}
