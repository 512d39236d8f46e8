//! What points at a place in a picture: rings and lines, drawn over its pixels.

use super::image_grid::Picture;

/// Red, green and blue.
pub type Color = [u8; 3];

impl Picture {
    /// Draws a ring of `radius` around `(x, y)`, a line `width` wide. All are in pixels; the upper left
    /// corner of the picture is (0, 0). What lies outside of the picture is left out.
    pub fn ring(&mut self, (x, y): (f64, f64), radius: f64, width: f64, color: Color) {
        self.draw(color, |px, py| (px - x).hypot(py - y) - radius, width);
    }

    /// Draws a line `width` wide from one point to another.
    pub fn line(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), width: f64, color: Color) {
        let (dx, dy) = (x1 - x0, y1 - y0);
        let length2 = (dx * dx + dy * dy).max(f64::MIN_POSITIVE);
        let distance = |px: f64, py: f64| {
            let along = (((px - x0) * dx + (py - y0) * dy) / length2).clamp(0.0, 1.0);
            (px - x0 - along * dx).hypot(py - y0 - along * dy)
        };
        self.draw(color, distance, width);
    }

    /// Colours what is less than half of `width` away from a curve, at its rim by the part of the pixel.
    fn draw(&mut self, color: Color, distance: impl Fn(f64, f64) -> f64, width: f64) {
        for (i, pixel) in self.rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % self.width, i / self.width);
            let away = distance(x as f64 + 0.5, y as f64 + 0.5).abs();
            let covered = (0.5 * width + 0.5 - away).clamp(0.0, 1.0);
            for (old, new) in pixel.iter_mut().zip(color) {
                *old = (f64::from(*old) + covered * (f64::from(new) - f64::from(*old))).round() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(picture: &Picture) -> Vec<(usize, usize)> {
        let pixels = picture.rgb.chunks(3).enumerate().filter(|(_, pixel)| pixel[0] > 127);
        pixels.map(|(i, _)| (i % picture.width, i / picture.width)).collect()
    }

    #[test]
    fn a_ring_lies_at_its_radius() {
        let mut picture = Picture::from_planes(&[0; 41 * 41], 1, 41, 41);
        picture.ring((20.5, 20.5), 15.0, 2.0, [255, 255, 255]);
        let away = |(x, y): (usize, usize)| (x as f64 - 20.0).hypot(y as f64 - 20.0);
        let ring = coloured(&picture);
        assert!(ring.iter().all(|p| (away(*p) - 15.0).abs() <= 1.01), "{ring:?}");
        let area = std::f64::consts::TAU * 15.0 * 2.0;
        assert!((ring.len() as f64 / area - 1.0).abs() < 0.1, "{} of {area} pixels", ring.len());
    }

    #[test]
    fn a_line_ends_where_it_should() {
        let mut picture = Picture::from_planes(&[0; 10 * 4], 1, 4, 10);
        picture.line((2.5, 1.5), (5.5, 1.5), 1.0, [255, 0, 0]);
        assert_eq!(coloured(&picture), [(2, 1), (3, 1), (4, 1), (5, 1)]);
        picture.line((-5.0, f64::NAN), (100.0, 2.0), 1.0, [255, 0, 0]);
        Picture::from_planes(&[], 1, 0, 0).ring((0.0, 0.0), 1.0, 1.0, [0; 3]);
    }
}
