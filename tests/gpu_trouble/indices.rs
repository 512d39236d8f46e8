//! Indices out of range.

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::layout::{IndexSelect, index_select, index_select_backward};

#[test]
fn a_bad_index_is_reported_once() {
    let (_alone, gpus) = super::gpus();
    for gpu in gpus {
        let expected = "index_select: the index at position 2 is not below the dimension's size";
        let p = IndexSelect { outer: 2, dim: 3, inner: 2, count: 5 };
        let index = Storage::from_slice(&gpu, &[2u32, 0, 3, 2, u32::MAX]).unwrap();

        let floats: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let y = index_select(&p, &Storage::from_slice(&gpu, &floats).unwrap(), &index).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap_err().to_string(), expected);
        let y = y.to_vec::<f32>().unwrap();
        assert_eq!(
            [&y[0..4], &y[6..8], &y[10..14], &y[16..18]].concat(),
            [4.0, 5.0, 0.0, 1.0, 4.0, 5.0, 10.0, 11.0, 6.0, 7.0, 10.0, 11.0]
        );
        assert!([4, 5, 8, 9, 14, 15, 18, 19].iter().all(|&i: &usize| y[i].is_nan()), "{y:?}");

        let words: Vec<u32> = (1..13).collect();
        let y = index_select(&p, &Storage::from_slice(&gpu, &words).unwrap(), &index).unwrap();
        assert_eq!(y.to_vec::<u32>().unwrap_err().to_string(), expected);
        assert_eq!(y.to_vec::<u32>().unwrap()[..10], [5, 6, 1, 2, 0, 0, 5, 6, 0, 0]);

        let dy: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let dx = index_select_backward(&p, &Storage::from_slice(&gpu, &dy).unwrap(), &index).unwrap();
        assert_eq!(gpu.synchronize().unwrap_err().to_string(), expected);
        assert_eq!(
            dx.to_vec::<f32>().unwrap(),
            [2.0, 3.0, 0.0, 0.0, 6.0, 8.0, 12.0, 13.0, 0.0, 0.0, 26.0, 28.0]
        );

        // Nothing to pick from, and nothing to pick, but an index all the same.
        for (dim, inner, got) in [(0, 2, 4), (3, 0, 0)] {
            let p = IndexSelect { outer: 1, dim, inner, count: 2 };
            let x = Storage::from_slice::<f32>(&gpu, &[]).unwrap();
            let index = Storage::from_slice(&gpu, &[0u32, 7]).unwrap();
            let y = index_select(&p, &x, &index).unwrap();
            let position = if dim == 0 { 0 } else { 1 };
            let message = gpu.synchronize().unwrap_err().to_string();
            assert!(message.contains(&format!("position {position} ")), "{message}");
            assert!(y.to_vec::<f32>().unwrap().iter().filter(|y| y.is_nan()).count() == got);
        }
        gpu.synchronize().unwrap();
    }
}
