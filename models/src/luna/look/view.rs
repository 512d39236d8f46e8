//! A flat view through a scan, in the patient's millimetres: so a voxel is as long and wide as it is, and
//! a scan that lies turned is seen as the patient lies.

use crate::luna::ct::Ct;
use crate::plot::{Color, Picture};

/// What is drawn as black and as white, in HU: air to bone, so that a lung's vessels stand out. The book's
/// pictures have the same.
const WINDOW: (f64, f64) = (-1000.0, 300.0);
/// What lies outside of the scan.
const OUTSIDE: u8 = 64;
/// What points at a place.
pub(super) const MARK: Color = [255, 176, 0];
/// The width of lines, in pixels.
const LINE: f64 = 1.5;

/// A ring around what has no diameter, in mm.
pub(super) const NO_DIAMETER: f64 = 10.0;

/// The diameter of the ring around a candidate; its own is 0 or below where nobody has measured it.
pub(super) fn ring_mm(diameter_mm: f64) -> f64 {
    if diameter_mm > 0.0 { diameter_mm } else { NO_DIAMETER }
}

/// The direction one looks along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// From the feet: the patient's right is left, the front on top.
    Axial,
    /// From the front: the patient's right is left, the head on top.
    Coronal,
    /// From the patient's left: the front is left, the head on top.
    Sagittal,
}

impl Plane {
    pub const ALL: [Plane; 3] = [Plane::Axial, Plane::Coronal, Plane::Sagittal];

    /// The axis of the patient's frame, 0 to 2, that leads right in the picture, the one that leads down
    /// or up, whether it leads up, and the one that leads away.
    pub fn axes(self) -> (usize, usize, bool, usize) {
        match self {
            Plane::Axial => (0, 1, false, 2),
            Plane::Coronal => (0, 2, true, 1),
            Plane::Sagittal => (1, 2, true, 0),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Plane::Axial => "axial",
            Plane::Coronal => "coronal",
            Plane::Sagittal => "sagittal",
        }
    }
}

/// A rectangle in a plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub plane: Plane,
    /// x, y, z in mm.
    pub middle: [f64; 3],
    /// Width and height in mm.
    pub size: (f64, f64),
    /// How long the side of a pixel is.
    pub mm_per_pixel: f64,
}

impl View {
    /// What `ct` has there.
    pub fn draw(&self, ct: &Ct) -> Picture {
        let (width, height) = (self.pixels(self.size.0), self.pixels(self.size.1));
        let (right, down, upwards, _) = self.plane.axes();
        let mut grey = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let mut xyz = self.middle;
                let (dx, dy) = (x as f64 + 0.5 - 0.5 * width as f64, y as f64 + 0.5 - 0.5 * height as f64);
                xyz[right] += dx * self.mm_per_pixel;
                xyz[down] += if upwards { -dy } else { dy } * self.mm_per_pixel;
                grey.push(sample(ct, xyz).map_or(OUTSIDE, shade));
            }
        }
        Picture::from_planes(&grey, 1, height, width)
    }

    /// Where in the picture a place of the patient is, in pixels.
    pub fn place(&self, xyz: [f64; 3]) -> (f64, f64) {
        let (right, down, upwards, _) = self.plane.axes();
        let x = (xyz[right] - self.middle[right]) / self.mm_per_pixel;
        let y = (xyz[down] - self.middle[down]) / self.mm_per_pixel;
        let half = |mm: f64| 0.5 * self.pixels(mm) as f64;
        (half(self.size.0) + x, half(self.size.1) + if upwards { -y } else { y })
    }

    /// Puts a ring of `diameter_mm` around a place of the patient.
    pub fn ring(&self, picture: &mut Picture, xyz: [f64; 3], diameter_mm: f64) {
        picture.ring(self.place(xyz), 0.5 * diameter_mm / self.mm_per_pixel, LINE, MARK);
    }

    /// Lines from all four sides towards a place, up to `gap_mm` from it.
    pub fn crosshair(&self, picture: &mut Picture, xyz: [f64; 3], gap_mm: f64) {
        let ((x, y), gap) = (self.place(xyz), gap_mm / self.mm_per_pixel);
        let (width, height) = (self.pixels(self.size.0) as f64, self.pixels(self.size.1) as f64);
        for (from, to) in [
            ((0.0, y), (x - gap, y)),
            ((x + gap, y), (width, y)),
            ((x, 0.0), (x, y - gap)),
            ((x, y + gap), (x, height)),
        ] {
            let outwards = (to.0 - from.0) + (to.1 - from.1);
            if outwards > 0.0 {
                picture.line(from, to, 1.0, MARK);
            }
        }
    }

    /// A bar of `mm` in the lower left corner.
    pub fn scale_bar(&self, picture: &mut Picture, mm: f64) {
        let (left, y) = (8.0, self.pixels(self.size.1) as f64 - 8.0);
        // Dark at its rim, to be seen on bright tissue too.
        for (width, color) in [(6.0, [0; 3]), (3.0, [255; 3])] {
            picture.line((left, y), (left + mm / self.mm_per_pixel, y), width, color);
        }
    }

    fn pixels(&self, mm: f64) -> usize {
        // A view of no size would have no picture; one of kilometres no end.
        (mm / self.mm_per_pixel).round().clamp(1.0, 2000.0) as usize
    }
}

/// Hounsfield units as grey.
fn shade(hu: f64) -> u8 {
    (255.0 * (hu - WINDOW.0) / (WINDOW.1 - WINDOW.0)).round().clamp(0.0, 255.0) as u8
}

/// The value at a place in mm, between the eight nearest voxels; nothing outside of the scan, whose outer
/// voxels reach half a voxel beyond their centres.
fn sample(ct: &Ct, xyz: [f64; 3]) -> Option<f64> {
    let cri = ct.geometry.xyz_to_cri(xyz);
    let [slices, rows, columns] = ct.size;
    let mut low = [0; 3];
    let mut high = [0; 3];
    let mut part = [0.0; 3];
    for (axis, size) in [columns, rows, slices].into_iter().enumerate() {
        let at = cri[axis];
        if !(-0.5..size as f64 - 0.5).contains(&at) {
            return None;
        }
        let inside = at.clamp(0.0, size as f64 - 1.0);
        low[axis] = inside as usize;
        high[axis] = (low[axis] + 1).min(size - 1);
        part[axis] = inside - low[axis] as f64;
    }
    let at = |c: usize, r: usize, i: usize| ct.hu.get((i * rows + r) * columns + c).map(|&hu| f64::from(hu));
    let along_columns = |r, i| Some(mix(at(low[0], r, i)?, at(high[0], r, i)?, part[0]));
    let along_rows = |i| Some(mix(along_columns(low[1], i)?, along_columns(high[1], i)?, part[1]));
    Some(mix(along_rows(low[2])?, along_rows(high[2])?, part[2]))
}

fn mix(a: f64, b: f64, part: f64) -> f64 {
    a + part * (b - a)
}
