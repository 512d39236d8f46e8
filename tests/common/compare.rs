//! Comparing what a device computed with a reference.

/// How far `got` is from `expected`.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// Normalised mean square error: sum (got - expected)^2 / sum expected^2.
    pub nmse: f64,
    /// The largest |got - expected|, NaN where only one of the two is NaN.
    pub largest: f64,
    /// Where that is.
    pub at: usize,
    /// The largest |expected|.
    pub scale: f64,
}

/// The distance of two lists of the same length. NaN agrees with NaN, infinity with the same
/// infinity.
pub fn difference(got: &[f64], expected: &[f64]) -> Difference {
    let mut worst = Difference { nmse: 0.0, largest: 0.0, at: 0, scale: 0.0 };
    let mut squares = (0.0, 0.0);
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let same = got == expected || (got.is_nan() && expected.is_nan());
        let error = if same { 0.0 } else { (got - expected).abs() };
        // A NaN is the largest error of all, and stays it.
        if error.is_nan() && !worst.largest.is_nan() || error > worst.largest {
            (worst.largest, worst.at) = (error, at);
        }
        if expected.is_finite() {
            worst.scale = worst.scale.max(expected.abs());
            squares = (squares.0 + error * error, squares.1 + expected * expected);
        }
    }
    // Against a reference of zeros any error counts in full.
    worst.nmse = if squares.0 == 0.0 { 0.0 } else { squares.0 / squares.1.max(f64::MIN_POSITIVE) };
    worst
}
