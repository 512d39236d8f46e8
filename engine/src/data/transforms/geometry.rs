//! Transforms that move pixels: mirror, crop, rotation.

use super::{Transform, data_error, rows_and_columns};
use crate::data::Sample;
use crate::random::Rng;
use crate::{Result, Shape};

/// Mirrors left and right with this probability.
#[derive(Debug, Clone, Copy)]
pub struct RandomHorizontalFlip(pub f32);

impl Transform for RandomHorizontalFlip {
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()> {
        let p = self.0;
        if !(0.0..=1.0).contains(&p) {
            return data_error(format!("random flip: {p} is not a probability in 0..1"));
        }
        let (_, columns) = rows_and_columns("random flip", sample)?;
        if rng.uniform() < p {
            sample.input.chunks_mut(columns.max(1)).for_each(<[f32]>::reverse);
        }
        Ok(())
    }
}

/// Cuts out a square of `size` x `size` pixels at a random place, after `padding` zeros were put
/// around the image on every side.
#[derive(Debug, Clone, Copy)]
pub struct RandomCrop {
    /// Rows and columns of the result.
    pub size: usize,
    /// Zeros on every side.
    pub padding: usize,
}

impl Transform for RandomCrop {
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()> {
        let RandomCrop { size, padding } = *self;
        let (rows, columns) = rows_and_columns("random crop", sample)?;
        let room = |length: usize| padding.checked_mul(2)?.checked_add(length)?.checked_sub(size);
        let (Some(room_y), Some(room_x)) = (room(rows), room(columns)) else {
            let shape = &sample.shape;
            return data_error(format!(
                "random crop: {size} x {size} pixels do not fit into {shape} with a padding of {padding}"
            ));
        };
        let (top, left) = (rng.below(room_y + 1), rng.below(room_x + 1));
        // Where the result's columns 0..size lie in the image, and which of them it has.
        let first = padding.saturating_sub(left).min(size);
        let last = (columns + padding).saturating_sub(left).clamp(first, size);
        let ndim = sample.shape.len();
        let mut sizes = sample.shape.to_vec();
        sizes[ndim - 2..].fill(size);
        let shape = Shape::from(sizes);
        let mut cropped = vec![0.0; shape.numel()?];
        for (i, out) in cropped.chunks_mut(size.max(1)).enumerate() {
            let (plane, y) = (i / size, i % size);
            let Some(row) = (top + y).checked_sub(padding).filter(|&row| row < rows) else { continue };
            if first < last {
                let start = (plane * rows + row) * columns + left + first - padding;
                out[first..last].copy_from_slice(&sample.input[start..start + last - first]);
            }
        }
        *sample = Sample { input: cropped, shape, target: sample.target };
        Ok(())
    }
}

/// Turns around the middle by an angle from `-degrees..degrees`, positive angles counter-clockwise.
/// Values are interpolated bilinearly; what turns in from outside is 0.
#[derive(Debug, Clone, Copy)]
pub struct RandomRotation(pub f32);

impl Transform for RandomRotation {
    fn apply(&self, sample: &mut Sample, rng: &mut Rng) -> Result<()> {
        let degrees = self.0;
        if !degrees.is_finite() || degrees < 0.0 {
            return data_error(format!("random rotation: {degrees} degrees is not 0 or more"));
        }
        let (rows, columns) = rows_and_columns("random rotation", sample)?;
        let angle = rng.range(-degrees, degrees).to_radians();
        let turned = sample
            .input
            .chunks((rows * columns).max(1))
            .flat_map(|plane| rotate(plane, rows, columns, angle));
        sample.input = turned.collect();
        Ok(())
    }
}

/// One plane turned counter-clockwise: each pixel of the result looks up where it comes from.
fn rotate(plane: &[f32], rows: usize, columns: usize, angle: f32) -> Vec<f32> {
    let (sin, cos) = angle.sin_cos();
    let (cy, cx) = ((rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0);
    let at = |y: isize, x: isize| {
        let inside = (0..rows as isize).contains(&y) && (0..columns as isize).contains(&x);
        if inside { plane[y as usize * columns + x as usize] } else { 0.0 }
    };
    let mut turned = Vec::with_capacity(plane.len());
    for y in 0..rows {
        for x in 0..columns {
            let (dy, dx) = (y as f32 - cy, x as f32 - cx);
            let (sy, sx) = (cy + sin * dx + cos * dy, cx + cos * dx - sin * dy);
            let (y0, x0) = (sy.floor(), sx.floor());
            let (fy, fx) = (sy - y0, sx - x0);
            let (y0, x0) = (y0 as isize, x0 as isize);
            let above = (1.0 - fx) * at(y0, x0) + fx * at(y0, x0 + 1);
            let below = (1.0 - fx) * at(y0 + 1, x0) + fx * at(y0 + 1, x0 + 1);
            turned.push((1.0 - fy) * above + fy * below);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter turn counter-clockwise brings the right column to the top.
    #[test]
    fn a_quarter_turn() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let turned = rotate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 3, 3, quarter);
        for (got, expected) in turned.iter().zip([3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]) {
            assert!((got - expected).abs() < 1e-4, "{turned:?}");
        }
    }

    /// What comes from between four pixels is a mixture of them.
    #[test]
    fn what_comes_from_between_is_mixed() {
        let mut plane = vec![0.0; 25];
        plane[12] = 1.0; // the middle stays where it is
        let turned = rotate(&plane, 5, 5, 0.5);
        assert!((turned[12] - 1.0).abs() < 1e-6);
        // Its left neighbour comes from a place cos to the left and sin up or down of the middle.
        let (sin, cos) = 0.5f32.sin_cos();
        assert!((turned[11] - (1.0 - sin) * (1.0 - cos)).abs() < 1e-5, "{turned:?}");
        // A constant stays constant where nothing turns in from outside.
        let turned = rotate(&[1.0; 25], 5, 5, 0.3);
        assert!((turned[6] - 1.0).abs() < 1e-5 && turned[0] < 0.9);
    }
}
