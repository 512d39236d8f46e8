//! Tensors as pictures: what kernels make of an image, a layer's filters, and the maps after each layer.

use std::path::Path;

use voxgrad_engine::Tensor;
use voxgrad_engine::nn::{Step, Trace};

use super::kernels::{BLUR, HORIZONTAL_EDGES, VERTICAL_EDGES, convolve};
use crate::Result;
use crate::plot::{ImageGrid, Picture};

/// Pictures in a row.
const COLUMNS: usize = 8;
/// How large an image, a map or a filter is drawn, about.
const SIDE: usize = 96;

/// An image, what the network is given of it, and what each of its layers makes of that.
pub(super) struct Example {
    pub class: &'static str,
    /// Of its class, as the network has it.
    pub probability: f64,
    /// `[3, H, W]`, a byte per number.
    pub pixels: Vec<u8>,
    pub size: [usize; 3],
    /// `[1, 3, H, W]`, normalised.
    pub input: Tensor,
    pub trace: Trace,
}

impl Example {
    fn push_to(&self, grid: &mut ImageGrid) {
        let [channels, height, width] = self.size;
        let picture =
            Picture::from_planes(&self.pixels, channels, height, width).enlarged(SIDE / width.max(1));
        grid.push(picture, [self.class.to_string(), "the input".to_string()], false);
    }

    /// The steps that give images, not rows of numbers.
    fn map_steps(&self) -> impl Iterator<Item = &Step> {
        self.trace.steps.iter().filter(|step| step.op != "input" && step.output.ndim() == 4)
    }
}

/// Each image beside what blurring and edge-finding kernels make of it, and the first filters that the
/// network's first convolution has learned.
pub(super) fn draw_kernels(path: &Path, examples: &[Example]) -> Result<()> {
    let mut grid = ImageGrid::new("Kernels", COLUMNS, 1).subtitle(
        "an image beside what 3 x 3 kernels make of it; black is the lowest value, white the highest",
    );
    for example in examples {
        example.push_to(&mut grid);
        for (name, numbers, kernel) in [
            ("blur", "1/9 everywhere", &BLUR),
            ("vertical edges", "-1 0 1 per row", &VERTICAL_EDGES),
            ("horizontal edges", "-1 0 1 per column", &HORIZONTAL_EDGES),
        ] {
            let map = Maps::of(&convolve(&example.input, kernel)?)?.greys().next();
            map.into_iter().for_each(|map| grid.push(map, [name, numbers].map(String::from), false));
        }
        if let Some(first) = example.map_steps().next() {
            for (i, map) in Maps::of(&first.output)?.single_greys().enumerate().take(COLUMNS - 4) {
                grid.push(map, ["learned".to_string(), format!("{} {i}", first.layer)], false);
            }
        }
        grid.end_row();
    }
    grid.save(path)
}

/// The filters `weight: [O, 3, KH, KW]` of a first layer in the colours they look for: grey is 0, and
/// each filter's largest number as bright as can be.
pub(super) fn draw_filters(path: &Path, weight: &Tensor, layer: &str) -> Result<()> {
    let &[filters, channels, height, width] = &weight.shape()[..] else { return Ok(()) };
    let numbers = weight.to_f64_vec()?;
    let mut grid = ImageGrid::new(format!("The {filters} filters of {layer}"), COLUMNS, 1)
        .subtitle("red, green and blue of each of their 3 x 3 places; grey is 0");
    for (i, filter) in numbers.chunks((channels * height * width).max(1)).enumerate() {
        let largest = filter.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
        let bytes: Vec<u8> = filter.iter().map(|x| (127.5 + 127.5 * x / largest) as u8).collect();
        let picture = Picture::from_planes(&bytes, channels, height, width).enlarged(SIDE / width.max(1));
        grid.push(picture, [format!("{layer} {i}"), format!("up to {largest:.2}")], false);
    }
    grid.save(path)
}

/// What each layer makes of an image, a row or more for each: one map per channel.
pub(super) fn draw_maps(path: &Path, example: &Example) -> Result<()> {
    let mut grid = ImageGrid::new(format!("What the network makes of the {}", example.class), COLUMNS, 1)
        .subtitle("of all maps of a step black is the lowest value, white the highest");
    example.push_to(&mut grid);
    grid.end_row();
    for step in example.map_steps() {
        let maps = Maps::of(&step.output)?;
        let size = format!("{} x {}", maps.height, maps.width);
        let name = if step.layer.is_empty() { step.op } else { &step.layer };
        for (i, map) in maps.greys().enumerate() {
            grid.push(map, [format!("{name} {i}"), size.clone()], false);
        }
        grid.end_row();
    }
    grid.save(path)
}

/// The channels of one image.
struct Maps {
    height: usize,
    width: usize,
    /// `[C, H, W]`
    values: Vec<f64>,
}

impl Maps {
    /// Those of the first image of `x: [N, C, H, W]`.
    fn of(x: &Tensor) -> Result<Maps> {
        let [height, width] = [x.size(-2)?, x.size(-1)?];
        Ok(Maps { height, width, values: x.narrow(0, 0, 1)?.to_f64_vec()? })
    }

    fn planes(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks((self.height * self.width).max(1))
    }

    /// All of them in grey, the lowest value of all black and the highest white.
    fn greys(&self) -> impl Iterator<Item = Picture> {
        let range = range(&self.values);
        self.planes().map(move |plane| self.grey(plane, range))
    }

    /// The same with each map's own range.
    fn single_greys(&self) -> impl Iterator<Item = Picture> {
        self.planes().map(|plane| self.grey(plane, range(plane)))
    }

    fn grey(&self, plane: &[f64], (low, high): (f64, f64)) -> Picture {
        let scale = 255.0 / (high - low).max(f64::MIN_POSITIVE);
        // NaN becomes black.
        let bytes: Vec<u8> = plane.iter().map(|x| ((x - low) * scale).round() as u8).collect();
        Picture::from_planes(&bytes, 1, self.height, self.width).enlarged(SIDE / self.width.max(1))
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    let all = || values.iter().copied().filter(|x| x.is_finite());
    (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
}
