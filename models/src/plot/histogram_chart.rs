//! How values are spread: for each class the part of its values that lies in each bin.

use std::path::Path;

use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle};
use plotters::style::{Color, TRANSPARENT};

use super::axis::Axis;
use super::canvas::{self, Area, DrawError, GRID, INK, PALETTE, px, text};
use super::head::{self, HEAD, Sample};
use crate::Result;
use crate::curves::Histogram;

const SIZE: (u32, u32) = (960, 600);

/// A chart of histograms over each other. Each shows parts of its own values, so that a class of a dozen
/// can be seen beside one of thousands; the legend has the counts.
pub struct HistogramChart {
    title: String,
    x_label: String,
    series: Vec<(String, Histogram)>,
}

impl HistogramChart {
    /// An empty chart.
    pub fn new(title: impl Into<String>) -> HistogramChart {
        HistogramChart { title: title.into(), x_label: String::new(), series: Vec::new() }
    }

    /// What the values are.
    pub fn x_label(mut self, label: impl Into<String>) -> HistogramChart {
        self.x_label = label.into();
        self
    }

    /// Adds a class.
    pub fn series(mut self, name: impl Into<String>, counted: Histogram) -> HistogramChart {
        self.series.push((name.into(), counted));
        self
    }

    /// Draws the chart and writes it to `path` as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        canvas::save(path.as_ref(), SIZE, |area| {
            let (head, body) = area.split_vertically(px(HEAD));
            let total = |counted: &Histogram| counted.counts().iter().sum::<u64>();
            let name = |(name, counted): &(String, Histogram)| format!("{name} ({})", total(counted));
            let names: Vec<String> = self.series.iter().map(name).collect();
            let samples = PALETTE.into_iter().cycle().map(Sample::Bar);
            let legend: Vec<_> = names.iter().map(String::as_str).zip(samples).collect();
            head::draw(&head, SIZE.0, &self.title, &legend)?;
            self.draw_body(&body)
        })
    }

    fn draw_body(&self, area: &Area) -> Result<(), DrawError> {
        let edges = || self.series.iter().flat_map(|(_, counted)| counted.edges()).copied();
        let (low, high) = (edges().fold(f64::INFINITY, f64::min), edges().fold(f64::NEG_INFINITY, f64::max));
        let range = if low < high { low..high } else { 0.0..1.0 };
        let largest = self.series.iter().flat_map(|(_, counted)| parts(counted)).fold(0.0, f64::max);
        let top = if largest > 0.0 { 1.06 * largest } else { 1.0 };
        let (x_axis, y_axis) = (Axis::new(range, 10), Axis::new(0.0..top, 8));
        let (x_marks, y_marks) = (x_axis.len(), y_axis.len());
        let mut chart = ChartBuilder::on(area)
            .margin_right(px(32))
            .margin_left(px(16))
            .margin_bottom(px(14))
            .x_label_area_size(px(56))
            .y_label_area_size(px(84))
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(x_marks)
            .y_labels(y_marks)
            .x_desc(&self.x_label)
            .y_desc("part of the class")
            .label_style(text(17, INK))
            .axis_desc_style(text(20, INK))
            .bold_line_style(GRID.stroke_width(px(1) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(px(1) as u32))
            .set_all_tick_mark_size(px(5))
            .draw()?;
        for ((_, counted), color) in self.series.iter().zip(PALETTE.into_iter().cycle()) {
            let bars = || parts(counted).zip(counted.edges().windows(2));
            let full = bars().filter(|(part, _)| *part > 0.0);
            let bar = |(part, edges): (f64, &[f64])| {
                Rectangle::new([(edges[0], 0.0), (edges[1], part)], color.mix(0.35).filled())
            };
            chart.draw_series(full.map(bar))?;
            // The outline shows a class behind another one.
            let bars: Vec<_> = bars().collect();
            for run in bars.split(|(part, _)| *part == 0.0).filter(|run| !run.is_empty()) {
                let mut outline: Vec<(f64, f64)> =
                    run.iter().flat_map(|(part, edges)| [(edges[0], *part), (edges[1], *part)]).collect();
                outline.insert(0, (run[0].1[0], 0.0));
                outline.extend(run.last().map(|(_, edges)| (edges[1], 0.0)));
                chart.draw_series([PathElement::new(outline, color.stroke_width(px(2) as u32))])?;
            }
        }
        Ok(())
    }
}

/// The part of all values that lies in each bin.
fn parts(counted: &Histogram) -> impl Iterator<Item = f64> {
    let total = counted.counts().iter().sum::<u64>().max(1) as f64;
    counted.counts().iter().map(move |count| *count as f64 / total)
}
