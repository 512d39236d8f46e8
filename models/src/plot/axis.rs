//! An axis marked at round numbers.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// A stretch of numbers, the round ones among them, and how many decimals those need.
pub(super) struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// About `wanted` marks at multiples of 1, 2 or 5 times a power of ten.
    pub fn new(range: Range<f64>, wanted: usize) -> Axis {
        let step = round_step((range.end - range.start) / wanted as f64);
        Axis::with_step(range, step)
    }

    /// The same with whole numbers alone, for counts such as epochs.
    pub fn whole(range: Range<f64>, wanted: usize) -> Axis {
        let step = round_step((range.end - range.start) / wanted as f64).max(1.0);
        Axis::with_step(range, step)
    }

    fn with_step(range: Range<f64>, step: f64) -> Axis {
        let (first, last) = ((range.start / step).ceil(), (range.end / step).floor());
        let count = if last >= first { (last - first) as usize + 1 } else { 0 };
        let ticks = (0..count.min(100)).map(|i| (first + i as f64) * step).collect();
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        Axis { range, ticks, decimals }
    }

    /// The number of marks.
    pub fn len(&self) -> usize {
        self.ticks.len()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        if self.range.end.abs().max(self.range.start.abs()) >= 1e6 {
            return format!("{value:.1e}");
        }
        format!("{value:.*}", self.decimals)
    }
}

/// The smallest of 1, 2, 5, 10, .. times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn marks_are_round_numbers() {
        assert_eq!(labels(&Axis::new(0.12..0.63, 6)), ["0.2", "0.3", "0.4", "0.5", "0.6"]);
        assert_eq!(labels(&Axis::new(0.875..0.905, 4)), ["0.88", "0.89", "0.90"]);
        assert_eq!(labels(&Axis::whole(1.0..50.0, 5)), ["10", "20", "30", "40", "50"]);
    }

    #[test]
    fn counts_have_no_fractions() {
        assert_eq!(labels(&Axis::whole(0.5..3.5, 10)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::whole(0.0..2.0, 10)), ["0", "1", "2"]);
    }
}
