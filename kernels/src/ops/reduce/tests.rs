use super::*;
use crate::device::gpus;

/// Numbers without a pattern that would hide an element that is left out.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f64 * 0.77).sin() as f32 + 0.25).collect()
}

#[test]
fn a_gpu_sums_groups_of_dimensions_like_the_cpu() {
    for gpu in gpus() {
        let shapes: [(&[usize], &[bool]); 10] = [
            (&[3, 5, 7], &[true, false, true]),
            (&[4, 6, 1, 5, 3], &[true, false, true, false, true]),
            (&[2, 3, 4, 5, 6, 7], &[true, false, true, false, true, false]),
            (&[3, 1, 1, 300, 5], &[false, true, false, true, true]),
            (&[5, 1000], &[false, true]),
            (&[1000, 5], &[true, false]),
            (&[9, 3, 2000, 40], &[false, false, true, false]),
            // Cut into parts.
            (&[100, 3, 1999], &[true, false, true]),
            (&[70_001, 33], &[true, false]),
            (&[2, 0, 3], &[false, true, false]),
        ];
        for (shape, reduced) in shapes {
            let x = numbers(shape.iter().product());
            let on_cpu =
                Storage::from_slice(&Device::Cpu, &x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
            let exact = sum_dims(&on_cpu.unwrap(), shape, reduced).unwrap().unwrap().to_vec::<f64>().unwrap();
            let x = Storage::from_slice(&gpu, &x).unwrap();
            for rung in 0..GPU_RUNGS.len() {
                let sum = sum_dims_rung(rung, &x, shape, reduced).unwrap().unwrap().to_vec::<f32>().unwrap();
                assert_eq!(sum.len(), exact.len());
                for (i, (&a, &b)) in sum.iter().zip(&exact).enumerate() {
                    let near = (f64::from(a) - b).abs() <= 1e-6 * b.abs() + 1e-5;
                    assert!(near, "rung {rung}, {shape:?} over {reduced:?}, sum {i}: {a} and {b}");
                }
            }
        }
    }
}

#[test]
fn a_large_sum_on_a_gpu_has_the_same_bits_every_time() {
    for gpu in gpus() {
        let x = numbers(1_000_003);
        let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
        let x = Storage::from_slice(&gpu, &x).unwrap();
        let p = Reduce { outer: 1, dim: x.len() as u32, inner: 1 };
        for rung in 0..GPU_RUNGS.len() {
            let run = || sum_rung(rung, &p, &x).unwrap().to_vec::<f32>().unwrap()[0];
            let first = run();
            assert!((f64::from(first) / exact - 1.0).abs() < 2e-7, "{first} and {exact}");
            for _ in 0..5 {
                assert_eq!(run().to_bits(), first.to_bits());
            }
        }
    }
}

#[test]
fn a_gpu_folds_more_groups_than_fit_in_a_row() {
    for gpu in gpus() {
        let n = 256 * 65_535 + 300;
        let x: Vec<f32> = (0..n).map(|i| (i % 1000) as f32).collect();
        let p = Reduce { outer: n as u32, dim: 1, inner: 1 };
        let y = sum(&p, &Storage::from_slice(&gpu, &x).unwrap()).unwrap();
        assert!(y.to_vec::<f32>().unwrap() == x);
    }
}

#[test]
fn a_gpu_finds_the_same_extremes_as_the_cpu() {
    for gpu in gpus() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        // Equal ones, both zeros, NaN of both signs, infinities, the smallest number there is.
        let rows = [
            [1.0, 3.0, 3.0, -2.0, -2.0],
            [-0.0, 0.0, -0.0, 0.0, -0.0],
            [0.0, -0.0, 0.0, 0.0, 0.0],
            [1.0, -nan, 5.0, nan, inf],
            [-inf, -inf, -3.0, -1.0, -1.0],
            [1e-45, 0.0, -1e-45, 1e-45, 0.0],
            [inf, -inf, nan, inf, -inf],
        ];
        let mut long: Vec<f32> = numbers(200_000).iter().map(|x| (x * 1000.0).round()).collect();
        (long[77_777], long[150_000]) = (1e9, 1e9);
        let wide: Vec<f32> = numbers(3 * 300 * 70).iter().map(|x| (x * 8.0).round()).collect();
        let tests = [
            (Reduce { outer: 7, dim: 5, inner: 1 }, rows.concat()),
            (Reduce { outer: 1, dim: 7, inner: 5 }, rows.concat()),
            (Reduce { outer: 1, dim: 200_000, inner: 1 }, long.clone()),
            (Reduce { outer: 1, dim: 66_666, inner: 3 }, long[..199_998].to_vec()),
            (Reduce { outer: 3, dim: 300, inner: 70 }, wide),
        ];
        for (p, x) in tests {
            let here = Storage::from_slice(&Device::Cpu, &x).unwrap();
            let there = Storage::from_slice(&gpu, &x).unwrap();
            for which in [Extreme::Max, Extreme::Min] {
                let read = |(y, index): (Storage, Storage)| {
                    let bits = y.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    (bits, index.to_vec::<u32>().unwrap())
                };
                let (y, index) = extreme(which, &p, &here).unwrap();
                let dx = extreme_backward(&p, &index, &y).unwrap().to_vec::<f32>().unwrap();
                let expected = read((y, index));
                for rung in 0..GPU_RUNGS.len() {
                    let (y, index) = extreme_rung(rung, which, &p, &there).unwrap();
                    let back = extreme_backward(&p, &index, &y).unwrap().to_vec::<f32>().unwrap();
                    assert!(read((y, index)) == expected, "{which:?}, rung {rung}, {p:?}");
                    let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
                    assert!(back.iter().zip(&dx).all(same), "{which:?}, rung {rung}, {p:?}");
                }
            }
        }
    }
}
