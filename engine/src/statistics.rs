//! What the elements of a tensor are like, in a few numbers.

use std::fmt;

use crate::{Result, Tensor};

/// The extremes, mean and spread of a tensor's elements; those that are NaN are only counted.
///
/// ```
/// use voxgrad_engine::{Device, Statistics, Tensor};
///
/// let x = Tensor::new(&[1.0f32, 2.0, 6.0, f32::NAN], [4], &Device::cpu())?;
/// let Statistics { min, mean, max, nan, .. } = Statistics::of(&x)?;
/// assert_eq!((min, mean, max, nan), (1.0, 3.0, 6.0, 0.25));
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The smallest element; NaN where there is none.
    pub min: f64,
    /// Their sum divided by their number n; NaN where there is none.
    pub mean: f64,
    /// The largest element; NaN where there is none.
    pub max: f64,
    /// sqrt(sum((x - mean)^2) / (n - 1)), as `torch.std`; NaN for fewer than two.
    pub std: f64,
    /// The part of all elements that is NaN.
    pub nan: f64,
}

impl Statistics {
    /// Those of `tensor`, computed in f64. Waits for the device.
    pub fn of(tensor: &Tensor) -> Result<Statistics> {
        let mut elements = tensor.to_f64_vec()?;
        let all = elements.len().max(1) as f64;
        elements.retain(|x| !x.is_nan());
        let n = elements.len() as f64;
        let mean = elements.iter().sum::<f64>() / n;
        let squares: f64 = elements.iter().map(|x| (x - mean).powi(2)).sum();
        Ok(Statistics {
            // f64::min passes over the NaN it begins with.
            min: elements.iter().copied().fold(f64::NAN, f64::min),
            mean,
            max: elements.iter().copied().fold(f64::NAN, f64::max),
            std: if n < 2.0 { f64::NAN } else { (squares / (n - 1.0)).sqrt() },
            nan: (tensor.numel() as f64 - n) / all,
        })
    }

    /// Five cells of a table: min, mean, max, std and the share of NaN.
    pub(crate) fn cells(&self) -> [String; 5] {
        let [min, mean, max, std] = [self.min, self.mean, self.max, self.std].map(number);
        [min, mean, max, std, percent(self.nan)]
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, mean, max, std, nan] = self.cells();
        write!(f, "min {min}, mean {mean}, max {max}, std {std}, NaN {nan}")
    }
}

/// Four decimals where they say something, else a power of ten; `-` for what there is not.
fn number(x: f64) -> String {
    match x.abs() {
        _ if x.is_nan() => "-".into(),
        size if size == 0.0 || (1e-2..1e5).contains(&size) || size.is_infinite() => format!("{x:.4}"),
        _ => format!("{x:.2e}"),
    }
}

/// Never 0% where there is something, nor 100% where something is missing.
fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0%".into(),
        100.0 => "100%".into(),
        percent => format!("{:.1}%", percent.clamp(0.1, 99.9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn of(values: &[f64]) -> Statistics {
        Statistics::of(&Tensor::new(values, [values.len()], &Device::cpu()).unwrap()).unwrap()
    }

    #[test]
    fn nan_is_counted_and_left_out() {
        let all = of(&[3.0, f64::NAN, 1.0, 2.0, f64::NAN]);
        assert_eq!(all, Statistics { min: 1.0, mean: 2.0, max: 3.0, std: 1.0, nan: 0.4 });
        assert_eq!(of(&[f64::NEG_INFINITY, 0.0]).min, f64::NEG_INFINITY);
    }

    #[test]
    fn what_there_is_not_is_a_dash() {
        assert_eq!(of(&[]).cells(), ["-", "-", "-", "-", "0%"]);
        assert_eq!(of(&[f64::NAN]).cells(), ["-", "-", "-", "-", "100%"]);
        assert_eq!(of(&[2.0]).cells(), ["2.0000", "2.0000", "2.0000", "-", "0%"]);
        let mut many = vec![-1e-3; 9999];
        many.push(f64::NAN);
        assert_eq!(of(&many).cells()[0], "-1.00e-3");
        assert_eq!(of(&many).cells()[4], "0.1%");
    }
}
