use super::*;
use crate::split::same_bits_on_any_number_of_threads;

fn wave(n: usize, step: f32, size: f32) -> Storage {
    let values: Vec<f32> = (0..n).map(|i| size * (i as f32 * step).sin()).collect();
    Storage::from_slice(&Device::Cpu, &values).unwrap()
}

const SAMPLING: GridSample = GridSample {
    samples: 2,
    channels: 3,
    in_d: 7,
    in_h: 8,
    in_w: 9,
    out_d: 10,
    out_h: 11,
    out_w: 12,
    border: 0,
    align_corners: 0,
};

#[test]
fn threads_change_nothing() {
    let p = SAMPLING;
    let points = p.samples as usize * p.out_plane();
    let (x, grid) = (wave(6 * p.in_plane(), 0.7, 1.0), wave(3 * points, 0.3, 1.2));
    let affine = AffineGrid { samples: 2, d: 10, h: 11, w: 12, align_corners: 1 };
    same_bits_on_any_number_of_threads(|| {
        let y = forward(&p, &x, &grid).unwrap();
        let dx = backward_input(&p, &x, &grid, &y).unwrap();
        let dgrid = backward_grid(&p, &x, &grid, &y).unwrap();
        let dtheta = affine_backward(&affine, &dgrid).unwrap();
        let again = affine_forward(&affine, &dtheta).unwrap();
        [y, dx, dgrid, dtheta, again].map(|x| x.to_vec::<f32>().unwrap())
    });
}

#[test]
fn wrong_sizes_are_errors() {
    let grid = wave(3 * 2 * SAMPLING.out_plane(), 0.3, 1.0);
    let message = forward(&SAMPLING, &grid, &grid).unwrap_err().to_string();
    assert!(message.starts_with("grid_sample: 7920 input and 7920 grid elements do not fit"), "{message}");
    let empty = GridSample { in_h: 0, ..SAMPLING };
    let message = forward(&empty, &wave(0, 0.0, 0.0), &grid).unwrap_err().to_string();
    assert_eq!(message, "grid_sample: there is nothing to sample in a volume [7, 0, 9]");
    let affine = AffineGrid { samples: 2, d: 1, h: 1, w: 1, align_corners: 1 };
    let message = affine_forward(&affine, &grid).unwrap_err().to_string();
    assert_eq!(message, "affine_grid: 7920 elements, expected 24");
}
