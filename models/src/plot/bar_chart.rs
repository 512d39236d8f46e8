//! Bars: groups of values side by side over one axis.

use std::ops::Range;
use std::path::Path;

use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TRANSPARENT, WHITE};

use super::axis::Axis;
use super::canvas::{self, Area, DrawError, GRID, INK, PALETTE, px, text};
use super::head::{self, HEAD, Sample};
use super::marks::{diamond, whisker};
use crate::Result;

const HEIGHT: u32 = 600;
/// In pixels of the finished picture: of a group, and of what is left and right of all groups.
const GROUP: u32 = 92;
const SIDES: u32 = 84 + 16 + 32;
/// The part of a group's width that its bars take, where there are many groups; few are no wider.
const FILLED: f64 = 0.84;

/// One value, and what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    value: f64,
    spread: Option<(f64, f64)>,
    marks: Vec<f64>,
}

impl Bar {
    /// A bar from the axis to `value`. One that is not finite leaves a gap.
    pub fn new(value: f64) -> Bar {
        Bar { value, spread: None, marks: Vec::new() }
    }

    /// A line from `low` to `high` over the bar, where they differ: between which values it lies.
    pub fn spread(mut self, low: f64, high: f64) -> Bar {
        self.spread = (low < high).then_some((low, high));
        self
    }

    /// A diamond at each of `values`: what the bar should have reached, for example.
    pub fn marks(mut self, values: impl IntoIterator<Item = f64>) -> Bar {
        self.marks.extend(values);
        self
    }
}

/// A chart of named groups, each with a bar per series.
pub struct BarChart {
    title: String,
    y_label: String,
    range: Range<f64>,
    series: Vec<String>,
    spread_name: String,
    mark_name: String,
    groups: Vec<(String, Vec<Bar>)>,
}

impl BarChart {
    /// An empty chart whose vertical axis is `range`; what is outside is cut off.
    pub fn new(title: impl Into<String>, range: Range<f64>) -> BarChart {
        BarChart {
            title: title.into(),
            y_label: String::new(),
            range,
            series: Vec::new(),
            spread_name: String::new(),
            mark_name: String::new(),
            groups: Vec::new(),
        }
    }

    /// What the vertical axis measures.
    pub fn y_label(mut self, label: impl Into<String>) -> BarChart {
        self.y_label = label.into();
        self
    }

    /// What the bars of a group are, from left to right.
    pub fn series<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> BarChart {
        self.series = names.into_iter().map(Into::into).collect();
        self
    }

    /// What the lines over the bars show, for the legend.
    pub fn spread_name(mut self, name: impl Into<String>) -> BarChart {
        self.spread_name = name.into();
        self
    }

    /// What the diamonds show, for the legend.
    pub fn mark_name(mut self, name: impl Into<String>) -> BarChart {
        self.mark_name = name.into();
        self
    }

    /// Adds a group with its bars. A comma in its name begins a new line.
    pub fn group(mut self, name: impl Into<String>, bars: impl IntoIterator<Item = Bar>) -> BarChart {
        self.groups.push((name.into(), bars.into_iter().collect()));
        self
    }

    /// Draws the chart and writes it to `path` as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        canvas::save(path.as_ref(), (self.width(), HEIGHT), |area| {
            let (head, body) = area.split_vertically(px(HEAD));
            head::draw(&head, self.width(), &self.title, &self.legend())?;
            self.draw_body(&body)
        })
    }

    fn width(&self) -> u32 {
        (SIDES + GROUP * self.groups.len() as u32).max(960)
    }

    /// The series, and of the signs those that are there.
    fn legend(&self) -> Vec<(&str, Sample)> {
        let any = |has: fn(&Bar) -> bool| self.groups.iter().any(|(_, bars)| bars.iter().any(has));
        let bars = self.series.iter().zip(PALETTE.into_iter().cycle());
        let mut legend: Vec<(&str, Sample)> =
            bars.map(|(name, color)| (name.as_str(), Sample::Bar(color))).collect();
        if any(|bar| bar.spread.is_some()) {
            legend.push((&self.spread_name, Sample::Whisker));
        }
        if any(|bar| !bar.marks.is_empty()) {
            legend.push((&self.mark_name, Sample::Diamond));
        }
        legend
    }

    fn draw_body(&self, area: &Area) -> Result<(), DrawError> {
        let y_axis = Axis::new(self.range.clone(), 6);
        let y_marks = y_axis.len();
        let mut chart = ChartBuilder::on(area)
            .margin_right(px(32))
            .margin_left(px(16))
            .margin_bottom(px(14))
            .x_label_area_size(px(52))
            .y_label_area_size(px(84))
            .build_cartesian_2d(0.0..self.groups.len().max(1) as f64, y_axis)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_labels(y_marks)
            .y_desc(&self.y_label)
            .label_style(text(17, INK))
            .axis_desc_style(text(20, INK))
            .bold_line_style(GRID.stroke_width(px(1) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(px(1) as u32))
            .set_all_tick_mark_size(px(5))
            .draw()?;
        // From numbers to pixels of the sheet, and from there to those of this area.
        let (left, top) = area.get_base_pixel();
        let plot = chart.plotting_area();
        let place = |x: f64, y: f64| {
            let (x, y) = plot.map_coordinate(&(x, y.clamp(self.range.start, self.range.end)));
            (x - left, y - top)
        };
        let groups = self.groups.len() as f64;
        let filled = FILLED.min(2.0 * f64::from(GROUP) * groups / f64::from(self.width() - SIDES));
        for (g, (name, bars)) in self.groups.iter().enumerate() {
            let width = filled / self.series.len().max(bars.len()).max(1) as f64;
            let start = g as f64 + 0.5 - 0.5 * filled;
            for (i, bar) in bars.iter().enumerate() {
                let x = start + i as f64 * width;
                self.draw_bar(area, i, bar, |at, y| place(x + at * width, y))?;
            }
            let (x, y) = place(g as f64 + 0.5, self.range.start);
            let centred = text(16, INK).pos(Pos::new(HPos::Center, VPos::Top));
            for (line, part) in name.split(',').enumerate() {
                let below = (x, y + px(10 + 19 * line as i32));
                area.draw(&Text::new(part.trim(), below, centred.clone()))?;
            }
        }
        Ok(())
    }

    /// Draws bar `i` of a group. `place` says where a value lies, and on which part of the bar's width.
    fn draw_bar(
        &self,
        area: &Area,
        i: usize,
        bar: &Bar,
        place: impl Fn(f64, f64) -> (i32, i32),
    ) -> Result<(), DrawError> {
        if bar.value.is_finite() {
            let corners = [place(0.02, bar.value), place(0.98, self.range.start)];
            area.draw(&Rectangle::new(corners, PALETTE[i % PALETTE.len()].filled()))?;
            // The value at the foot of the bar, where nothing covers it, or above a bar too low for it; not
            // where it would run into its neighbour's.
            let tall = corners[1].1 - corners[0].1 > px(24);
            let (x, y) = place(0.5, self.range.start);
            let foot = text(15, if tall { WHITE } else { INK }).pos(Pos::new(HPos::Center, VPos::Bottom));
            let up = if tall { px(5) } else { corners[1].1 - corners[0].1 + px(3) };
            let value = format!("{:.2}", bar.value);
            if area.estimate_text_size(&value, &foot)?.0 as i32 <= corners[1].0 - corners[0].0 {
                area.draw(&Text::new(value, (x, y - up), foot))?;
            }
        }
        let inside = |(low, high): &(f64, f64)| *low < self.range.end && self.range.start < *high;
        if let Some((low, high)) = bar.spread.filter(inside) {
            let ((x, bottom), (_, top)) = (place(0.5, low), place(0.5, high));
            for line in whisker(x, top, bottom) {
                area.draw(&PathElement::new(line, INK.stroke_width(px(1) as u32)))?;
            }
        }
        for mark in bar.marks.iter().filter(|mark| self.range.contains(mark)) {
            // Beside the whisker, not on it.
            for part in diamond(place(0.78, *mark)) {
                area.draw(&part)?;
            }
        }
        Ok(())
    }
}
