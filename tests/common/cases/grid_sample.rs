//! Sampling a volume along an affine grid, for augmentation in 3d.

use voxgrad_engine::Tensor;
use voxgrad_engine::ops::PaddingMode;
use voxgrad_kernels::ops::grid_sample::{self as kernel, GridSample};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{Input, between, uniform, values};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for align in [false, true] {
        let corners = if align { ", align_corners" } else { "" };
        for size in [[2, 1, 3, 4, 5], [1, 2, 2, 2, 2], [1, 1, 1, 3, 2]] {
            let theta = [uniform(&[size[0], 3, 4])];
            cases.push(case("affine_grid3d", format!("{size:?}{corners}"), theta, move |t| {
                Tensor::affine_grid3d(&t[0], size, align)
            }));
        }
        for (mode_name, mode) in [("zeros", PaddingMode::Zeros), ("border", PaddingMode::Border)] {
            for (x, out) in [([2, 3, 3, 4, 5], [2, 3, 2]), ([1, 1, 2, 2, 3], [1, 5, 3])] {
                let what = format!("{x:?} to {out:?}, {mode_name}{corners}");
                let inputs = [uniform(&x), grid(x, out, align)];
                cases.push(case("grid_sample3d", what, inputs, move |t| {
                    t[0].grid_sample3d(&t[1], mode, align)
                }));
            }
            // A nodule's crop, turned and stretched.
            let inputs = [uniform(&[2, 1, 32, 48, 48]), between(-0.8, 0.8, &[2, 3, 4])];
            let what = format!("through an affine grid, {mode_name}{corners}");
            let numel = 2 * 32 * 48 * 48;
            // A gradient with respect to the grid jumps wherever a sample crosses a voxel's centre, and
            // f32 and f64 may see it on two sides: only the volume gets one here.
            let [volume, theta] = inputs;
            let whole = case("grid_sample3d", what, [volume, theta.fixed()], move |t| {
                let grid = Tensor::affine_grid3d(&t[1], [2, 1, 32, 48, 48], align)?;
                t[0].grid_sample3d(&grid, mode, align)
            });
            // Seven interpolations, each two multiplications and an addition.
            cases.push(whole.large(21 * numel));
        }
    }
    cases
}

/// Where to look, `[N, out.., 3]` in x, y, z: inside the volume and a little beyond it, in the middle half
/// between two voxels, since a trilinear interpolation has its kinks at the voxels.
fn grid(x: [usize; 5], out: [usize; 3], align: bool) -> Input {
    let samples = x[0] * out.iter().product::<usize>();
    let mut coordinates = Vec::with_capacity(3 * samples);
    for i in 0..samples {
        for d in 0..3 {
            let size = x[4 - d];
            // Voxel -1 to size - 1, and a fraction in 0.25..0.75, in an order without a pattern.
            let voxel = (i * (5 + 2 * d) + d) % (size + 1);
            let position = voxel as f64 - 1.0 + 0.25 + 0.5 * (((i * 7 + d * 3) % 11) as f64 / 11.0);
            let size = size as f64;
            coordinates.push(match align {
                true => 2.0 * position / (size - 1.0) - 1.0,
                false => (2.0 * position + 1.0) / size - 1.0,
            });
        }
    }
    values(&coordinates, &[x[0], out[0], out[1], out[2], 3])
}

/// The gradient of the volume, which a GPU has two kernels for.
pub fn ladders() -> Vec<Ladder> {
    let sizes = [([2, 3, 3, 4, 5], [2, 3, 2]), ([1, 5, 9, 10, 17], [6, 11, 13])];
    sizes.into_iter().flat_map(|(x, out)| kernels(x, out)).collect()
}

/// That of an output as large as the input, with zeros around.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    match shapes {
        [x] if x.len() == 5 => {
            Ok(kernels([x[0], x[1], x[2], x[3], x[4]], [x[2], x[3], x[4]]).into_iter().take(1).collect())
        }
        _ => Err("sampling takes one shape: N,C,D,H,W".into()),
    }
}

fn kernels(x: [usize; 5], out: [usize; 3]) -> Vec<Ladder> {
    let mut ladders = Vec::new();
    for (border, align_corners) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let [samples, channels, in_d, in_h, in_w] = x.map(|size| size as u32);
        let [out_d, out_h, out_w] = out.map(|size| size as u32);
        #[rustfmt::skip]
            let p = GridSample {
                samples, channels, in_d, in_h, in_w, out_d, out_h, out_w, border, align_corners,
            };
        let dy = [x[0], x[1], out[0], out[1], out[2]];
        let inputs = [uniform(&x), grid(x, out, align_corners == 1), uniform(&dy)];
        let flops = 21 * dy.iter().product::<usize>() as u64;
        let what = format!("{x:?} to {out:?}, border {border}, align_corners {align_corners}");
        let rungs = [&["plain"], kernel::GPU_RUNGS];
        ladders.push(Ladder::new(
            "grid_sample_backward_input",
            what,
            rungs,
            inputs,
            flops,
            move |rung, t| Ok(vec![kernel::backward_input_rung(rung, &p, &t[0], &t[1], &t[2])?]),
        ));
    }
    ladders
}
