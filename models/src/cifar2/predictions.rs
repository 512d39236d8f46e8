//! What the network says of single images.

use std::path::Path;

use voxgrad_engine::data::Dataset;
use voxgrad_engine::nn::Module;
use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Shape, Tensor, no_grad};

use crate::Result;
use crate::data::Images;
use crate::plot::{ImageGrid, Picture};

const COLUMNS: usize = 8;
const ROWS: usize = 5;
/// Each of an image's 32 x 32 pixels becomes a square of this side.
const SCALE: usize = 4;

/// Draws images of `dataset` with their true class and what `model` says, in evaluation mode, and
/// how sure it is (the softmax of its outputs); wrong ones in a red frame. `images` are those of
/// `dataset` before they were normalised. It is a random choice of them, always the same one.
pub fn draw_predictions(
    path: &Path,
    model: &dyn Module,
    dataset: &dyn Dataset,
    images: &Images,
    class_names: &[&str],
    device: &Device,
) -> Result<()> {
    let mut chosen: Vec<usize> = (0..dataset.len()).collect();
    Rng::new(0, 0).shuffle(&mut chosen);
    chosen.truncate(COLUMNS * ROWS);
    chosen.sort_unstable();

    let samples = chosen.iter().map(|&i| dataset.get(i, &mut Rng::new(0, i as u64)));
    let samples = samples.collect::<voxgrad_engine::Result<Vec<_>>>()?;
    let Some(first) = samples.first() else { return Ok(()) };
    let shape: Vec<usize> = [samples.len()].iter().chain(first.shape.iter()).copied().collect();
    let inputs: Vec<f32> = samples.iter().flat_map(|sample| &sample.input).copied().collect();
    let inputs = Tensor::new(&inputs, Shape::from(shape), device)?;
    model.eval();
    let (sure, said) = no_grad(|| model.forward(&inputs)?.softmax(1)?.max(&[1], false))?;
    let (sure, said) = (sure.to_f64_vec()?, said.to_vec::<u32>()?);

    let wrong = samples.iter().zip(&said).filter(|(sample, said)| sample.target != **said).count();
    let mut grid = ImageGrid::new("Validation images", COLUMNS, SCALE).subtitle(format!(
        "true class and prediction with its probability; {wrong} of these {} are wrong, in red",
        samples.len()
    ));
    let [channels, height, width] = images.size();
    let name = |class: u32| class_names.get(class as usize).copied().unwrap_or("?");
    for (((index, sample), said), sure) in chosen.iter().zip(&samples).zip(said).zip(sure) {
        let pred = format!("pred: {} {:.0}%", name(said), 100.0 * sure);
        let caption = [format!("true: {}", name(sample.target)), pred];
        let picture = Picture::from_planes(images.pixels(*index)?, channels, height, width);
        grid.push(picture, caption, said != sample.target);
    }
    grid.save(path)
}
