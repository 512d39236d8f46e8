use super::*;
use crate::DType;
use crate::device::gpus;
use crate::ops::convert::convert;
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

/// Points that are spread out, all in one place, far outside or NaN; more bricks than one launch goes
/// through; channels that are no multiple of four; no points, no samples.
#[test]
fn a_gpu_samples_as_the_cpu_does() {
    for gpu in gpus() {
        let options = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let sizes = [
            GridSample {
                samples: 1,
                channels: 1,
                in_d: 4,
                in_w: 8,
                out_d: 5,
                out_h: 57,
                out_w: 65,
                ..SAMPLING
            },
            GridSample { channels: 6, in_d: 1, out_d: 1, ..SAMPLING },
            GridSample { out_h: 0, ..SAMPLING },
            GridSample { samples: 0, ..SAMPLING },
        ];
        let options = options.map(|(border, align_corners)| GridSample { border, align_corners, ..SAMPLING });
        for p in options.into_iter().chain(sizes) {
            let points = p.samples as usize * p.out_plane();
            let planes = (p.samples * p.channels) as usize;
            let mut spread = wave(3 * points, 0.3, 1.2).to_vec::<f32>().unwrap();
            for (i, at) in [f32::NAN, 1e30, -1e30, 7.0].into_iter().enumerate() {
                if let Some(point) = spread.get_mut(29 * i + 5) {
                    *point = at;
                }
            }
            let spread = Storage::from_slice(&Device::Cpu, &spread).unwrap();
            for grid in [spread, wave(3 * points, 0.001, 1e-3), wave(3 * points, 1.0, 40.0)] {
                let [x, dy] =
                    [wave(planes * p.in_plane(), 0.7, 1.0), wave(planes * p.out_plane(), 0.11, 1.0)];
                let run = |device: &Device, rung| {
                    let [x, dy, grid] = [&x, &dy, &grid].map(|x| x.to_device(device).unwrap());
                    let y = forward(&p, &x, &grid).unwrap();
                    let dx = backward_input_rung(rung, &p, &x, &grid, &dy).unwrap();
                    let dgrid = backward_grid(&p, &x, &grid, &dy).unwrap();
                    [y, dx, dgrid].map(|x| x.to_vec::<f32>().unwrap())
                };
                let mut wanted = run(&Device::Cpu, 0);
                // Thousands of points can lie in one voxel, each placed to the last digit of an f32.
                let [x64, dy64, grid64] = [&x, &dy, &grid].map(|x| convert(x, DType::F64).unwrap());
                let dx = backward_input(&p, &x64, &grid64, &dy64).unwrap();
                wanted[1] = convert(&dx, DType::F32).unwrap().to_vec().unwrap();
                for (rung, name) in GPU_RUNGS.iter().enumerate() {
                    let got = run(&gpu, rung);
                    for (what, (got, wanted)) in ["y", "dx", "dgrid"].iter().zip(got.iter().zip(&wanted)) {
                        let tolerance = if *what == "dx" { 1e-4 } else { 1e-5 };
                        assert_close(&format!("{name}, {what}, {p:?}"), got, wanted, tolerance);
                    }
                    let bits =
                        |x: [Vec<f32>; 3]| x.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    assert_eq!(bits(got), bits(run(&gpu, rung)), "{name}, {p:?}");
                }
            }
        }
    }
}

fn assert_close(what: &str, got: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().filter(|x| !x.is_nan()).fold(1.0, |a: f32, x| a.max(x.abs()));
    for (i, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
        let same = (got - wanted).abs() <= tolerance * largest || got.is_nan() && wanted.is_nan();
        assert!(same, "{what}, element {i}: {got}, expected {wanted}");
    }
}

#[test]
fn a_gpu_maps_as_the_cpu_does() {
    for gpu in gpus() {
        for (align_corners, [d, h, w]) in
            [(0, [13, 21, 34]), (1, [13, 21, 34]), (1, [1, 2, 1]), (0, [0, 2, 3])]
        {
            let p = AffineGrid { samples: 3, d, h, w, align_corners };
            let (theta, dgrid) = (wave(36, 0.9, 1.0), wave(9 * p.points(), 0.013, 1.0));
            let run = |device: &Device| {
                let [theta, dgrid] = [&theta, &dgrid].map(|x| x.to_device(device).unwrap());
                [affine_forward(&p, &theta).unwrap(), affine_backward(&p, &dgrid).unwrap()]
                    .map(|x| x.to_vec::<f32>().unwrap())
            };
            for (what, (got, wanted)) in
                ["grid", "dtheta"].iter().zip(run(&gpu).iter().zip(&run(&Device::Cpu)))
            {
                assert_close(&format!("{what}, {p:?}"), got, wanted, 1e-5);
            }
        }
    }
}
