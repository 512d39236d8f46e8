//! Outlines made of lines and curves, and how much of each pixel they cover.

/// Pixels along each side of an image.
pub const SIDE: usize = 32;
/// Rows of samples per row of pixels; along the row the covered length is exact.
const ROWS_PER_PIXEL: usize = 4;
/// Straight pieces that a curve is drawn with.
const PIECES: usize = 8;

/// A closed outline, its last point joined to its first.
#[derive(Debug, Clone)]
pub struct Outline(pub Vec<[f32; 2]>);

impl Outline {
    /// Starts at a point.
    pub fn from(x: f32, y: f32) -> Outline {
        Outline(vec![[x, y]])
    }

    /// Goes straight to (x, y).
    pub fn line(mut self, x: f32, y: f32) -> Outline {
        self.0.push([x, y]);
        self
    }

    /// Goes to (x, y) in a quadratic Bezier curve that is drawn towards (cx, cy).
    pub fn curve(mut self, [cx, cy]: [f32; 2], [x, y]: [f32; 2]) -> Outline {
        let [x0, y0] = self.0[self.0.len() - 1];
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            self.0.push([a * x0 + b * cx + c * x, a * y0 + b * cy + c * y]);
        }
        self
    }

    /// An ellipse around (x, y).
    pub fn ellipse([x, y]: [f32; 2], rx: f32, ry: f32) -> Outline {
        let angles = (0..2 * PIECES).map(|i| i as f32 * std::f32::consts::PI / PIECES as f32);
        Outline(angles.map(|a| [x + rx * a.cos(), y + ry * a.sin()]).collect())
    }

    /// The same outline upside down.
    pub fn flipped(&self) -> Outline {
        self.moved(|[x, y]| [x, -y])
    }

    /// The same outline with every point somewhere else.
    pub fn moved(&self, to: impl Fn([f32; 2]) -> [f32; 2]) -> Outline {
        Outline(self.0.iter().map(|&point| to(point)).collect())
    }
}

/// The part of each pixel, 0 to 1, that lies inside any of `outlines`; their unit is a pixel, and
/// (0, 0) is the upper left corner.
pub fn coverage(outlines: &[Outline]) -> [f32; SIDE * SIDE] {
    let mut covered = [0.0f32; SIDE * SIDE];
    let mut spans: Vec<[f32; 2]> = vec![];
    for row in 0..SIDE * ROWS_PER_PIXEL {
        let y = (row as f32 + 0.5) / ROWS_PER_PIXEL as f32;
        spans.clear();
        outlines.iter().for_each(|outline| add_spans(outline, y, &mut spans));
        spans.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let pixels = &mut covered[row / ROWS_PER_PIXEL * SIDE..][..SIDE];
        let mut done = 0.0; // spans may overlap: what lies left of this is counted
        for &[start, end] in &spans {
            let (start, end) = (start.max(done), end.min(SIDE as f32));
            if start < end {
                add_span(pixels, start, end);
                done = end;
            }
        }
    }
    covered
}

/// The pieces of the line at height `y` that lie inside `outline`: between its first and second
/// crossing, its third and fourth, and so on.
fn add_spans(Outline(points): &Outline, y: f32, spans: &mut Vec<[f32; 2]>) {
    let mut crossings = [0.0f32; 16];
    let mut n = 0;
    for (i, &[x1, y1]) in points.iter().enumerate() {
        let [x0, y0] = points[if i == 0 { points.len() - 1 } else { i - 1 }];
        if (y0 <= y) != (y1 <= y) && n < crossings.len() {
            crossings[n] = x0 + (x1 - x0) * (y - y0) / (y1 - y0);
            n += 1;
        }
    }
    crossings[..n].sort_by(f32::total_cmp);
    spans.extend(crossings[..n].chunks_exact(2).map(|pair| [pair[0], pair[1]]));
}

fn add_span(pixels: &mut [f32], start: f32, end: f32) {
    let first = start as usize;
    for (x, pixel) in pixels.iter_mut().enumerate().skip(first).take(end as usize + 1 - first) {
        let inside = end.min((x + 1) as f32) - start.max(x as f32);
        *pixel += inside.max(0.0) / ROWS_PER_PIXEL as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_areas_are_the_outlines_areas() {
        let area = |outlines: &[Outline]| coverage(outlines).iter().sum::<f32>();
        let square = Outline::from(3.25, 4.0).line(13.75, 4.0).line(13.75, 10.0).line(3.25, 10.0);
        assert!((area(std::slice::from_ref(&square)) - 63.0).abs() < 1e-3);
        assert_eq!(coverage(std::slice::from_ref(&square))[5 * SIDE + 3], 0.75);
        // Where outlines overlap, nothing counts twice.
        let shifted = square.moved(|[x, y]| [x + 2.0, y]);
        assert!((area(&[shifted, square.clone()]) - 75.0).abs() < 1e-3);
        // What lies outside the image doesn't count.
        assert!((area(&[square.moved(|[x, y]| [x - 8.5, y - 7.0])]) - 5.25 * 3.0).abs() < 1e-3);
        assert_eq!(area(&[square.moved(|[x, y]| [x + 40.0, y])]), 0.0);
        assert_eq!(area(&[square.moved(|[x, y]| [x, y - 40.0])]), 0.0);
        let circle = Outline::ellipse([16.0, 16.0], 8.0, 8.0);
        assert!((area(&[circle]) / (64.0 * std::f32::consts::PI) - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_curve_ends_where_it_should_and_bends_half_way_to_its_control_point() {
        let Outline(points) = Outline::from(0.0, 0.0).curve([1.0, 2.0], [2.0, 0.0]);
        assert_eq!(points[PIECES / 2], [1.0, 1.0]);
        assert_eq!(points[PIECES], [2.0, 0.0]);
    }
}
