use super::*;
use crate::device::gpus;
use crate::split::same_bits_on_any_number_of_threads;
use crate::{Element, Float};

/// planes, input, kernel, stride, padding, dilation
type Case = (usize, [usize; 3], [usize; 3], [usize; 3], [usize; 3], [usize; 3]);

const ONE: [usize; 3] = [1; 3];
const ZERO: [usize; 3] = [0; 3];
const CASES: &[Case] = &[
    (6, [1, 8, 8], [1, 2, 2], [1, 2, 2], ZERO, ONE),
    (6, [1, 9, 7], [1, 2, 2], [1, 2, 2], ZERO, ONE),
    (4, [6, 5, 8], [2, 2, 2], [2, 2, 2], ZERO, ONE),
    (3, [1, 11, 10], [1, 3, 3], [1, 2, 2], [0, 1, 1], ONE),
    (3, [1, 7, 9], [1, 3, 3], [1, 1, 1], [0, 1, 1], ONE),
    (2, [1, 9, 10], [1, 2, 3], [1, 1, 2], [0, 1, 1], [1, 3, 2]),
    (2, [5, 6, 7], [1, 2, 3], [1, 2, 2], [0, 1, 1], ONE),
    (2, [4, 6, 17], [4, 6, 17], ONE, ZERO, ONE),
    (5, [1, 6, 20], [1, 2, 13], [1, 3, 5], [0, 1, 6], ONE),
    (1, [1, 1, 1], ONE, ONE, ZERO, ONE),
    (0, [1, 4, 4], [1, 2, 2], [1, 2, 2], ZERO, ONE),
    // The only window lies in the margin altogether.
    (2, [1, 1, 2], [1, 1, 2], ONE, [0, 0, 1], [1, 1, 3]),
    (40, [4, 24, 24], [2, 2, 2], [2, 2, 2], ZERO, ONE),
];

/// Windows that a GPU's workgroup shares, one of them with far more elements than it has threads.
const LARGE: &[Case] = &[
    (3, [5, 20, 21], [5, 20, 21], ONE, ZERO, ONE),
    (2, [1, 50, 41], [1, 17, 33], [1, 4, 5], [0, 8, 16], ONE),
    (2, [30, 40, 44], [30, 40, 44], ONE, ZERO, ONE),
    (1, [1, 64, 64], [1, 20, 20], [1, 5, 5], [0, 4, 7], [1, 3, 3]),
];

fn cases(count_include_pad: bool) -> impl Iterator<Item = Pool> {
    pools(CASES, count_include_pad)
}

fn pools(cases: &[Case], count_include_pad: bool) -> impl Iterator<Item = Pool> {
    cases.iter().map(move |&(planes, input, kernel, stride, padding, dilation)| {
        let window = Window { kernel, stride, padding, dilation, count_include_pad };
        Pool::new("pool", planes, input, &window).unwrap()
    })
}

/// Numbers with many ties, a NaN now and then and minus infinity.
fn awkward<T: Float + Element>(n: usize) -> Storage {
    let value = |i: usize| match i * 7919 % 101 {
        0 => T::nan(),
        1 => T::neg_infinity(),
        k => T::of((k % 9) as f64 - 4.0),
    };
    Storage::from_slice(&Device::Cpu, &(0..n).map(value).collect::<Vec<T>>()).unwrap()
}

fn smooth(n: usize) -> Storage {
    let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
    Storage::from_slice(&Device::Cpu, &values).unwrap()
}

fn bits(x: &Storage) -> Vec<u64> {
    match x.dtype() {
        DType::F32 => x.to_vec::<f32>().unwrap().into_iter().map(|x| u64::from(x.to_bits())).collect(),
        DType::F64 => x.to_vec::<f64>().unwrap().into_iter().map(f64::to_bits).collect(),
        DType::U32 => x.to_vec::<u32>().unwrap().into_iter().map(u64::from).collect(),
    }
}

fn assert_close(a: &Storage, b: &Storage, what: &str) {
    let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-13 * (1.0 + b.abs()), "{what}: {a} is not {b}");
    }
}

#[test]
fn max_rungs_agree_to_the_bit() {
    fn check<T: Float + Element>() {
        for p in cases(true) {
            let x = awkward::<T>(p.in_len());
            let (y0, argmax0) = max_forward_rung(0, &p, &x).unwrap();
            let dx0 = max_backward_rung(0, &p, &argmax0, &y0).unwrap();
            for (rung, name) in RUNGS.iter().enumerate().skip(1) {
                let (y, argmax) = max_forward_rung(rung, &p, &x).unwrap();
                assert_eq!(bits(&argmax0), bits(&argmax), "{name} {p:?}");
                assert_eq!(bits(&y0), bits(&y), "{name} {p:?}");
                let dx = max_backward_rung(rung, &p, &argmax0, &y0).unwrap();
                assert_eq!(bits(&dx0), bits(&dx), "{name} {p:?}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn average_rungs_agree() {
    for p in cases(true).chain(cases(false)).filter(|p| p.dilation_w == 1) {
        let x = smooth(p.in_len());
        let y = avg_forward_rung(0, &p, &x).unwrap();
        assert_close(&avg_forward_rung(1, &p, &x).unwrap(), &y, &format!("forward {p:?}"));
        let dx = avg_backward_rung(0, &p, &y).unwrap();
        assert_close(&avg_backward_rung(1, &p, &y).unwrap(), &dx, &format!("backward {p:?}"));
    }
}

#[test]
fn threads_change_nothing() {
    let window = |pad| Window {
        kernel: [3; 3],
        stride: [2; 3],
        padding: [pad; 3],
        dilation: ONE,
        count_include_pad: false,
    };
    let p = Pool::new("pool", 12, [9, 15, 17], &window(1)).unwrap();
    let x = smooth(p.in_len());
    same_bits_on_any_number_of_threads(|| {
        let (y, argmax) = max_forward(&p, &x).unwrap();
        let average = avg_forward(&p, &x).unwrap();
        let dx = max_backward(&p, &argmax, &y).unwrap();
        [&y, &argmax, &average, &dx, &avg_backward(&p, &y).unwrap()].map(bits)
    });
}

#[test]
fn wrong_sizes_are_errors() {
    let p = cases(true).next().unwrap();
    let message = max_forward(&p, &smooth(5)).unwrap_err().to_string();
    assert_eq!(message, "max_pool: input has 5 elements, expected 384");
    let labels = Storage::zeros(&Device::Cpu, DType::U32, p.in_len()).unwrap();
    assert!(matches!(avg_forward(&p, &labels), Err(crate::Error::DType { .. })));
    let window = |kernel, stride, padding, dilation| Window {
        kernel,
        stride,
        padding,
        dilation,
        count_include_pad: true,
    };
    for (window, message) in [
        (
            window([1, 0, 2], ONE, ZERO, ONE),
            "pool: kernel_size [1, 0, 2] must be at least 1 in every dimension",
        ),
        (window(ONE, ZERO, ZERO, ONE), "pool: stride [0, 0, 0] must be at least 1 in every dimension"),
        (window(ONE, ONE, ZERO, ZERO), "pool: dilation [0, 0, 0] must be at least 1 in every dimension"),
        (
            window([1, 3, 3], ONE, [0, 2, 0], ONE),
            "pool: padding [0, 2, 0] is more than half of kernel_size [1, 3, 3]",
        ),
        (
            window([1, 2, 6], ONE, ZERO, ONE),
            "pool: the window does not fit: input [1, 4, 5] with padding [0, 0, 0], \
             kernel_size [1, 2, 6] with dilation [1, 1, 1]",
        ),
        (
            window([1, 1, usize::MAX], ONE, ZERO, [1, 1, usize::MAX]),
            "pool: the window does not fit: input [1, 4, 5] with padding [0, 0, 0], \
             kernel_size [1, 1, 18446744073709551615] with dilation [1, 1, 18446744073709551615]",
        ),
    ] {
        assert_eq!(Pool::new("pool", 1, [1, 4, 5], &window).unwrap_err().to_string(), message);
    }
    let empty = Pool::new("pool", 1, [1, 0, 5], &window(ONE, ONE, ZERO, ONE)).unwrap_err();
    assert_eq!(empty.to_string(), "pool: nothing to pool in planes of [1, 0, 5]");
}

#[test]
fn a_gpu_finds_the_same_maxima_to_the_bit() {
    for gpu in gpus() {
        for p in cases(true).chain(pools(LARGE, true)) {
            let x = awkward::<f32>(p.in_len());
            let (y, argmax) = max_forward_rung(0, &p, &x).unwrap();
            // Sums of quarters are exact in any order.
            let dy: Vec<f32> = (0..p.out_len()).map(|i| (i * 7919 % 64) as f32 * 0.25).collect();
            let dy = Storage::from_slice(&Device::Cpu, &dy).unwrap();
            let dx = max_backward_rung(0, &p, &argmax, &dy).unwrap();
            let on_gpu = |x: &Storage| x.to_device(&gpu).unwrap();
            for (rung, name) in GPU_RUNGS.iter().enumerate() {
                let (got, got_argmax) = max_forward_rung(rung, &p, &on_gpu(&x)).unwrap();
                assert_eq!(bits(&got_argmax), bits(&argmax), "{name}, {p:?}");
                let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                let [got, wanted] = [got, y.to_device(&gpu).unwrap()].map(|y| y.to_vec::<f32>().unwrap());
                assert!(got.iter().zip(&wanted).all(same), "{name}, {p:?}");
                let got = max_backward_rung(rung, &p, &on_gpu(&argmax), &on_gpu(&dy)).unwrap();
                assert_eq!(bits(&got), bits(&dx), "{name}, {p:?}");
            }
        }
    }
}

#[test]
fn a_gpu_takes_the_same_averages() {
    for gpu in gpus() {
        let close = |got: &Storage, wanted: &Storage, what: &str| {
            let (got, wanted) = (got.to_vec::<f32>().unwrap(), wanted.to_vec::<f64>().unwrap());
            for (&got, &wanted) in got.iter().zip(&wanted) {
                let apart = (f64::from(got) - wanted).abs();
                assert!(apart <= 1e-6 || got.is_nan() && wanted.is_nan(), "{what}: {got} is not {wanted}");
            }
        };
        let poolings = [true, false].map(|pad| cases(pad).chain(pools(LARGE, pad)));
        for p in poolings.into_iter().flatten() {
            let (x, dy) = (smooth(p.in_len()), smooth(p.out_len()));
            let (y, dx) = (avg_forward(&p, &x).unwrap(), avg_backward(&p, &dy).unwrap());
            let on_gpu =
                |x: &Storage| crate::ops::convert::convert(x, DType::F32).unwrap().to_device(&gpu).unwrap();
            for (rung, name) in GPU_RUNGS.iter().enumerate() {
                let what = format!("{name}, {p:?}");
                close(&avg_forward_rung(rung, &p, &on_gpu(&x)).unwrap(), &y, &what);
                close(&avg_backward_rung(rung, &p, &on_gpu(&dy)).unwrap(), &dx, &what);
            }
        }
    }
}
