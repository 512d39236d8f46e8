//! Images the project draws itself, for a machine that has no photographs and no way to fetch any:
//! silhouettes of airplanes and birds on skies, ten plain [`shapes`] there, and [`digits`].
//!
//! Airplanes and birds are told apart by their shapes alone. Place, size, direction, colours and
//! whether the sky or the silhouette is the lighter one are drawn from the same distributions for
//! both classes, so no pixel says anything on its own: of 2,000 images a linear model gets about 55%
//! right, the book's baseline network above 95%.

mod digits;
mod outline;
mod shapes;
mod silhouettes;
mod sky;

use voxgrad_engine::Error;
use voxgrad_engine::random::Rng;

use super::Images;
use crate::Result;
pub use digits::digits;
use outline::{Outline, SIDE, coverage};
pub use shapes::{SHAPES, shapes};
use silhouettes::Silhouette;
use sky::Picture;

/// Which images: those of training and those to judge by never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Those to train on.
    Train,
    /// Those to judge by.
    Val,
}

impl Split {
    /// Image i is drawn from stream number `first_stream + i` of the generator: a loader with the same
    /// seed doesn't draw from these.
    fn first_stream(self) -> u64 {
        if self == Split::Train { 1 << 40 } else { 2 << 40 }
    }
}

/// `n` images of airplanes (label 0) and birds (label 1), 32x32 in three colours. Image i is the
/// same for the same seed, however many there are.
pub fn images(n: usize, split: Split, seed: u64) -> Result<Images> {
    draw_all(n, [3, SIDE, SIDE], split, seed, draw)
}

/// `n` images of `size`, each with a generator of its own for `draw`, which fills in its pixels and
/// returns its label.
fn draw_all(
    n: usize,
    size: [usize; 3],
    split: Split,
    seed: u64,
    draw: fn(&mut Rng, &mut [u8]) -> u32,
) -> Result<Images> {
    let bytes: usize = size.iter().product();
    let (mut pixels, mut labels) = (vec![0; n * bytes], vec![0; n]);
    // Each thread draws a stretch of the images; none depends on another.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let stretch = n.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let stretches = pixels.chunks_mut(stretch * bytes).zip(labels.chunks_mut(stretch));
        for (t, (pixels, labels)) in stretches.enumerate() {
            let work = move || {
                for (i, (image, label)) in pixels.chunks_mut(bytes).zip(labels).enumerate() {
                    let stream = split.first_stream() + (t * stretch + i) as u64;
                    let mut rng = Rng::new(seed, stream);
                    *label = draw(&mut rng, image);
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, work).map_err(|error| {
                Error::Data(format!("a thread to draw with could not be started: {error}"))
            })?;
        }
        Ok::<(), Error>(())
    })?;
    Ok(Images::new(pixels, size, labels)?)
}

/// Draws one image into `image`, `[3, 32, 32]`, and returns its label.
fn draw(rng: &mut Rng, image: &mut [u8]) -> u32 {
    let label = rng.below(2) as u32;
    scene(rng, image, if label == 0 { silhouettes::airplane } else { silhouettes::bird });
    label
}

/// Draws what `shape` gives somewhere on a sky into `image`, `[3, 32, 32]`.
fn scene(rng: &mut Rng, image: &mut [u8], shape: impl FnOnce(&mut Rng) -> Silhouette) {
    // How bright the sky is follows from which of the two is the darker one, not from the class.
    let dark = rng.uniform() < 0.7;
    let contrast = rng.range(0.3, 0.6);
    let brightness = if dark { rng.range(contrast + 0.05, 0.95) } else { rng.range(0.08, 0.95 - contrast) };
    let mut picture = Picture::sky(rng, brightness);

    let shape = shape(rng);
    let covered = coverage(&place(rng, shape));
    let target = if dark { brightness - contrast } else { brightness + contrast };
    picture.silhouette(rng, &covered, target);
    if rng.uniform() < 0.5 {
        picture.veil(rng, brightness);
    }
    picture.write(rng, image);
}

/// Turns, mirrors, tilts, sizes and shifts a silhouette so that it lies somewhere in the image.
fn place(rng: &mut Rng, shape: Silhouette) -> Silhouette {
    let (sin, cos) = rng.range(-0.4, 0.4).sin_cos();
    let mirror = if rng.below(2) == 0 { -1.0 } else { 1.0 };
    let (narrow, shear) = (rng.range(0.7, 1.0), rng.range(-0.25, 0.25));
    let turned: Silhouette = shape
        .iter()
        .map(|outline| {
            outline.moved(|[x, y]| {
                let (x, y) = (mirror * (x + shear * y), narrow * y);
                [cos * x + sin * y, sin * x - cos * y] // the image's y points down
            })
        })
        .collect();
    let (low, high) = bounds(&turned);
    let size = rng.range(21.0, 30.0) / (high[0] - low[0]).max(high[1] - low[1]);
    let shift = [0, 1].map(|axis| {
        let middle = 0.5 * (SIDE as f32 - size * (low[axis] + high[axis]));
        middle + rng.range(-3.0, 3.0)
    });
    turned.iter().map(|outline| outline.moved(|[x, y]| [size * x + shift[0], size * y + shift[1]])).collect()
}

/// The smallest and the largest coordinates of all outlines.
fn bounds(shape: &[Outline]) -> ([f32; 2], [f32; 2]) {
    let points = shape.iter().flat_map(|Outline(points)| points);
    points.fold(([f32::MAX; 2], [f32::MIN; 2]), |(low, high), &[x, y]| {
        ([low[0].min(x), low[1].min(y)], [high[0].max(x), high[1].max(y)])
    })
}

#[cfg(test)]
mod tests;
