//! Maps and resampled volumes against PyTorch's, as make.py has written them.

use serde::Deserialize;
use voxgrad_models::luna::augment::{affine, resample};

#[derive(Deserialize)]
struct Case {
    size: [usize; 3],
    scales: [f64; 3],
    offsets: [f64; 3],
    angle: f64,
    matrix: Vec<f64>,
    every: usize,
    sampled: Vec<f64>,
}

#[test]
fn as_pytorch_maps_and_samples() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("pytorch.json")).unwrap();
    assert_eq!(cases.len(), 7);
    for (n, case) in cases.iter().enumerate() {
        let map = affine(case.scales, case.offsets, case.angle);
        let far = |ours: f64, theirs: f64, within: f64| (ours - theirs).abs() >= within;
        let off = map.as_flattened().iter().zip(&case.matrix).position(|(a, b)| far(*a, *b, 1e-8));
        assert_eq!(off, None, "case {n}: {map:?} {:?}", case.matrix);

        let voxels: usize = case.size.iter().product();
        let volume: Vec<f32> = (0..voxels).map(|i| ((i * 7919 % 1009) as f64 / 504.5 - 1.0) as f32).collect();
        let sampled = resample(&volume, case.size, &map);
        assert_eq!(case.sampled.len(), voxels.div_ceil(case.every));
        for (i, (ours, theirs)) in sampled.iter().step_by(case.every).zip(&case.sampled).enumerate() {
            assert!(!far((*ours).into(), *theirs, 1e-5), "case {n}, number {i}: {ours} {theirs}");
        }
    }
}
