//! Many small pictures side by side, each with a caption.

use std::path::Path;

use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::canvas::{self, ALARM, Area, DrawError, INK, MUTED, px, text};
use super::head;
use crate::Result;

/// A small picture in 8-bit colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row, [height, width, 3].
    pub(super) rgb: Vec<u8>,
}

impl Picture {
    /// A picture from planes `[channels, height, width]` as data sets store them: one channel is
    /// grey, three are red, green and blue. Pixels that are missing are black.
    pub fn from_planes(planes: &[u8], channels: usize, height: usize, width: usize) -> Picture {
        let plane = height * width;
        let at = |c: usize, i: usize| planes.get(c.min(channels.max(1) - 1) * plane + i).copied();
        let rgb = (0..plane).flat_map(|i| [0, 1, 2].map(|c| at(c, i).unwrap_or(0))).collect();
        Picture { width, height, rgb }
    }

    /// The same picture with each pixel a square of `times` x `times`.
    pub fn enlarged(&self, times: usize) -> Picture {
        let times = times.max(1);
        let (width, height) = (times * self.width, times * self.height);
        let at = |i: usize| 3 * (i / width / times * self.width + i % width / times);
        let rgb = (0..width * height).flat_map(|i| self.rgb[at(i)..][..3].to_vec()).collect();
        Picture { width, height, rgb }
    }

    /// Red, green and blue of all pixels, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    fn pixel(&self, x: usize, y: usize) -> RGBColor {
        let at = 3 * (y * self.width + x);
        RGBColor(self.rgb[at], self.rgb[at + 1], self.rgb[at + 2])
    }
}

struct Cell {
    picture: Picture,
    caption: Vec<String>,
    wrong: bool,
}

/// A sheet of captioned pictures under a title; wrong ones stand in a red frame.
pub struct ImageGrid {
    title: String,
    subtitle: String,
    columns: usize,
    scale: usize,
    /// Empty where a row has ended early.
    cells: Vec<Option<Cell>>,
}

/// In pixels of the finished picture.
const MARGIN: i32 = 24;
const HEAD: i32 = 84;
const LINE: i32 = 19;
const FRAME: i32 = 5;

impl ImageGrid {
    /// An empty grid of `columns` pictures a row, each pixel drawn `scale` times as large.
    pub fn new(title: impl Into<String>, columns: usize, scale: usize) -> ImageGrid {
        let (columns, scale) = (columns.max(1), scale.max(1));
        ImageGrid { title: title.into(), subtitle: String::new(), columns, scale, cells: Vec::new() }
    }

    /// A line under the title.
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> ImageGrid {
        self.subtitle = subtitle.into();
        self
    }

    /// Adds a picture with the lines of its caption.
    pub fn push(&mut self, picture: Picture, caption: impl IntoIterator<Item = String>, wrong: bool) {
        self.cells.push(Some(Cell { picture, caption: caption.into_iter().collect(), wrong }));
    }

    /// The next picture begins a new row.
    pub fn end_row(&mut self) {
        self.cells.resize_with(self.cells.len().next_multiple_of(self.columns), || None);
    }

    /// Draws the grid and writes it to `path` as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let (cell_width, cell_height) = self.cell_size();
        let (columns, rows) = (self.columns as i32, self.cells.len().div_ceil(self.columns) as i32);
        let width = (columns * cell_width).max(head::width(&self.title, &self.subtitle)) + 2 * MARGIN;
        let height = HEAD + rows * cell_height + MARGIN;
        canvas::save(path.as_ref(), (width as u32, height as u32), |area| {
            let head = Pos::new(HPos::Center, VPos::Top);
            let (title, subtitle) = ((px(width / 2), px(18)), (px(width / 2), px(54)));
            area.draw(&Text::new(self.title.as_str(), title, text(28, INK).pos(head)))?;
            area.draw(&Text::new(self.subtitle.as_str(), subtitle, text(17, MUTED).pos(head)))?;
            let left = (width - columns * cell_width) / 2;
            for (i, cell) in self.cells.iter().enumerate() {
                let Some(cell) = cell else { continue };
                let (row, column) = (i as i32 / columns, i as i32 % columns);
                let middle = left + column * cell_width + cell_width / 2;
                self.draw_cell(area, cell, middle, HEAD + row * cell_height + FRAME)?;
            }
            Ok(())
        })
    }

    /// Room for the largest picture, its frame and the longest caption.
    fn cell_size(&self) -> (i32, i32) {
        let largest =
            |size: fn(&Cell) -> usize| self.cells.iter().flatten().map(size).max().unwrap_or(0) as i32;
        let lines = largest(|cell| cell.caption.len());
        let longest = largest(|cell| cell.caption.iter().map(|line| line.chars().count()).max().unwrap_or(0));
        let scale = self.scale as i32;
        let width = (scale * largest(|cell| cell.picture.width) + 24).max(9 * longest);
        (width, scale * largest(|cell| cell.picture.height) + LINE * lines + 26)
    }

    /// Draws one picture, its upper edge at `top` and centred on the column `middle`.
    fn draw_cell(&self, area: &Area, cell: &Cell, middle: i32, top: i32) -> Result<(), DrawError> {
        let scale = px(self.scale as i32);
        let (width, height) = (scale * cell.picture.width as i32, scale * cell.picture.height as i32);
        let (x0, y0) = (px(middle) - width / 2, px(top));
        if cell.wrong {
            let corners =
                [(x0 - px(FRAME), y0 - px(FRAME)), (x0 + width + px(FRAME), y0 + height + px(FRAME))];
            area.draw(&Rectangle::new(corners, ALARM.filled()))?;
        }
        for y in 0..height {
            for x in 0..width {
                let color = cell.picture.pixel((x / scale) as usize, (y / scale) as usize);
                area.draw_pixel((x0 + x, y0 + y), &color)?;
            }
        }
        let color = if cell.wrong { ALARM } else { INK };
        for (i, line) in cell.caption.iter().enumerate() {
            let at = (px(middle), y0 + height + px(12 + LINE * i as i32));
            area.draw(&Text::new(line.as_str(), at, text(16, color).pos(Pos::new(HPos::Center, VPos::Top))))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let gray = Picture::from_planes(&[9; 3], 1, 2, 2);
        assert_eq!(gray.rgb, [9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0], "the missing pixel is black");
        let color = Picture::from_planes(&[1, 2, 3, 4, 5, 6], 3, 1, 2);
        assert_eq!(color.rgb, [1, 3, 5, 2, 4, 6]);
    }

    #[test]
    fn enlarged_pixels_are_squares() {
        let large = Picture::from_planes(&[1, 2], 1, 1, 2).enlarged(2);
        assert_eq!((large.width, large.height), (4, 2));
        let reds: Vec<u8> = large.rgb.iter().step_by(3).copied().collect();
        assert_eq!(reds, [1, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(large.enlarged(0), large);
    }

    #[test]
    fn a_row_can_end_early() {
        let mut grid = ImageGrid::new("", 3, 1);
        let push = |grid: &mut ImageGrid| grid.push(Picture::from_planes(&[0], 1, 1, 1), [], false);
        push(&mut grid);
        grid.end_row();
        grid.end_row();
        assert_eq!(grid.cells.len(), 3);
        push(&mut grid);
        assert!(grid.cells[3].is_some());
    }
}
