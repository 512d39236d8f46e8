use voxgrad_engine::Tensor;
use voxgrad_engine::ops::PaddingMode;

use crate::*;

const MODES: [(PaddingMode, bool); 4] = [
    (PaddingMode::Zeros, false),
    (PaddingMode::Zeros, true),
    (PaddingMode::Border, false),
    (PaddingMode::Border, true),
];

/// The definition as a sum over all voxels: each counts by a hat function around the point.
fn reference(x: &[f64], [d, h, w]: [usize; 3], point: &[f64], mode: (PaddingMode, bool)) -> f64 {
    let at = |at: f64, size: usize| {
        let n = size as f64;
        let at = if mode.1 { (at + 1.0) / 2.0 * (n - 1.0) } else { ((at + 1.0) * n - 1.0) / 2.0 };
        if mode.0 == PaddingMode::Border { at.clamp(0.0, n - 1.0) } else { at }
    };
    let (u, v, t) = (at(point[0], w), at(point[1], h), at(point[2], d));
    let hat = |at: f64, i: usize| (1.0 - (at - i as f64).abs()).max(0.0);
    let weight = |i: usize| hat(u, i % w) * hat(v, i / w % h) * hat(t, i / w / h);
    (0..d * h * w).map(|i| weight(i) * x[i]).sum()
}

#[test]
fn sampling_matches_the_sum_over_all_voxels() {
    let size = [3, 4, 5];
    let (x, grid) = (random([2, 2, 3, 4, 5], 1), random([2, 2, 3, 2, 3], 2));
    for mode in MODES {
        let y = x.grid_sample3d(&grid, mode.0, mode.1).unwrap();
        assert_eq!(y.shape()[..], [2, 2, 2, 3, 2]);
        let (x, grid) = (values(&x), values(&grid));
        let wanted = (0..2 * 2 * 12).map(|i| {
            let (plane, point) = (i / 12, i / 24 * 12 + i % 12);
            reference(&x[plane * 60..][..60], size, &grid[point * 3..][..3], mode)
        });
        assert_close(&values(&y), &wanted.collect::<Vec<_>>(), 1e-13);
    }
}

#[test]
fn gradients_match_finite_differences() {
    let (x, grid) = (random([2, 2, 2, 3, 4], 3), random([2, 1, 2, 3, 3], 4));
    let theta = random([2, 3, 4], 5);
    for (padding, align_corners) in MODES {
        check_gradients([&x, &grid], |t| t[0].grid_sample3d(&t[1], padding, align_corners));
        check_gradients([&theta], |t| Tensor::affine_grid3d(&t[0], [2, 1, 2, 3, 1], align_corners));
    }
}

/// Maps with the given rows, x first.
fn map(rows: [[f64; 4]; 3]) -> Tensor {
    tensor(&rows.concat(), [1, 3, 4])
}

#[test]
fn the_identity_changes_nothing() {
    let x = random([1, 2, 2, 3, 4], 6);
    let identity = map([[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
    for (padding, align_corners) in MODES {
        let grid = Tensor::affine_grid3d(&identity, [1, 2, 2, 3, 4], align_corners).unwrap();
        assert_eq!(grid.shape()[..], [1, 2, 3, 4, 3]);
        let y = x.grid_sample3d(&grid, padding, align_corners).unwrap();
        assert_close(&values(&y), &values(&x), 1e-14);
    }
}

#[test]
fn x_runs_along_the_last_dimension() {
    let x = tensor(&[1., 2., 3., 4.], [1, 1, 1, 1, 4]);
    // Two of four voxels is one unit of normalised coordinates.
    let shift = map([[1., 0., 0., 1.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
    let grid = Tensor::affine_grid3d(&shift, [1, 1, 1, 1, 4], false).unwrap();
    assert_close(&values(&grid)[..3], &[0.25, 0.0, 0.0], 1e-15);
    let sample = |padding| values(&x.grid_sample3d(&grid, padding, false).unwrap());
    assert_close(&sample(PaddingMode::Zeros), &[3., 4., 0., 0.], 1e-14);
    assert_close(&sample(PaddingMode::Border), &[3., 4., 4., 4.], 1e-14);
    let flip = map([[-1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
    let grid = Tensor::affine_grid3d(&flip, [1, 1, 1, 1, 4], true).unwrap();
    let y = x.grid_sample3d(&grid, PaddingMode::Zeros, true).unwrap();
    assert_close(&values(&y), &[4., 3., 2., 1.], 1e-14);
}

#[test]
fn points_far_outside_and_not_a_number_are_defined() {
    let x = tensor(&[1.; 8], [1, 1, 2, 2, 2]);
    let infinite = [f64::INFINITY, 1e300, -1e300, f64::NEG_INFINITY, 0., 0.];
    let grid = tensor(&infinite, [1, 1, 1, 2, 3]);
    let sample = |grid: &Tensor, padding| values(&x.grid_sample3d(grid, padding, false).unwrap());
    assert_eq!(sample(&grid, PaddingMode::Zeros), [0., 0.]);
    assert_eq!(sample(&grid, PaddingMode::Border), [1., 1.]);
    let nan = tensor(&[f64::NAN, 0., 0.], [1, 1, 1, 1, 3]);
    assert!(sample(&nan, PaddingMode::Zeros)[0].is_nan());
    assert!(sample(&nan, PaddingMode::Border)[0].is_nan());
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let (x, grid) = (random([0, 2, 3, 3, 3], 7).requires_grad(), random([0, 2, 2, 2, 3], 7));
    let y = x.grid_sample3d(&grid, PaddingMode::Zeros, false).unwrap();
    assert_eq!(y.shape()[..], [0, 2, 2, 2, 2]);
    y.backward_with(&random([0, 2, 2, 2, 2], 7)).unwrap();
    assert_eq!(x.grad().unwrap().numel(), 0);
}

#[test]
fn misfits_are_named() {
    let x = random([2, 1, 3, 3, 3], 8);
    let sample = |grid: &Tensor| x.grid_sample3d(grid, PaddingMode::Zeros, false);
    assert_message(
        sample(&random([2, 3, 3, 3], 8)),
        "grid_sample3d: expected input [N, C, D, H, W] and grid [N, D, H, W, 3], \
         got [2, 1, 3, 3, 3] and [2, 3, 3, 3]",
    );
    assert_message(
        sample(&random([1, 3, 3, 3, 3], 8)),
        "grid_sample3d: input and grid have different batches: [2, 1, 3, 3, 3] and [1, 3, 3, 3, 3]",
    );
    assert_message(
        Tensor::affine_grid3d(&random([2, 3, 3], 8), [2, 1, 3, 3, 3], false),
        "affine_grid3d: theta is [2, 3, 3], expected [2, 3, 4] for the output [2, 1, 3, 3, 3]",
    );
    assert_message(
        random([1, 1, 0, 2, 2], 8).grid_sample3d(&random([1, 1, 1, 1, 3], 8), PaddingMode::Zeros, false),
        "grid_sample: there is nothing to sample in a volume [0, 2, 2]",
    );
}
