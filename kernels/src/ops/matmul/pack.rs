//! Laying factors out for the register tile.

use crate::wide::wide_fn;

/// Rows that are interleaved in one go.
const ROWS: usize = 8;
/// Columns that are, so that the block stays in the first-level cache while row after row goes in.
const COLS: usize = 64;

wide_fn! {
    /// `to[j * width + i] = from[start(i) + j]` for `i < rows`, `j < cols`: rows become columns of a block
    /// whose own rows are `width` apart.
    pub(crate) fn interleave<T: Copy, F: Fn(usize) -> usize>(
        from: &[T],
        start: F,
        rows: usize,
        cols: usize,
        to: &mut [T],
        width: usize,
    ) {
        for (first, to) in (0..cols).step_by(COLS).zip(to.chunks_mut(COLS * width)) {
            let part = |i: usize| &from[start(i) + first..][..COLS.min(cols - first)];
            let mut row = 0;
            while row + ROWS <= rows {
                some_rows::<T, ROWS>(std::array::from_fn(|i| part(row + i)), &mut to[row..], width);
                row += ROWS;
            }
            if row + ROWS / 2 <= rows {
                some_rows::<T, { ROWS / 2 }>(std::array::from_fn(|i| part(row + i)), &mut to[row..], width);
                row += ROWS / 2;
            }
            for row in row..rows {
                some_rows([part(row)], &mut to[row..], width);
            }
        }
    }
}

/// [`interleave`] for a number of rows that the compiler knows, which it turns into shuffles.
#[inline(always)]
fn some_rows<T: Copy, const N: usize>(from: [&[T]; N], to: &mut [T], width: usize) {
    let cols = from[0].len();
    let from = from.map(|row| &row[..cols]);
    for (j, to) in to.chunks_mut(width).take(cols).enumerate() {
        let to: &mut [T; N] = (&mut to[..N]).try_into().expect("N numbers");
        *to = std::array::from_fn(|i| from[i][j]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for (rows, cols, pitch, width) in
            [(1, 4, 4, 1), (5, 7, 7, 5), (8, 5, 6, 8), (19, 3, 3, 24), (3, 0, 2, 3), (9, 150, 151, 9)]
        {
            let from: Vec<usize> = (0..rows * pitch).collect();
            let mut to = vec![usize::MAX; cols * width];
            interleave(&from, |i| i * pitch, rows, cols, &mut to, width);
            for (place, &found) in to.iter().enumerate() {
                let (j, i) = (place / width, place % width);
                assert_eq!(found, if i < rows { i * pitch + j } else { usize::MAX });
            }
        }
    }
}
