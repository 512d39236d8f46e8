//! Pictures of the lesson: how many of each digit there are, what the network trains on, and what it
//! gets right and wrong.

use std::path::Path;

use voxgrad_engine::data::Dataset;
use voxgrad_engine::random::Rng;

use crate::Result;
use crate::data::Images;
use crate::data::mnist::{CLASS_NAMES, Mnist, SIZE};
use crate::plot::{Bar, BarChart, ImageGrid, Picture};
use crate::trainer::Said;

const COLUMNS: usize = 8;
/// Each of an image's 28 x 28 pixels becomes a square of this side.
const SCALE: usize = 4;
/// Rows of wrong and of right digits.
const WRONG: usize = 3;
const RIGHT: usize = 2;

/// Draws what part of each set every digit is. Where classes are out of balance, a network learns the
/// frequent ones first, and its accuracy says little about the others.
pub(super) fn draw_classes(path: &Path, data: &Mnist) -> Result<()> {
    let sets = [&data.train, &data.val, &data.test].map(|images| {
        let mut counts = [0usize; CLASS_NAMES.len()];
        for &label in images.labels() {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts.map(|count| 100.0 * count as f64 / images.len() as f64)
    });
    let most = sets.iter().flatten().copied().fold(0.0, f64::max);
    let mut chart = BarChart::new("Class balance", 0.0..1.1 * most).y_label("% of the set");
    chart = chart.series(["training", "validation", "test"]);
    for (class, name) in CLASS_NAMES.iter().enumerate() {
        chart = chart.group(*name, sets.each_ref().map(|parts| Bar::new(parts[class])));
    }
    chart.save(path)
}

/// Draws the first images of `set`, what the network trains on. `augmented` ones are drawn eight times
/// each, as differently as the network sees them.
pub(super) fn draw_digits(path: &Path, set: &dyn Dataset, augmented: bool, seed: u64) -> Result<()> {
    let rows = WRONG + RIGHT;
    let mut grid = ImageGrid::new("Training images", COLUMNS, SCALE);
    grid = grid.subtitle(match augmented {
        true => "a digit in each row, as it is turned, shifted and made brighter or darker at random",
        false => "with their labels",
    });
    for i in 0..(rows * COLUMNS).min(set.len()) {
        let index = if augmented { i / COLUMNS % set.len() } else { i };
        let sample = set.get(index, &mut Rng::new(seed, i as u64))?;
        let bytes: Vec<u8> = sample.input.iter().map(|x| (255.0 * x).round() as u8).collect();
        grid.push(picture(&bytes), [format!("true: {}", name(sample.target))], false);
    }
    grid.save(path)
}

/// Draws digits of the test set with what they are, and what the network `said` and how sure it was: the
/// wrong ones that it was the surest of, in red frames, and below a random choice of right ones.
pub(super) fn draw_predictions(path: &Path, set: &Images, said: &[Said]) -> Result<()> {
    let is_wrong = |i: &usize| set.labels().get(*i) != said.get(*i).map(|said| &said.class);
    let (mut wrong, mut right): (Vec<usize>, Vec<usize>) = (0..said.len()).partition(is_wrong);
    let subtitle = format!(
        "above, in red, those of the {} wrong ones (of {}) it was the surest of; below some right ones",
        wrong.len(),
        said.len()
    );
    wrong.sort_by(|&a, &b| said[b].probability.total_cmp(&said[a].probability));
    wrong.truncate(WRONG * COLUMNS);
    Rng::new(0, 0).shuffle(&mut right);
    right.truncate(RIGHT * COLUMNS);

    let mut grid = ImageGrid::new("Test images", COLUMNS, SCALE).subtitle(subtitle);
    for (chosen, wrong) in [(wrong, true), (right, false)] {
        for i in chosen {
            let Said { class, probability } = said[i];
            let caption = [
                format!("true: {}", name(set.labels()[i])),
                format!("pred: {}, {:.0}%", name(class), 100.0 * probability),
            ];
            grid.push(picture(set.pixels(i)?), caption, wrong);
        }
        grid.end_row();
    }
    grid.save(path)
}

fn picture(bytes: &[u8]) -> Picture {
    let [channels, height, width] = SIZE;
    Picture::from_planes(bytes, channels, height, width)
}

fn name(class: u32) -> &'static str {
    CLASS_NAMES.get(class as usize).copied().unwrap_or("?")
}
