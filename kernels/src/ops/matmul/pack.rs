//! Laying factors out for the register tile.

/// Rows that are interleaved in one go.
const ROWS: usize = 8;

/// `to[j * width + i] = from[i * pitch + j]` for `i < rows`, `j < cols`: rows become columns of a
/// block whose own rows are `width` apart.
pub(crate) fn interleave<T: Copy>(
    from: &[T],
    pitch: usize,
    rows: usize,
    cols: usize,
    to: &mut [T],
    width: usize,
) {
    let mut first = 0;
    while first + ROWS <= rows {
        some_rows::<T, ROWS>(&from[first * pitch..], pitch, cols, &mut to[first..], width);
        first += ROWS;
    }
    for row in first..rows {
        some_rows::<T, 1>(&from[row * pitch..], pitch, cols, &mut to[row..], width);
    }
}

/// [`interleave`] for a number of rows that the compiler knows, which it turns into shuffles.
fn some_rows<T: Copy, const N: usize>(from: &[T], pitch: usize, cols: usize, to: &mut [T], width: usize) {
    let from: [&[T]; N] = std::array::from_fn(|i| &from[i * pitch..][..cols]);
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
        for (rows, cols, pitch, width) in [(1, 4, 4, 1), (8, 5, 6, 8), (19, 3, 3, 24), (3, 0, 2, 3)] {
            let from: Vec<usize> = (0..rows * pitch).collect();
            let mut to = vec![usize::MAX; cols * width];
            interleave(&from, pitch, rows, cols, &mut to, width);
            for (place, &found) in to.iter().enumerate() {
                let (j, i) = (place / width, place % width);
                assert_eq!(found, if i < rows { i * pitch + j } else { usize::MAX });
            }
        }
    }
}
