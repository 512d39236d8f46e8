//! Where the voxels of a scan lie in the patient.
//!
//! A place has two names: `irc`, the whole numbers (index, row, column) of an array, and `xyz`,
//! millimetres in the patient's frame (x to the patient's left, y to the back, z to the head).
//!
//! ```text
//! xyz = D (cri * spacing) + origin
//! cri = (D^-1 (xyz - origin)) / spacing      rounded; irc is cri in reverse order
//! ```
//!
//! with D the direction matrix, whose columns are the directions in which columns, rows and slices
//! are counted. "Deep Learning with PyTorch", section 10.3.2.

use std::result;

/// The place of voxel (0, 0, 0), the distances of voxels and the directions of the axes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Geometry {
    /// The centre of voxel (0, 0, 0), x, y, z in mm.
    pub origin: [f64; 3],
    /// From the centre of one voxel to the next, along columns, rows and slices, in mm.
    pub spacing: [f64; 3],
    /// The matrix D, row by row.
    pub direction: [[f64; 3]; 3],
    /// D^-1.
    inverse: [[f64; 3]; 3],
}

/// The direction matrix of a scan that lies as the patient does.
pub const IDENTITY: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

impl Geometry {
    /// A geometry in which every place has both names.
    ///
    /// # Errors
    /// A message, when a number is not finite, a spacing is not above 0, or two of the directions or
    /// all three lie in one plane, so that no voxel could be told from a place.
    pub fn new(
        origin: [f64; 3],
        spacing: [f64; 3],
        direction: [[f64; 3]; 3],
    ) -> result::Result<Geometry, String> {
        if !origin.iter().all(|x| x.is_finite()) {
            return Err(format!("the origin {origin:?} is no place"));
        }
        if !spacing.iter().all(|&s| s.is_finite() && s > 0.0) {
            return Err(format!("the spacing {spacing:?} should be three lengths above 0 mm"));
        }
        if !direction.iter().flatten().all(|x| x.is_finite()) {
            return Err(format!("the direction matrix {direction:?} is no matrix of numbers"));
        }
        let inverse = inverse(&direction).ok_or_else(|| {
            format!(
                "the direction matrix {direction:?} is singular (its determinant is {:e}): the axes of a scan \
                 must not lie in one plane",
                determinant(&direction)
            )
        })?;
        Ok(Geometry { origin, spacing, direction, inverse })
    }

    /// The centre of a voxel, in mm.
    pub fn irc_to_xyz(&self, irc: [i64; 3]) -> [f64; 3] {
        let [index, row, col] = irc.map(|i| i as f64);
        self.cri_to_xyz([col, row, index])
    }

    /// The place in mm of a column, row and index that need not be whole numbers.
    pub fn cri_to_xyz(&self, cri: [f64; 3]) -> [f64; 3] {
        let turned = times(&self.direction, std::array::from_fn(|k| cri[k] * self.spacing[k]));
        std::array::from_fn(|k| turned[k] + self.origin[k])
    }

    /// Column, row and index of a place in mm, with the part of a voxel that is left over.
    pub fn xyz_to_cri(&self, xyz: [f64; 3]) -> [f64; 3] {
        let turned = times(&self.inverse, std::array::from_fn(|k| xyz[k] - self.origin[k]));
        std::array::from_fn(|k| turned[k] / self.spacing[k])
    }

    /// The voxel nearest to a place in mm; of two equally near ones that with the even number, as numpy
    /// rounds. It may lie outside of the scan. Coordinates are to be finite.
    pub fn xyz_to_irc(&self, xyz: [f64; 3]) -> [i64; 3] {
        let [col, row, index] = self.xyz_to_cri(xyz).map(|c| c.round_ties_even() as i64);
        [index, row, col]
    }
}

fn times(matrix: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

fn cross([a0, a1, a2]: [f64; 3], [b0, b1, b2]: [f64; 3]) -> [f64; 3] {
    [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
}

fn determinant([a, b, c]: &[[f64; 3]; 3]) -> f64 {
    let ab = cross(*a, *b);
    ab[0] * c[0] + ab[1] * c[1] + ab[2] * c[2]
}

/// Cramer's rule: the columns of the inverse are the cross products of two rows each, divided by the
/// determinant. None where that is next to nothing: that of axes at right angles is 1 or -1.
fn inverse(matrix: &[[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let &[a, b, c] = matrix;
    let determinant = determinant(matrix);
    if determinant.abs() < 1e-6 || !determinant.is_finite() {
        return None;
    }
    let columns = [cross(b, c), cross(c, a), cross(a, b)];
    Some(std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i] / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_aligned_scan() {
        let geometry = Geometry::new([-106.9375, -78.887497, -282.5], [0.703125, 0.703125, 2.5], IDENTITY);
        let geometry = geometry.unwrap();
        assert_eq!(geometry.irc_to_xyz([0, 0, 0]), geometry.origin);
        assert_eq!(geometry.irc_to_xyz([4, 0, 2]), [-106.9375 + 2.0 * 0.703125, -78.887497, -272.5]);
        assert_eq!(geometry.xyz_to_irc([-106.9375 + 0.8, -78.887497 - 0.8, -282.5 + 6.0]), [2, -1, 1]);
    }

    #[test]
    fn half_ways_go_to_the_even_voxel() {
        let geometry = Geometry::new([0.0; 3], [2.0; 3], IDENTITY).unwrap();
        for (x, col) in [(1.0, 0), (3.0, 2), (5.0, 2), (-1.0, 0), (-3.0, -2), (3.001, 2), (2.999, 1)] {
            assert_eq!(geometry.xyz_to_irc([x, 0.0, 0.0]), [0, 0, col], "{x}");
        }
    }

    /// Turned about all three axes, mirrored and sheared: every voxel is found again by its place.
    #[test]
    fn there_and_back_in_any_direction() {
        let (s, c) = 0.4f64.sin_cos();
        let (t, d) = 1.1f64.sin_cos();
        let turned = [[c, -s * d, s * t], [s, c * d, -c * t], [0.0, t, d]];
        let mirrored = [[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let tilted_gantry = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.95]];
        for direction in [turned, mirrored, tilted_gantry] {
            let geometry = Geometry::new([-12.5, 100.0, 3.0], [0.7, 0.8, 2.5], direction).unwrap();
            for irc in [[0, 0, 0], [1, 2, 3], [130, 511, 17], [-4, 5, 600]] {
                assert_eq!(geometry.xyz_to_irc(geometry.irc_to_xyz(irc)), irc, "{direction:?}");
                let cri = geometry.xyz_to_cri(geometry.irc_to_xyz(irc));
                let off = cri.iter().zip([irc[2], irc[1], irc[0]]).map(|(c, i)| (c - i as f64).abs());
                assert!(off.fold(0.0, f64::max) < 1e-9, "{direction:?}: {cri:?}");
            }
        }
        // A quarter turn about z: columns run along y, rows against x.
        let quarter = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let geometry = Geometry::new([0.0; 3], [1.0, 2.0, 3.0], quarter).unwrap();
        assert_eq!(geometry.irc_to_xyz([1, 1, 1]), [-2.0, 1.0, 3.0]);
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        let new = |spacing, direction| Geometry::new([0.0; 3], spacing, direction).unwrap_err();
        for spacing in [[f64::NAN, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, -2.5], [f64::INFINITY, 1.0, 1.0]] {
            assert!(new(spacing, IDENTITY).contains("three lengths above 0 mm"), "{spacing:?}");
        }
        let flat = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1e-9]];
        assert!(new([1.0; 3], flat).contains("singular (its determinant is 1e-9)"));
        assert!(new([1.0; 3], [[0.0; 3]; 3]).contains("singular"));
        assert!(new([1.0; 3], [[f64::NAN; 3]; 3]).contains("no matrix of numbers"));
        assert!(
            new([1.0; 3], [[1e200, 0.0, 0.0], [0.0, 1e200, 0.0], [0.0, 0.0, 1e200]]).contains("singular")
        );
        let message = Geometry::new([f64::NAN; 3], [1.0; 3], IDENTITY).unwrap_err();
        assert_eq!(message, "the origin [NaN, NaN, NaN] is no place");
    }
}
