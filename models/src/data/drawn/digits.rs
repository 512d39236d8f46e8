//! Drawn digits: the strokes of a pen, never twice the same.
//!
//! The place, size, width, slant and turn of a digit, the width of the pen, the strength of its ink
//! and small errors of every point come from the same distributions for all ten, so no pixel says much
//! on its own.

use voxgrad_engine::random::Rng;

use super::{Split, draw_all};
use crate::Result;
use crate::data::Images;

/// Pixels along each side of an image.
const SIDE: usize = 28;
/// Straight pieces between two points of a stroke.
const PIECES: usize = 5;

type Point = [f32; 2];
/// A curve through these points, in a box from (0, 0), upper left, to (1, 1).
type Stroke = &'static [Point];
/// One way to write a digit.
type Style = &'static [Stroke];

/// The ways to write each digit.
const DIGITS: [&[Style]; 10] = [
    &[&[&[
        [0.5, 0.0],
        [0.15, 0.2],
        [0.05, 0.55],
        [0.25, 0.94],
        [0.6, 0.98],
        [0.92, 0.65],
        [0.88, 0.25],
        [0.5, 0.0],
    ]]],
    &[
        &[&[[0.5, 0.0], [0.5, 1.0]]],
        &[&[[0.25, 0.22], [0.55, 0.0]], &[[0.55, 0.0], [0.53, 1.0]]],
        &[&[[0.25, 0.22], [0.52, 0.0]], &[[0.52, 0.0], [0.52, 1.0]], &[[0.2, 1.0], [0.85, 1.0]]],
    ],
    &[
        &[
            &[[0.1, 0.25], [0.32, 0.02], [0.72, 0.06], [0.8, 0.35], [0.5, 0.68], [0.08, 0.98]],
            &[[0.08, 0.98], [0.9, 0.98]],
        ],
        &[&[
            [0.12, 0.25],
            [0.38, 0.01],
            [0.75, 0.12],
            [0.72, 0.45],
            [0.35, 0.88],
            [0.1, 0.9],
            [0.25, 0.76],
            [0.5, 0.88],
            [0.92, 0.96],
        ]],
    ],
    &[
        &[
            &[[0.1, 0.14], [0.45, 0.0], [0.8, 0.2], [0.68, 0.4], [0.38, 0.47]],
            &[[0.38, 0.47], [0.78, 0.55], [0.88, 0.78], [0.5, 1.0], [0.08, 0.88]],
        ],
        &[
            &[[0.14, 0.03], [0.85, 0.03]],
            &[[0.85, 0.03], [0.4, 0.42]],
            &[[0.4, 0.42], [0.82, 0.5], [0.86, 0.8], [0.5, 1.0], [0.1, 0.9]],
        ],
    ],
    &[
        &[&[[0.22, 0.02], [0.12, 0.52]], &[[0.12, 0.52], [0.9, 0.5]], &[[0.72, 0.1], [0.66, 1.0]]],
        &[&[[0.66, 0.0], [0.06, 0.66]], &[[0.06, 0.66], [0.95, 0.66]], &[[0.66, 0.0], [0.66, 1.0]]],
    ],
    &[&[
        &[[0.2, 0.03], [0.84, 0.02]],
        &[[0.2, 0.03], [0.16, 0.46]],
        &[[0.16, 0.46], [0.55, 0.37], [0.88, 0.62], [0.62, 0.96], [0.1, 0.92]],
    ]],
    &[&[&[
        [0.74, 0.02],
        [0.32, 0.28],
        [0.1, 0.66],
        [0.35, 0.98],
        [0.78, 0.88],
        [0.8, 0.6],
        [0.5, 0.5],
        [0.14, 0.7],
    ]]],
    &[
        &[&[[0.08, 0.04], [0.9, 0.04]], &[[0.9, 0.04], [0.6, 0.45], [0.42, 1.0]]],
        &[&[[0.08, 0.04], [0.9, 0.04]], &[[0.9, 0.04], [0.35, 1.0]], &[[0.32, 0.5], [0.86, 0.48]]],
    ],
    &[
        &[&[
            [0.78, 0.14],
            [0.45, 0.0],
            [0.18, 0.2],
            [0.5, 0.47],
            [0.86, 0.76],
            [0.5, 1.0],
            [0.12, 0.78],
            [0.48, 0.5],
            [0.82, 0.24],
            [0.72, 0.08],
        ]],
        &[
            &[[0.5, 0.0], [0.22, 0.22], [0.5, 0.46], [0.78, 0.22], [0.5, 0.0]],
            &[[0.5, 0.46], [0.12, 0.74], [0.5, 1.0], [0.88, 0.74], [0.5, 0.46]],
        ],
    ],
    &[
        &[&[[0.8, 0.2], [0.5, 0.02], [0.16, 0.24], [0.42, 0.5], [0.8, 0.24]], &[[0.82, 0.18], [0.68, 1.0]]],
        &[
            &[[0.8, 0.2], [0.5, 0.02], [0.16, 0.24], [0.42, 0.5], [0.8, 0.24]],
            &[[0.82, 0.18], [0.84, 0.66], [0.55, 1.0], [0.18, 0.9]],
        ],
    ],
];

/// `n` digits, `[1, 28, 28]`, light on dark as MNIST's; the label is the digit. Image i is the same for
/// the same seed, however many there are.
pub fn digits(n: usize, split: Split, seed: u64) -> Result<Images> {
    draw_all(n, [1, SIDE, SIDE], split, seed, draw)
}

/// Draws one digit into `image`, `[28, 28]`, and returns its label.
fn draw(rng: &mut Rng, image: &mut [u8]) -> u32 {
    let label = rng.below(DIGITS.len());
    let styles = DIGITS[label];
    let style = styles[rng.below(styles.len())];

    let height = rng.range(12.0, 20.0);
    let width = height * rng.range(0.45, 0.9);
    let (sin, cos) = rng.range(-0.3, 0.3).sin_cos();
    let slant = rng.range(-0.15, 0.5);
    let error = rng.range(0.01, 0.05);
    let (radius, ink) = (rng.range(0.5, 1.7), rng.range(0.6, 1.0));
    let mut moved = |[x, y]: Point| {
        let (x, y) = (x - 0.5 + error * rng.normal(), y - 0.5 + error * rng.normal());
        let (x, y) = (width * x - slant * height * y, height * y);
        [cos * x - sin * y, sin * x + cos * y]
    };
    let lines: Vec<Vec<Point>> = style
        .iter()
        .map(|stroke| curve(&stroke.iter().map(|&point| moved(point)).collect::<Vec<_>>()))
        .collect();

    // Anywhere in the image, all of it inside.
    let shift = [0, 1].map(|axis| {
        let places = lines.iter().flatten().map(|point| point[axis]);
        let (low, high) = places.fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at), high.max(at)));
        let room = SIDE as f32 - (high - low) - 2.0 * (radius + 0.5);
        radius + 0.5 - low + room * rng.uniform()
    });
    let mut covered = [0.0f32; SIDE * SIDE];
    for line in lines {
        let line: Vec<Point> = line.iter().map(|[x, y]| [x + shift[0], y + shift[1]]).collect();
        line.windows(2).for_each(|ends| add_piece(&mut covered, [ends[0], ends[1]], radius));
    }
    for (pixel, covered) in image.iter_mut().zip(covered) {
        *pixel = (255.0 * ink * covered).round() as u8;
    }
    label as u32
}

/// A smooth line through all of `points`, in straight pieces (Catmull and Rom, 1974).
fn curve(points: &[Point]) -> Vec<Point> {
    let mut line: Vec<Point> = points.first().copied().into_iter().collect();
    for (i, ends) in points.windows(2).enumerate() {
        let (from, to) = (ends[0], ends[1]);
        // The slope at a point is that between its neighbours; at an end the end is its own neighbour.
        let before = if i == 0 { from } else { points[i - 1] };
        let after = points.get(i + 2).copied().unwrap_or(to);
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            line.push([0, 1].map(|axis| {
                let [a, b, c, d] = [before, from, to, after].map(|point| point[axis]);
                let (linear, square, cubic) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * (b - c) + d - a);
                b + 0.5 * t * (linear + t * (square + t * cubic))
            }));
        }
    }
    line
}

/// Covers what lies within `radius` of the straight line between two points, its edge a pixel wide.
fn add_piece(covered: &mut [f32; SIDE * SIDE], [from, to]: [Point; 2], radius: f32) {
    let reach = radius + 0.5;
    let pixels = |axis: usize| {
        let (low, high) = (from[axis].min(to[axis]) - reach, from[axis].max(to[axis]) + reach);
        // A pixel's middle is half a pixel from its edge; casts keep within 0 and above.
        (low - 0.5).ceil() as usize..((high + 0.5).ceil().max(0.0) as usize).min(SIDE)
    };
    let along = [to[0] - from[0], to[1] - from[1]];
    let length2 = along[0] * along[0] + along[1] * along[1];
    for y in pixels(1) {
        for x in pixels(0) {
            let at = [x as f32 + 0.5 - from[0], y as f32 + 0.5 - from[1]];
            // The nearest point of the line, 0 at one end and 1 at the other.
            let t = ((at[0] * along[0] + at[1] * along[1]) / length2.max(1e-9)).clamp(0.0, 1.0);
            let distance = (at[0] - t * along[0]).hypot(at[1] - t * along[1]);
            let pixel = &mut covered[y * SIDE + x];
            *pixel = pixel.max((reach - distance).clamp(0.0, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::nn::{Linear, Module};
    use voxgrad_engine::optim::{Adam, Optimizer};
    use voxgrad_engine::{Device, Tensor};

    use super::*;
    use crate::metrics::accuracy;

    #[test]
    fn an_image_depends_on_seed_split_and_number_alone() {
        let images = |n, split, seed| digits(n, split, seed).unwrap();
        let (all, few) = (images(50, Split::Train, 1), images(7, Split::Train, 1));
        for i in 0..7 {
            assert_eq!(all.pixels(i).unwrap(), few.pixels(i).unwrap());
            assert_eq!(all.labels()[i], few.labels()[i]);
        }
        assert_ne!(few, images(7, Split::Val, 1));
        assert_ne!(few, images(7, Split::Train, 2));
        assert_eq!(few.size(), [1, 28, 28]);
    }

    #[test]
    fn all_ten_come_up_equally_often_and_lie_inside() {
        let images = digits(3000, Split::Train, 3).unwrap();
        let mut counts = [0; 10];
        images.labels().iter().for_each(|&label| counts[label as usize] += 1);
        assert!(counts.iter().all(|n| (240..360).contains(n)), "{counts:?}");
        let at_edge = |i: &usize| {
            let pixels = images.pixels(*i).unwrap();
            let edge = |at: usize| [at, SIDE * (SIDE - 1) + at, SIDE * at, SIDE * at + SIDE - 1];
            (0..SIDE).flat_map(edge).any(|at| pixels[at] > 128)
        };
        let at_edge = (0..3000).filter(at_edge).count();
        assert!(at_edge < 600, "{at_edge} of 3000 touch the edge");
        assert!((0..3000).all(|i| images.pixels(i).unwrap().iter().any(|&pixel| pixel > 120)));
    }

    /// Softmax regression, trained on the first half of the images: its accuracy on the second.
    fn linear_accuracy(images: &Images) -> f64 {
        let n = images.len() / 2;
        let tensors = |range: std::ops::Range<usize>| {
            let pixels: Vec<f32> =
                range.clone().flat_map(|i| images.pixels(i).unwrap()).map(|&b| b as f32 / 255.0).collect();
            let inputs = Tensor::new(&pixels, [range.len(), SIDE * SIDE], &Device::cpu()).unwrap();
            (inputs, Tensor::new(&images.labels()[range.clone()], [range.len()], &Device::cpu()).unwrap())
        };
        let net = Linear::new(SIDE * SIDE, 10).unwrap();
        let mut adam = Adam::new(net.parameters(), 0.01).unwrap();
        let (inputs, targets) = tensors(0..n);
        for _ in 0..150 {
            adam.zero_grad();
            let logits = net.forward(&inputs).unwrap();
            logits.cross_entropy(&targets, &Default::default()).unwrap().backward().unwrap();
            adam.step().unwrap();
        }
        let (inputs, targets) = tensors(n..images.len());
        accuracy(&net.forward(&inputs).unwrap(), &targets).unwrap()
    }

    #[test]
    fn a_linear_model_finds_them_hard() {
        let images = digits(4000, Split::Train, 42).unwrap();
        let accuracy = linear_accuracy(&images);
        assert!((0.2..0.7).contains(&accuracy), "a linear model reaches {accuracy}");
        // The same model finds a row of pixels that gives the class away, if there is one.
        let mut pixels: Vec<u8> = (0..4000).flat_map(|i| images.pixels(i).unwrap().to_vec()).collect();
        for (image, &label) in pixels.chunks_mut(SIDE * SIDE).zip(images.labels()) {
            image[2 * label as usize * SIDE..][..SIDE].fill(255);
        }
        let told = Images::new(pixels, [1, SIDE, SIDE], images.labels().to_vec()).unwrap();
        let accuracy = linear_accuracy(&told);
        assert!(accuracy > 0.95, "a linear model with the answer in sight reaches {accuracy}");
    }

    #[test]
    fn a_curve_goes_through_its_points_and_a_line_stays_one() {
        let line = curve(&[[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]);
        assert!(line.iter().all(|[x, y]| (y - 2.0 * x).abs() < 1e-5), "{line:?}");
        let bent = curve(&[[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]]);
        assert_eq!((bent[0], bent[PIECES], bent[2 * PIECES]), ([0.0, 0.0], [1.0, 2.0], [3.0, 1.0]));
        assert!(curve(&[]).is_empty());
    }

    #[test]
    fn a_piece_covers_its_area() {
        let mut covered = [0.0; SIDE * SIDE];
        add_piece(&mut covered, [[5.0, 10.0], [20.0, 10.0]], 1.5);
        // 15 pixels long and 3 wide with round ends.
        let area: f32 = covered.iter().sum();
        assert!((area - (45.0 + 2.25 * std::f32::consts::PI)).abs() < 1.5, "{area}");
        assert_eq!(covered[10 * SIDE + 12], 1.0);
        // What lies outside the image is left out.
        add_piece(&mut covered, [[-9.0, -9.0], [60.0, -9.0]], 1.5);
        assert_eq!(covered.iter().sum::<f32>(), area);
    }
}
