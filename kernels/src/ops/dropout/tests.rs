use super::*;
use crate::device::gpus;
use crate::split::same_bits_on_any_number_of_threads;

fn ones(n: usize) -> Storage {
    Storage::from_slice(&Device::Cpu, &vec![1.0f32; n]).unwrap()
}

#[test]
fn both_rungs_draw_the_same_mask() {
    for (len, group) in [(0, 1), (1, 1), (7, 1), (4099, 1), (60, 5), (21, 7), (24_000, 3)] {
        let params = Dropout::new(len, group, 0x1234_5678_9ABC_DEF0, 1 << 40 | 17);
        let y =
            |rung| forward_rung(rung, &params, 0.3, &ones(len as usize)).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y(0), y(1), "{len} in groups of {group}");
        assert!(y(1).chunks(group as usize).all(|channel| channel.iter().all(|x| *x == channel[0])));
    }
}

#[test]
fn the_share_of_zeros_is_p_and_the_mean_stays() {
    let n = 100_000;
    for p in [0.1, 0.5, 0.9] {
        let y = forward(&Dropout::new(n, 1, 1, 2), p, &ones(n as usize)).unwrap().to_vec::<f32>().unwrap();
        let share = y.iter().filter(|y| **y == 0.0).count() as f64 / f64::from(n);
        assert!((share - p).abs() < 0.005, "{share} of {p}");
        assert!(y.iter().all(|y| *y == 0.0 || *y == (1.0 / (1.0 - p)) as f32));
    }
}

#[test]
fn threads_change_nothing() {
    same_bits_on_any_number_of_threads(|| {
        let y = forward(&Dropout::new(100_001, 1, 3, 4), 0.5, &ones(100_001)).unwrap();
        y.to_vec::<f32>().unwrap()
    });
}

#[test]
fn only_probabilities_are_taken() {
    for p in [-0.1, 1.5, f64::NAN] {
        let error = forward(&Dropout::new(4, 1, 0, 0), p, &ones(4)).unwrap_err();
        assert_eq!(error.to_string(), format!("dropout: the probability is {p}, must be in 0..=1"));
    }
    assert_eq!(forward(&Dropout::new(4, 1, 0, 0), 0.0, &ones(4)).unwrap().to_vec::<f32>().unwrap(), [1.0; 4]);
    assert_eq!(forward(&Dropout::new(4, 1, 0, 0), 1.0, &ones(4)).unwrap().to_vec::<f32>().unwrap(), [0.0; 4]);
}

/// Bit for bit, for all halves of seed and offset, wherever a channel begins.
#[test]
fn a_gpu_draws_the_same_mask() {
    for gpu in gpus() {
        let streams =
            [(0, 0), (u64::MAX, u64::MAX), (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344), (7, 1 << 40)];
        let sizes =
            [(0, 1), (1, 1), (4099, 1), (1024, 1), (60, 5), (24_000, 3), (100_000, 1023), (5000, 100_000)];
        for ((len, group), (seed, offset)) in sizes.into_iter().flat_map(|size| streams.map(|s| (size, s))) {
            for p in [0.0, 0.3, 0.999, 1.0] {
                let params = Dropout::new(len, group, seed, offset);
                let x: Vec<f32> = (0..len).map(|i| i as f32 - 1000.0).collect();
                let run = |rung, device: &Device| {
                    let x = Storage::from_slice(device, &x).unwrap();
                    let y = forward_rung(rung, &params, p, &x).unwrap().to_vec::<f32>().unwrap();
                    y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                let wanted = run(0, &Device::Cpu);
                for (rung, name) in GPU_RUNGS.iter().enumerate() {
                    assert!(run(rung, &gpu) == wanted, "{name}, p {p}, {params:?}");
                }
            }
        }
    }
}
