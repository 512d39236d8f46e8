//! A roofline: how fast something computes against how much it computes with each byte that it moves.

use std::ops::Range;
use std::path::Path;

use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::{Circle, Rectangle, Text};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TRANSPARENT, WHITE};

use super::canvas::{self, Area, DrawError, GRID, INK, MUTED, PALETTE, px, text};
use super::head::{self, HEAD, Sample};
use crate::Result;

const SIZE: (u32, u32) = (960, 600);
/// Between the lines of two labels, in pixels of the finished picture.
const LINE: i32 = 22;

/// A chart with two logarithmic axes: operations a second over operations a byte. Under a flat roof, what the
/// processor can compute, meet slanted ones, what it can compute with the bytes that arrive.
///
/// ```no_run
/// use voxgrad_models::plot::RooflineChart;
///
/// RooflineChart::new("conv2d on the CPU", "445 GFLOP/s", 445e9)
///     .memory("copies, 42 GB/s", 42e9)
///     .point("plain", 12.5, 2.1e9)
///     .point("tiled", 12.5, 310e9)
///     .save("conv2d.png")?;
/// # Ok::<(), voxgrad_models::Error>(())
/// ```
pub struct RooflineChart {
    title: String,
    arithmetic: (String, f64),
    memories: Vec<(String, f64)>,
    points: Vec<(String, f64, f64)>,
}

impl RooflineChart {
    /// A chart under a flat roof of so many operations a second.
    pub fn new(title: impl Into<String>, roof: impl Into<String>, flops: f64) -> RooflineChart {
        RooflineChart {
            title: title.into(),
            arithmetic: (roof.into(), flops),
            memories: Vec::new(),
            points: Vec::new(),
        }
    }

    /// With a slanted roof of so many bytes a second.
    pub fn memory(mut self, roof: impl Into<String>, bytes: f64) -> RooflineChart {
        self.memories.push((roof.into(), bytes));
        self
    }

    /// With something that does so many operations with a byte, and so many in a second.
    pub fn point(mut self, name: impl Into<String>, intensity: f64, flops: f64) -> RooflineChart {
        self.points.push((name.into(), intensity, flops));
        self
    }

    /// Draws the chart and writes it to `path` as a PNG file. What is not above 0 is left out.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        canvas::save(path.as_ref(), SIZE, |area| {
            let (head, body) = area.split_vertically(px(HEAD));
            let roofs = std::iter::once(&self.arithmetic).chain(&self.memories).zip(PALETTE);
            let legend: Vec<(&str, Sample)> =
                roofs.map(|((name, _), color)| (name.as_str(), Sample::Line(color))).collect();
            head::draw(&head, SIZE.0, &self.title, &legend)?;
            self.draw_body(&body)
        })
    }

    fn points(&self) -> impl Iterator<Item = &(String, f64, f64)> {
        let drawable = |x: f64| x.is_finite() && x > 0.0;
        self.points.iter().filter(move |(_, x, y)| drawable(*x) && drawable(*y))
    }

    /// Some air around the points, and all places where roofs meet.
    fn ranges(&self) -> (Range<f64>, Range<f64>) {
        let (_, peak) = self.arithmetic;
        let ridges = self.memories.iter().map(|(_, bytes)| peak / bytes);
        let xs: Vec<f64> = self.points().map(|(_, x, _)| *x).chain(ridges).collect();
        let lowest = self.points().map(|(_, _, y)| *y).fold(peak / 30.0, f64::min);
        let (low, high) = xs.iter().fold((1.0, 1.0), |(low, high): (f64, f64), &x| (low.min(x), high.max(x)));
        (low / 4.0..high * 10.0, lowest / 3.0..peak * 2.5)
    }

    fn draw_body(&self, area: &Area) -> Result<(), DrawError> {
        let (x, y) = self.ranges();
        let (x_axis, y_axis) = (LogAxis::new(x.clone(), 1.0), LogAxis::new(y.clone(), 1e9));
        let (x_marks, y_marks) = (x_axis.marks.len(), y_axis.marks.len());
        let mut chart = ChartBuilder::on(area)
            .margin_right(px(32))
            .margin_left(px(16))
            .margin_bottom(px(14))
            .x_label_area_size(px(56))
            .y_label_area_size(px(84))
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .x_labels(x_marks)
            .y_labels(y_marks)
            .x_desc("floating-point operations per byte")
            .y_desc("GFLOP/s")
            .label_style(text(17, INK))
            .axis_desc_style(text(20, INK))
            .bold_line_style(GRID.stroke_width(px(1) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(px(1) as u32))
            .set_all_tick_mark_size(px(5))
            .draw()?;
        let (_, peak) = self.arithmetic;
        let widest = self.memories.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        let flat = [(if widest > 0.0 { peak / widest } else { x.start }, peak), (x.end, peak)];
        chart.draw_series(LineSeries::new(flat, PALETTE[0].stroke_width(px(2) as u32)))?;
        for ((_, bytes), color) in self.memories.iter().zip(PALETTE.iter().skip(1).cycle()) {
            // From the frame, left or below, up to the flat roof.
            let from = x.start.max(y.start / bytes);
            let slope = [(from, from * bytes), (peak / bytes, peak)];
            chart.draw_series(LineSeries::new(slope, color.stroke_width(px(2) as u32)))?;
        }
        // A line up to the roofs at each intensity.
        let mut intensities: Vec<f64> = self.points().map(|(_, x, _)| *x).collect();
        intensities.dedup();
        for at in intensities {
            let style = MUTED.stroke_width(px(1) as u32);
            let top = peak.min(widest * at).max(y.start);
            chart.draw_series(DashedLineSeries::new(
                [(at, y.start), (at, top)],
                px(7) as u32,
                px(6) as u32,
                style,
            ))?;
        }
        let ((left, top), plot) = (area.get_base_pixel(), chart.plotting_area());
        let mut labels = Vec::new();
        for (name, intensity, flops) in self.points() {
            let (x, y) = plot.map_coordinate(&(*intensity, *flops));
            let (x, y) = (x - left, y - top);
            area.draw(&Circle::new((x, y), px(6), INK.filled()))?;
            labels.push((x, y, format!("{name}, {}", short(flops / 1e9))));
        }
        // From below up, none over another.
        labels.sort_by_key(|(_, y, _)| std::cmp::Reverse(*y));
        let mut above = i32::MAX;
        for (x, y, label) in labels {
            let y = y.min(above);
            above = y - px(LINE);
            let on_the_right = x < px(SIZE.0 as i32 * 3 / 5);
            let (side, x) = if on_the_right { (HPos::Left, x + px(14)) } else { (HPos::Right, x - px(14)) };
            // On white, where a roof runs through it.
            let style = text(18, INK).pos(Pos::new(side, VPos::Center));
            let (width, _) = area.estimate_text_size(&label, &style)?;
            let (start, half) = (if on_the_right { x } else { x - width as i32 }, px(LINE / 2 - 1));
            let under = [(start - px(2), y - half), (start + width as i32 + px(2), y + half)];
            area.draw(&Rectangle::new(under, WHITE.filled()))?;
            area.draw(&Text::new(label, (x, y), style))?;
        }
        Ok(())
    }
}

/// A number with three digits that say something.
fn short(x: f64) -> String {
    let decimals = (2.0 - x.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{x:.decimals$}")
}

/// A logarithmic axis marked at powers of ten, or at 1, 2 and 5 times those where there are few.
struct LogAxis {
    range: Range<f64>,
    marks: Vec<f64>,
    /// What its numbers are shown in.
    unit: f64,
}

impl LogAxis {
    fn new(range: Range<f64>, unit: f64) -> LogAxis {
        let (first, last) = (range.start.log10().floor() as i32, range.end.log10().ceil() as i32);
        let steps: &[f64] = if last - first > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        let marks = all.filter(|mark| range.contains(mark)).collect();
        LogAxis { range, marks, unit }
    }
}

impl Ranged for LogAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (value / self.range.start).ln() / (self.range.end / self.range.start).ln();
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for LogAxis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let value = value / self.unit;
        let decimals = (-value.log10().floor()).clamp(0.0, 9.0) as usize;
        format!("{value:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_powers_of_ten() {
        let labels = |axis: LogAxis| axis.marks.iter().map(|mark| axis.format_ext(mark)).collect::<Vec<_>>();
        assert_eq!(labels(LogAxis::new(3e7..2e12, 1e9)), ["0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels(LogAxis::new(0.04..3.0, 1.0)), ["0.05", "0.1", "0.2", "0.5", "1", "2"]);
        let axis = LogAxis::new(1.0..100.0, 1.0);
        assert_eq!((axis.map(&1.0, (0, 200)), axis.map(&10.0, (0, 200))), (0, 100));
        assert_eq!(
            (short(0.01234), short(3.456), short(445.6)),
            ("0.0123".into(), "3.46".into(), "446".into())
        );
    }

    /// Points, roofs and what can't be drawn.
    #[test]
    fn a_roofline_is_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roofline.png");
        let chart = RooflineChart::new("conv2d", "445 GFLOP/s", 445e9).memory("copies", 42e9);
        chart.point("plain", 12.5, 2e9).point("nothing", 0.0, f64::NAN).save(&path).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8().dimensions(), SIZE);
    }
}
