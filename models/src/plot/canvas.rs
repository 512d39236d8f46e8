//! The sheet that charts and grids are drawn on, and its way into a file.

use std::path::Path;
use std::sync::Once;

use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, WHITE, register_font};
use voxgrad_engine::checkpoint;

use crate::{Error, Result};

/// Text, axes.
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// Secondary text.
pub(super) const MUTED: RGBColor = RGBColor(110, 110, 110);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);
/// What is wrong.
pub(super) const ALARM: RGBColor = RGBColor(204, 32, 38);
/// One colour per series, told apart by colour-blind readers too (Okabe and Ito, 2008).
pub(super) const PALETTE: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// Where the charts draw.
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Any failure of the drawing library: fonts and pixels of memory only, never a file.
pub(super) type DrawError = Box<dyn std::error::Error + Send + Sync>;

/// Everything is drawn this many times as large and averaged down, which smooths lines and
/// spaces letters evenly. Sizes and places on an [`Area`] are in these fine pixels: see [`px`].
const FINE: u32 = 2;

/// `pixels` of the finished picture in the fine pixels of the sheet.
pub(super) const fn px(pixels: i32) -> i32 {
    pixels * FINE as i32
}

/// Text of `size` pixels in `color`, in the font that comes with the program.
pub(super) fn text(size: u32, color: RGBColor) -> TextStyle<'static> {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // It fails for bytes that are no font; then drawing text fails, with an error.
        let _ = register_font(FAMILY, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    (FAMILY, size * FINE).into_font().color(&color.to_rgba())
}

const FAMILY: &str = "Ubuntu";

/// Draws a white sheet of `width` x `height` pixels and writes it to `path` as a PNG file.
pub(super) fn save(
    path: &Path,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area) -> Result<(), DrawError>,
) -> Result<()> {
    let plot_error =
        |e: &dyn std::fmt::Display| Error::Plot { path: path.to_path_buf(), message: e.to_string() };
    let (fine_width, fine_height) = (width * FINE, height * FINE);
    let mut sheet = vec![0; 3 * fine_width as usize * fine_height as usize];
    {
        let backend = BitMapBackend::with_buffer(&mut sheet, (fine_width, fine_height));
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(|e| plot_error(&e))?;
        draw(&area).map_err(|e| plot_error(&e))?;
        area.present().map_err(|e| plot_error(&e))?;
    }
    let pixels = average_down(&sheet, width as usize, height as usize);
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|e| plot_error(&e))?;
    Ok(checkpoint::write_atomically(path, &png)?)
}

/// Each pixel is the mean of the FINE x FINE pixels it covers.
fn average_down(sheet: &[u8], width: usize, height: usize) -> Vec<u8> {
    let fine = FINE as usize;
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let at = |dy, dx| u32::from(sheet[3 * ((y * fine + dy) * width * fine + x * fine + dx) + c]);
                let sum: u32 = (0..fine).map(|dy| (0..fine).map(|dx| at(dy, dx)).sum::<u32>()).sum();
                pixels.push((sum / (FINE * FINE)) as u8);
            }
        }
    }
    pixels
}
