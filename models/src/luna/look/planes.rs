//! A place of a scan in three planes: all of the scan, and what is around the place.

use std::path::Path;

use super::view::{NO_DIAMETER, Plane, View, ring_mm};
use crate::Result;
use crate::luna::ct::Ct;
use crate::plot::ImageGrid;

/// The longest side of the views of all of the scan, and the side of those around the place, in pixels.
const ALL: f64 = 400.0;
const NEAR: f64 = 400.0;
/// What the views around the place show at least, in mm.
const NEAR_MM: f64 = 60.0;
/// Scale bars, in mm.
const BARS: [f64; 2] = [50.0, 10.0];

/// Draws the scan's axial, coronal and sagittal plane through the place `xyz`, in mm, all of it with a
/// crosshair and the near with a ring of `diameter_mm`, and writes them to `path` as a PNG file. All
/// planes of a row have one scale; what lies outside of the scan is dark grey. `title` says what is
/// there.
///
/// # Errors
/// When the place lies outside of the scan, and when the file can't be written.
pub fn planes(path: &Path, ct: &Ct, xyz: [f64; 3], diameter_mm: f64, title: &str) -> Result<()> {
    let irc = ct.geometry.xyz_to_irc(xyz);
    ct.window(irc, [1, 1, 1])?;
    let [index, row, column] = irc;
    let [x, y, z] = xyz;
    let place = format!("x {x:.1}, y {y:.1}, z {z:.1} mm; slice {index}, row {row}, column {column}");
    let ring = match diameter_mm > 0.0 {
        true => format!("ring: {diameter_mm:.1} mm"),
        false => format!("no diameter, ring: {NO_DIAMETER} mm"),
    };
    let mut grid = ImageGrid::new(title, Plane::ALL.len(), 1).subtitle(format!("{place}; {ring}"));
    let diameter = ring_mm(diameter_mm);

    let (low, high) = bounds(ct);
    let middle: [f64; 3] = std::array::from_fn(|axis| 0.5 * (low[axis] + high[axis]));
    let extent: [f64; 3] = std::array::from_fn(|axis| high[axis] - low[axis]);
    let longest = extent.into_iter().fold(f64::MIN_POSITIVE, f64::max);
    for plane in Plane::ALL {
        let (right, down, _, away) = plane.axes();
        let mut middle = middle;
        middle[away] = xyz[away];
        let size = (extent[right], extent[down]);
        let view = View { plane, middle, size, mm_per_pixel: longest / ALL };
        let mut picture = view.draw(ct);
        view.crosshair(&mut picture, xyz, 0.5 * diameter + 6.0);
        view.scale_bar(&mut picture, BARS[0]);
        let at = format!("{}, {} = {:.1} mm", plane.name(), ["x", "y", "z"][away], xyz[away]);
        grid.push(picture, [at, format!("{}; bar: {} mm", sides(plane), BARS[0])], false);
    }
    let near = NEAR_MM.max(2.0 * diameter);
    for plane in Plane::ALL {
        let view = View { plane, middle: xyz, size: (near, near), mm_per_pixel: near / NEAR };
        let mut picture = view.draw(ct);
        view.ring(&mut picture, xyz, diameter);
        view.scale_bar(&mut picture, BARS[1]);
        grid.push(picture, [format!("{near:.0} mm around it; bar: {} mm", BARS[1])], false);
    }
    grid.save(path)
}

/// What is left and right in the picture.
fn sides(plane: Plane) -> &'static str {
    match plane {
        Plane::Axial | Plane::Coronal => "left: the patient's right",
        Plane::Sagittal => "left: the front",
    }
}

/// The box in the patient's frame that holds all voxels: the lowest and the highest x, y and z.
fn bounds(ct: &Ct) -> ([f64; 3], [f64; 3]) {
    let [slices, rows, columns] = ct.size.map(|size| size as f64 - 0.5);
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in 0..8 {
        let end = |bit: usize, last: f64| if corner >> bit & 1 == 1 { last } else { -0.5 };
        let xyz = ct.geometry.cri_to_xyz([end(0, columns), end(1, rows), end(2, slices)]);
        low = std::array::from_fn(|axis| low[axis].min(xyz[axis]));
        high = std::array::from_fn(|axis| high[axis].max(xyz[axis]));
    }
    (low, high)
}
