//! Walking over shapes by strides.

use std::ops::Range;

use super::MAX_DIMS;
use crate::error::shape_error;
use crate::{Result, Storage};

/// Checks that `x` holds as many elements as `shape` asks for.
pub(crate) fn check_size(op: &'static str, x: &Storage, shape: &[usize]) -> Result<()> {
    if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(x.len()) {
        return shape_error(op, format!("{} elements are not {shape:?}", x.len()));
    }
    Ok(())
}

/// Row-major strides into a buffer of `shape` for the elements of `wide`, which `shape` broadcasts
/// to: 0 along every dimension that is stretched.
pub(crate) fn stretched_strides(shape: &[usize], wide: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; wide.len()];
    let mut stride = 1;
    for (strides, &size) in strides.iter_mut().rev().zip(shape.iter().rev()) {
        *strides = if size == 1 { 0 } else { stride };
        stride *= size;
    }
    strides
}

/// Sizes and strides as a parameter struct holds them: the number of elements, the number of
/// dimensions (at least 1), the sizes, and the strides of each of the `K` operands.
pub(crate) type Collapsed<const K: usize> = (u32, u32, [u32; MAX_DIMS], [[u32; MAX_DIMS]; K]);

/// Merges every two neighbouring dimensions that one stride per operand describes, and drops
/// those of size 1: the fewer dimensions, the longer the runs.
pub(crate) fn collapse<const K: usize>(
    op: &'static str,
    shape: &[usize],
    strides: [&[usize]; K],
) -> Result<Collapsed<K>> {
    if shape.len() > MAX_DIMS || strides.iter().any(|strides| strides.len() != shape.len()) {
        let message =
            format!("{shape:?} with strides {strides:?}: at most {MAX_DIMS} dimensions, a stride for each");
        return shape_error(op, message);
    }
    let n = shape.iter().try_fold(1u32, |n, &d| n.checked_mul(u32::try_from(d).ok()?));
    let (mut sizes, mut merged) = ([1; MAX_DIMS], [[0; MAX_DIMS]; K]);
    let n = match n {
        _ if shape.contains(&0) => return Ok((0, 1, [0; MAX_DIMS], merged)),
        None => return shape_error(op, format!("{shape:?} has more than {} elements", u32::MAX)),
        Some(n) => n,
    };
    let mut ndim = 0;
    for d in (0..shape.len()).filter(|&d| shape[d] != 1) {
        let one_stride = |k: usize| merged[k][ndim - 1] as usize == strides[k][d] * shape[d];
        if ndim > 0 && (0..K).all(one_stride) {
            sizes[ndim - 1] *= shape[d] as u32;
            (0..K).for_each(|k| merged[k][ndim - 1] = strides[k][d] as u32);
        } else {
            sizes[ndim] = shape[d] as u32;
            (0..K).for_each(|k| merged[k][ndim] = strides[k][d] as u32);
            ndim += 1;
        }
    }
    Ok((n, ndim.max(1) as u32, sizes, merged))
}

/// Visits the elements `range` of `shape`, row-major, in runs along the innermost dimension. Each
/// run is named by its elements' numbers and by where it starts in each operand.
pub(crate) fn runs<const K: usize>(
    shape: &[u32],
    strides: [&[u32]; K],
    range: Range<usize>,
    mut visit: impl FnMut(Range<usize>, [usize; K]),
) {
    let Some((&inner, outer)) = shape.split_last() else { return };
    if range.is_empty() {
        return;
    }
    let inner = inner as usize;
    let stride = |k: usize, d: usize| strides[k][d] as usize;
    let (mut row, mut column) = (range.start / inner, range.start % inner);
    let (mut index, mut at) = ([0; MAX_DIMS], [0; K]);
    for d in (0..outer.len()).rev() {
        index[d] = row % outer[d] as usize;
        row /= outer[d] as usize;
        (0..K).for_each(|k| at[k] += index[d] * stride(k, d));
    }
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + inner - column);
        visit(start..end, std::array::from_fn(|k| at[k] + column * stride(k, outer.len())));
        (start, column) = (end, 0);
        // The next row: count up the last outer dimension, carry where it is full.
        for d in (0..outer.len()).rev() {
            index[d] += 1;
            (0..K).for_each(|k| at[k] += stride(k, d));
            if index[d] < outer[d] as usize {
                break;
            }
            (0..K).for_each(|k| at[k] -= index[d] * stride(k, d));
            index[d] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_dimensions_become_one() {
        let (n, ndim, shape, [strides]) = collapse("test", &[2, 1, 3, 4], [&[12, 7, 4, 1]]).unwrap();
        assert_eq!((n, ndim, shape[0], strides[0]), (24, 1, 24, 1));
        // A transpose keeps its two dimensions, a scalar has one of size 1.
        assert_eq!(collapse("test", &[4, 3], [&[1, 4]]).unwrap().1, 2);
        assert_eq!(collapse("test", &[], [&[]]).unwrap().1, 1);
        assert_eq!(collapse("test", &[3, 0, 2], [&[0, 2, 1]]).unwrap().0, 0);
    }

    #[test]
    fn runs_from_anywhere_name_every_element_once() {
        let (shape, strides) = ([3, 2, 5], [1, 15, 3]);
        let place = |i: usize| i / 10 + i / 5 % 2 * 15 + i % 5 * 3;
        for start in 0..30 {
            for end in start..=30 {
                let mut seen = Vec::new();
                runs(&shape, [&strides], start..end, |run, [at]| {
                    seen.extend(run.clone().map(|i| (i, at + (i - run.start) * 3)));
                });
                assert_eq!(seen, (start..end).map(|i| (i, place(i))).collect::<Vec<_>>());
            }
        }
    }
}
