//! A table of numbers as coloured cells, such as a confusion matrix.

use std::path::Path;

use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor, WHITE};

use super::canvas::{self, Area, DrawError, GRID, INK, MUTED, PALETTE, px, text};
use super::head;
use crate::Result;
use crate::metrics::ConfusionMatrix;

/// In pixels of the finished picture.
const MARGIN: i32 = 24;
const HEAD: i32 = 92;
const CELL: i32 = 64;
/// What a letter of a name takes, about.
const LETTER: i32 = 9;
/// A line of a name or of a cell.
const LINE: i32 = 20;

struct Cell {
    shade: f64,
    color: RGBColor,
    lines: Vec<String>,
}

/// A table with a name for each row and column; a cell is the darker the larger its number.
pub struct HeatMap {
    title: String,
    subtitle: String,
    rows: (String, Vec<String>),
    columns: (String, Vec<String>),
    /// Row by row.
    cells: Vec<Cell>,
}

impl HeatMap {
    /// An empty table.
    pub fn new(title: impl Into<String>) -> HeatMap {
        let (rows, columns) = Default::default();
        HeatMap { title: title.into(), subtitle: String::new(), rows, columns, cells: Vec::new() }
    }

    /// A confusion matrix: a row per true class, a column per prediction, in each cell how many there
    /// are and what part of their row that is, which is its shade. What is right is blue, what is wrong
    /// orange. A class for each of `names`.
    pub fn confusion(title: impl Into<String>, counts: &ConfusionMatrix, names: &[&str]) -> HeatMap {
        let mut map = HeatMap::new(title)
            .subtitle(format!("{} predictions; percent and shade: the part of the row", counts.total()))
            .rows("true class", names.iter().copied())
            .columns("predicted", names.iter().copied());
        for truth in 0..names.len() {
            let row: u64 = (0..names.len()).map(|said| counts.count(truth, said)).sum();
            for said in 0..names.len() {
                let count = counts.count(truth, said);
                let part = if row == 0 { 0.0 } else { count as f64 / row as f64 };
                let color = PALETTE[usize::from(truth != said)];
                let lines = vec![count.to_string(), percent(part, count)];
                map.cells.push(Cell { shade: part, color, lines });
            }
        }
        map
    }

    /// A line under the title.
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> HeatMap {
        self.subtitle = subtitle.into();
        self
    }

    /// What the rows are, from top to bottom.
    pub fn rows<S: Into<String>>(
        mut self,
        label: impl Into<String>,
        names: impl IntoIterator<Item = S>,
    ) -> HeatMap {
        self.rows = (label.into(), names.into_iter().map(Into::into).collect());
        self
    }

    /// What the columns are, from left to right.
    pub fn columns<S: Into<String>>(
        mut self,
        label: impl Into<String>,
        names: impl IntoIterator<Item = S>,
    ) -> HeatMap {
        self.columns = (label.into(), names.into_iter().map(Into::into).collect());
        self
    }

    /// The numbers row by row, written with `decimals`. The largest one is darkest, 0 and what is below
    /// it or not finite is white.
    pub fn values(mut self, values: impl IntoIterator<Item = f64>, decimals: usize) -> HeatMap {
        let values: Vec<f64> = values.into_iter().collect();
        let largest = values.iter().copied().filter(|v| v.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let cell = |v: &f64| Cell {
            shade: v / largest,
            color: PALETTE[0],
            lines: vec![if v.is_finite() { format!("{v:.decimals$}") } else { "–".into() }],
        };
        self.cells = values.iter().map(cell).collect();
        self
    }

    /// Draws the table and writes it to `path` as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let (cell_width, cell_height) = self.cell_size();
        let (rows, columns) = (self.rows.1.len() as i32, self.columns.1.len() as i32);
        let names = LETTER * longest(&self.rows.1) + 8 + 2 * LINE; // and the label, upright
        let left = MARGIN + names;
        let head = head::width(&self.title, &self.subtitle) + 2 * MARGIN;
        let width = (left + columns * cell_width + MARGIN).max(head);
        // The same air on both sides where the title is wider than the table.
        let left = left.max((width - columns * cell_width + names) / 2);
        let height = HEAD + rows * cell_height + 3 * LINE + MARGIN;
        canvas::save(path.as_ref(), (width as u32, height as u32), |area| {
            self.draw_head(area, width)?;
            for (i, cell) in self.cells.iter().enumerate().take((rows * columns) as usize) {
                let (row, column) = (i as i32 / columns, i as i32 % columns);
                let corner = (left + column * cell_width, HEAD + row * cell_height);
                cell.draw(area, corner, (cell_width, cell_height))?;
            }
            let (bottom, middle_x) = (HEAD + rows * cell_height, left + columns * cell_width / 2);
            for (row, name) in self.rows.1.iter().enumerate() {
                let at = (px(left - 8), px(HEAD + row as i32 * cell_height + cell_height / 2));
                let right = text(16, INK).pos(Pos::new(HPos::Right, VPos::Center));
                area.draw(&Text::new(name.as_str(), at, right))?;
            }
            for (column, name) in self.columns.1.iter().enumerate() {
                let at = (px(left + column as i32 * cell_width + cell_width / 2), px(bottom + 8));
                area.draw(&Text::new(name.as_str(), at, text(16, INK).pos(TOP)))?;
            }
            let label = (px(middle_x), px(bottom + 8 + LINE + 8));
            area.draw(&Text::new(self.columns.0.as_str(), label, text(18, INK).pos(TOP)))?;
            let upright = text(18, INK).transform(FontTransform::Rotate270).pos(TOP);
            let label = (px(left - names), px(HEAD + rows * cell_height / 2));
            Ok(area.draw(&Text::new(self.rows.0.as_str(), label, upright))?)
        })
    }

    fn draw_head(&self, area: &Area, width: i32) -> Result<(), DrawError> {
        let (title, subtitle) = ((px(width / 2), px(18)), (px(width / 2), px(54)));
        area.draw(&Text::new(self.title.as_str(), title, text(28, INK).pos(TOP)))?;
        Ok(area.draw(&Text::new(self.subtitle.as_str(), subtitle, text(17, MUTED).pos(TOP)))?)
    }

    /// Room for the longest name of a column and what the cells say.
    fn cell_size(&self) -> (i32, i32) {
        let lines = self.cells.iter().flat_map(|cell| &cell.lines);
        let letters = longest(lines).max(longest(&self.columns.1));
        let rows = self.cells.iter().map(|cell| cell.lines.len()).max().unwrap_or(0) as i32;
        (CELL.max(LETTER * letters + 12), CELL.max(LINE * rows + 12))
    }
}

const TOP: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };

impl Cell {
    fn draw(&self, area: &Area, (x, y): (i32, i32), (width, height): (i32, i32)) -> Result<(), DrawError> {
        let shade = if self.shade.is_finite() { self.shade.clamp(0.0, 1.0) } else { 0.0 };
        let corners = [(px(x), px(y)), (px(x + width), px(y + height))];
        area.draw(&Rectangle::new(corners, self.color.mix(shade).filled()))?;
        area.draw(&Rectangle::new(corners, GRID.stroke_width(px(1) as u32)))?;
        let (ink, faint) = if shade > 0.5 { (WHITE, WHITE) } else { (INK, MUTED) };
        let first = y + height / 2 - LINE * (self.lines.len() as i32 - 1) / 2;
        for (i, line) in self.lines.iter().enumerate() {
            let style = if i == 0 { text(18, ink) } else { text(14, faint) };
            let at = (px(x + width / 2), px(first + LINE * i as i32));
            area.draw(&Text::new(line.as_str(), at, style.pos(Pos::new(HPos::Center, VPos::Center))))?;
        }
        Ok(())
    }
}

/// One that is there is never 0%.
fn percent(part: f64, count: u64) -> String {
    match 100.0 * part {
        percent if percent < 1.0 && count > 0 => "< 1%".into(),
        percent => format!("{percent:.0}%"),
    }
}

fn longest<'a>(texts: impl IntoIterator<Item = &'a String>) -> i32 {
    texts.into_iter().map(|text| text.chars().count()).max().unwrap_or(0) as i32
}
