//! Pictures of the lesson: what the network trains on, and what it says of single images.

use std::path::Path;

use voxgrad_engine::data::DataLoader;
use voxgrad_engine::random::Rng;

use crate::Result;
use crate::data::Images;
use crate::data::cifar::SIZE;
use crate::plot::{ImageGrid, Picture};
use crate::trainer::Said;

const COLUMNS: usize = 8;
const ROWS: usize = 5;
/// Each of an image's 32 x 32 pixels becomes a square of this side.
const SCALE: usize = 3;

/// Draws the first images of the first training batch with their labels, PyTorch's `make_grid`.
pub(super) fn draw_batch(path: &Path, loader: &DataLoader, augment: bool, names: &[&str]) -> Result<()> {
    let subtitle = match augment {
        true => "of the first batch, mirrored, shifted and made brighter or darker at random",
        false => "of the first batch, with their labels",
    };
    let mut grid = ImageGrid::new("Training images", COLUMNS, SCALE).subtitle(subtitle);
    if let Some(batch) = loader.epoch(0).next().transpose()? {
        let (pixels, labels) = (batch.inputs.to_vec::<f32>()?, batch.targets.to_vec::<u32>()?);
        let images = pixels.chunks(SIZE.iter().product());
        for (image, label) in images.zip(labels).take(COLUMNS * COLUMNS) {
            let bytes: Vec<u8> = image.iter().map(|x| (255.0 * x).round() as u8).collect();
            grid.push(picture(&bytes), [name(names, label).to_string()], false);
        }
    }
    grid.save(path)
}

/// Draws a random choice of `set`, always the same one, with what each image is and what the network
/// `said` of it; wrong ones in a red frame.
pub(super) fn draw_predictions(path: &Path, set: &Images, said: &[Said], names: &[&str]) -> Result<()> {
    let mut chosen: Vec<usize> = (0..said.len()).collect();
    Rng::new(0, 0).shuffle(&mut chosen);
    chosen.truncate(COLUMNS * ROWS);
    let is_wrong = |i: usize| set.labels()[i] != said[i].class;
    let wrong = chosen.iter().filter(|i| is_wrong(**i)).count();
    let mut grid = ImageGrid::new("Test images", COLUMNS, SCALE).subtitle(format!(
        "true class and prediction with its probability; {wrong} of these {} are wrong, in red",
        chosen.len()
    ));
    for i in chosen {
        let Said { class, probability } = said[i];
        let pred = format!("pred: {} {:.0}%", name(names, class), 100.0 * probability);
        let caption = [format!("true: {}", name(names, set.labels()[i])), pred];
        grid.push(picture(set.pixels(i)?), caption, is_wrong(i));
    }
    grid.save(path)
}

fn picture(bytes: &[u8]) -> Picture {
    let [channels, height, width] = SIZE;
    Picture::from_planes(bytes, channels, height, width)
}

pub(super) fn name<'a>(names: &[&'a str], class: u32) -> &'a str {
    names.get(class as usize).copied().unwrap_or("?")
}
