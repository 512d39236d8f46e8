//! Small signs that point out values: a diamond, and a vertical line with ends. Places are in the fine
//! pixels of the sheet.

use plotters::element::Polygon;
use plotters::style::{Color, WHITE};

use super::canvas::{INK, px};

type Pixel = (i32, i32);

/// A dark diamond around a point, with a white rim that sets it off from what it lies on.
pub(super) fn diamond((x, y): Pixel) -> [Polygon<Pixel>; 2] {
    let corners = |r: i32| vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
    [Polygon::new(corners(px(8)), WHITE.filled()), Polygon::new(corners(px(6)), INK.filled())]
}

/// The lines of a whisker on column `x` between two rows.
pub(super) fn whisker(x: i32, top: i32, bottom: i32) -> [[Pixel; 2]; 3] {
    let end = |y| [(x - px(4), y), (x + px(4), y)];
    [[(x, top), (x, bottom)], end(top), end(bottom)]
}
