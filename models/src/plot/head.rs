//! What stands above a chart: its title, and the legend where it can't cover anything.

use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::canvas::{Area, DrawError, INK, MUTED, px, text};
use super::marks::{diamond, whisker};

/// How tall it is, in pixels of the finished picture.
pub(super) const HEAD: i32 = 84;

/// What a legend shows beside a name.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    /// A curve of this colour.
    Line(RGBColor),
    /// A dashed line.
    Dashes,
    /// A bar of this colour.
    Bar(RGBColor),
    /// A diamond.
    Diamond,
    /// A vertical line with ends.
    Whisker,
}

impl Sample {
    fn width(self) -> i32 {
        match self {
            Sample::Line(_) | Sample::Dashes => px(28),
            Sample::Bar(_) => px(18),
            Sample::Diamond | Sample::Whisker => px(12),
        }
    }

    /// Draws it from the column `x` on, centred on the row `y`.
    fn draw(self, area: &Area, x: i32, y: i32) -> Result<(), DrawError> {
        let (right, middle) = (x + self.width(), x + self.width() / 2);
        match self {
            Sample::Line(color) => {
                area.draw(&Rectangle::new([(x, y - px(1)), (right, y + px(1))], color.filled()))?;
            }
            Sample::Dashes => {
                for dash in [x, x + px(11), x + px(22)] {
                    area.draw(&Rectangle::new(
                        [(dash, y - px(1)), (dash + px(6), y + px(1))],
                        MUTED.filled(),
                    ))?;
                }
            }
            Sample::Bar(color) => {
                area.draw(&Rectangle::new([(x, y - px(7)), (right, y + px(7))], color.filled()))?;
            }
            Sample::Diamond => diamond((middle, y)).iter().try_for_each(|part| area.draw(part))?,
            Sample::Whisker => {
                for line in whisker(middle, y - px(8), y + px(8)) {
                    area.draw(&PathElement::new(line, INK.stroke_width(px(1) as u32)))?;
                }
            }
        }
        Ok(())
    }
}

/// About what a title and the line beneath it take, in pixels of the finished picture, but not less than
/// a small picture has.
pub(super) fn width(title: &str, subtitle: &str) -> i32 {
    let letters = |text: &str| text.chars().count() as i32;
    (15 * letters(title)).max(9 * letters(subtitle)).max(432)
}

/// Draws `title` and the `legend` on an area `width` pixels wide.
pub(super) fn draw(area: &Area, width: u32, title: &str, legend: &[(&str, Sample)]) -> Result<(), DrawError> {
    let middle = px(width as i32 / 2);
    let centred = Pos::new(HPos::Center, VPos::Top);
    area.draw(&Text::new(title, (middle, px(18)), text(28, INK).pos(centred)))?;

    let (style, gap, between) = (text(18, INK), px(8), px(32));
    let widths = legend.iter().map(|(name, _)| area.estimate_text_size(name, &style));
    let widths = widths.map(|size| Ok(size?.0 as i32)).collect::<Result<Vec<_>, DrawError>>()?;
    let samples: i32 = legend.iter().map(|(_, sample)| sample.width() + gap).sum();
    let total = samples + widths.iter().sum::<i32>() + between * (legend.len() as i32 - 1);
    let (mut x, y) = (middle - total / 2, px(66));
    for ((name, sample), width) in legend.iter().zip(widths) {
        sample.draw(area, x, y)?;
        let left = text(18, INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(*name, (x + sample.width() + gap, y), left))?;
        x += sample.width() + gap + width + between;
    }
    Ok(())
}
