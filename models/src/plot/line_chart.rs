//! Curves: named series of points over one axis.

use std::ops::Range;
use std::path::Path;

use plotters::chart::ChartBuilder;
use plotters::element::Circle;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{Color, TRANSPARENT};

use super::axis::Axis;
use super::canvas::{self, Area, DrawError, GRID, INK, MUTED, PALETTE, px, text};
use super::head::{self, HEAD, Sample};
use super::marks::diamond;
use crate::Result;

const SIZE: (u32, u32) = (960, 600);
/// Up to this many points of a series are marked: a run of one epoch is a dot, not nothing.
const MARKED: usize = 25;

/// A chart of named curves. Points that are not finite leave a gap.
pub struct LineChart {
    title: String,
    x_label: String,
    y_label: String,
    from_zero: bool,
    x_range: Option<Range<f64>>,
    y_range: Option<Range<f64>>,
    series: Vec<(String, Vec<(f64, f64)>)>,
    guides: Vec<(String, [(f64, f64); 2])>,
    marks: (String, Vec<(f64, f64)>),
}

impl LineChart {
    /// An empty chart.
    pub fn new(title: impl Into<String>) -> LineChart {
        LineChart {
            title: title.into(),
            x_label: String::new(),
            y_label: String::new(),
            from_zero: false,
            x_range: None,
            y_range: None,
            series: Vec::new(),
            guides: Vec::new(),
            marks: Default::default(),
        }
    }

    /// What the horizontal axis counts or, with [`LineChart::x_range`], measures.
    pub fn x_label(mut self, label: impl Into<String>) -> LineChart {
        self.x_label = label.into();
        self
    }

    /// What the vertical axis measures.
    pub fn y_label(mut self, label: impl Into<String>) -> LineChart {
        self.y_label = label.into();
        self
    }

    /// Starts the vertical axis at zero instead of just below the lowest point.
    pub fn from_zero(mut self) -> LineChart {
        self.from_zero = true;
        self
    }

    /// Draws the horizontal axis over this range, whatever the points are, with marks that need not be whole
    /// numbers.
    pub fn x_range(mut self, range: Range<f64>) -> LineChart {
        self.x_range = Some(range);
        self
    }

    /// Draws the vertical axis over this range, whatever the points are.
    pub fn y_range(mut self, range: Range<f64>) -> LineChart {
        self.y_range = Some(range);
        self
    }

    /// Adds a dashed line between two points, to hold the curves against.
    pub fn guide(mut self, name: impl Into<String>, ends: [(f64, f64); 2]) -> LineChart {
        self.guides.push((name.into(), ends));
        self
    }

    /// Puts a diamond at each of `points`.
    pub fn marks(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> LineChart {
        self.marks = (name.into(), points.into_iter().collect());
        self
    }

    /// Adds a curve of points (x, y), x rising.
    pub fn series(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> LineChart {
        self.series.push((name.into(), points.into_iter().collect()));
        self
    }

    /// Draws the chart and writes it to `path` as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        canvas::save(path.as_ref(), SIZE, |area| {
            let (head, body) = area.split_vertically(px(HEAD));
            head::draw(&head, SIZE.0, &self.title, &self.legend())?;
            self.draw_body(&body)
        })
    }

    fn legend(&self) -> Vec<(&str, Sample)> {
        let colors = PALETTE.into_iter().cycle();
        let lines = self.series.iter().zip(colors).map(|((name, _), color)| (name, Sample::Line(color)));
        let guides = self.guides.iter().map(|(name, _)| (name, Sample::Dashes));
        let (name, points) = &self.marks;
        let marks = points.iter().any(is_finite).then_some((name, Sample::Diamond));
        lines.chain(guides).chain(marks).map(|(name, sample)| (name.as_str(), sample)).collect()
    }

    fn draw_body(&self, area: &Area) -> Result<(), DrawError> {
        let x_axis = match &self.x_range {
            Some(range) => Axis::new(range.clone(), 10),
            None => Axis::whole(self.x_bounds(), 10),
        };
        let y_axis = Axis::new(self.y_range.clone().unwrap_or_else(|| self.y_bounds()), 8);
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
            .x_labels(x_marks)
            .y_labels(y_marks)
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .label_style(text(17, INK))
            .axis_desc_style(text(20, INK))
            .bold_line_style(GRID.stroke_width(px(1) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(px(1) as u32))
            .set_all_tick_mark_size(px(5))
            .draw()?;
        for (_, ends) in self.guides.iter().filter(|(_, ends)| ends.iter().all(is_finite)) {
            let style = MUTED.stroke_width(px(1) as u32);
            chart.draw_series(DashedLineSeries::new(*ends, px(7) as u32, px(6) as u32, style))?;
        }
        for (i, (_, points)) in self.series.iter().enumerate() {
            let color = PALETTE[i % PALETTE.len()];
            // One that others will cover is drawn wider, and looks out on both sides.
            let same = self.series.iter().skip(i + 1).filter(|(_, later)| later == points).count() as i32;
            let (line, dot) = (px(2 + 4 * same), px(4 + 3 * same));
            for run in points.split(|p| !is_finite(p)) {
                chart.draw_series(LineSeries::new(run.iter().copied(), color.stroke_width(line as u32)))?;
            }
            if points.len() <= MARKED {
                let finite = points.iter().copied().filter(is_finite);
                chart.draw_series(finite.map(|point| Circle::new(point, dot, color.filled())))?;
            }
        }
        // Above all curves, in the pixels of this area.
        let ((left, top), plot) = (area.get_base_pixel(), chart.plotting_area());
        for point in self.marks.1.iter().filter(|point| is_finite(point)) {
            let (x, y) = plot.map_coordinate(point);
            for part in diamond((x - left, y - top)) {
                area.draw(&part)?;
            }
        }
        Ok(())
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.series.iter().flat_map(|(_, points)| points).copied().filter(is_finite)
    }

    /// From the first x to the last; a single one stands in the middle.
    fn x_bounds(&self) -> Range<f64> {
        match bounds(self.finite().map(|(x, _)| x)) {
            Some((low, high)) if low < high => low..high,
            Some((x, _)) => x - 1.0..x + 1.0,
            None => 0.0..1.0,
        }
    }

    /// All y with a little air.
    fn y_bounds(&self) -> Range<f64> {
        let Some((low, high)) = bounds(self.finite().map(|(_, y)| y)) else { return 0.0..1.0 };
        let low = if self.from_zero { low.min(0.0) } else { low };
        let spread = if high > low { high - low } else { low.abs().max(1e-3) };
        let air = 0.06 * spread;
        if self.from_zero && low == 0.0 { 0.0..high.max(spread) + air } else { low - air..high + air }
    }
}

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |seen, v| match seen {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}
