use super::*;
use crate::data::{DataLoader, TensorDataset};

/// Two channels of 2 rows and 3 columns, counted through.
fn sample() -> Sample {
    Sample { input: (0..12).map(|i| i as f32).collect(), shape: [2, 2, 3].into(), target: 1 }
}

fn apply(transform: impl Transform, stream: u64) -> Result<Sample> {
    let mut sample = sample();
    transform.apply(&mut sample, &mut Rng::new(1, stream))?;
    Ok(sample)
}

#[test]
fn bytes_of_both_layouts() {
    let expected = [0.0, 0.2, 0.4, 1.0, 0.6, 0.8];
    assert_eq!(to_tensor(&[0, 51, 102, 255, 153, 204], Layout::Chw, [3, 1, 2]).unwrap(), expected);
    assert_eq!(to_tensor(&[0, 102, 153, 51, 255, 204], Layout::Hwc, [3, 1, 2]).unwrap(), expected);
    let message = to_tensor(&[0; 5], Layout::Hwc, [3, 1, 2]).unwrap_err().to_string();
    assert_eq!(message, "data: to_tensor: 5 bytes are not an image of [3, 1, 2]");
    assert!(to_tensor(&[], Layout::Hwc, [0, 1, 2]).unwrap().is_empty());
    assert!(to_tensor(&[0], Layout::Chw, [usize::MAX, 2, 2]).is_err());
}

#[test]
fn normalised_per_channel() {
    let normal = apply(Normalize::new(&[1.0, 6.0], &[2.0, 0.5]).unwrap(), 0).unwrap();
    assert_eq!(normal.input, [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    assert_eq!((normal.shape, normal.target), ([2, 2, 3].into(), 1));

    let message = apply(Normalize::new(&[0.0; 3], &[1.0; 3]).unwrap(), 0).unwrap_err().to_string();
    assert_eq!(message, "data: normalize: 3 means for the channels of a sample [2, 2, 3]");
    for std in [0.0, -1.0, f32::NAN] {
        assert!(Normalize::new(&[0.0], &[std]).is_err());
    }
    assert!(Normalize::new(&[0.0], &[1.0, 1.0]).is_err());
}

#[test]
fn mirrored_about_as_often_as_asked_for() {
    let mirrored = [2.0, 1.0, 0.0, 5.0, 4.0, 3.0, 8.0, 7.0, 6.0, 11.0, 10.0, 9.0];
    assert_eq!(apply(RandomHorizontalFlip(1.0), 0).unwrap().input, mirrored);
    assert_eq!(apply(RandomHorizontalFlip(0.0), 0).unwrap().input, sample().input);
    let times = (0..1000).filter(|&i| apply(RandomHorizontalFlip(0.3), i).unwrap().input == mirrored).count();
    assert!((250..350).contains(&times), "{times} of 1000");
    assert!(apply(RandomHorizontalFlip(1.5), 0).is_err());
    assert!(apply(RandomHorizontalFlip(f32::NAN), 0).is_err());
}

/// Every crop is a window of the padded image, and every window comes up.
#[test]
fn crops_are_windows_of_the_padded_image() {
    for (size, padding) in [(2, 0), (2, 1), (3, 1), (4, 1), (1, 0), (2, 3), (5, 2)] {
        let (height, width) = (2 + 2 * padding, 3 + 2 * padding);
        let padded = |channel: usize, y: usize, x: usize| {
            let inside = (padding..padding + 2).contains(&y) && (padding..padding + 3).contains(&x);
            if inside { (channel * 6 + (y - padding) * 3 + x - padding) as f32 } else { 0.0 }
        };
        let window = |top: usize, left: usize| -> Vec<f32> {
            let all = (0..2).flat_map(|c| (0..size).flat_map(move |y| (0..size).map(move |x| (c, y, x))));
            all.map(|(c, y, x)| padded(c, top + y, left + x)).collect()
        };
        let corners = (0..=height - size).flat_map(|top| (0..=width - size).map(move |left| (top, left)));
        let windows: Vec<Vec<f32>> = corners.map(|(top, left)| window(top, left)).collect();
        let mut seen = vec![false; windows.len()];
        for stream in 0..1000 {
            let crop = apply(RandomCrop { size, padding }, stream).unwrap();
            assert_eq!(crop.shape[..], [2, size, size]);
            assert!(windows.contains(&crop.input), "{size} {padding}: {:?}", crop.input);
            windows.iter().zip(&mut seen).for_each(|(window, seen)| *seen |= *window == crop.input);
        }
        assert!(seen.iter().all(|&seen| seen), "{size} {padding}");
    }
    let message = apply(RandomCrop { size: 5, padding: 1 }, 0).unwrap_err().to_string();
    assert_eq!(message, "data: random crop: 5 x 5 pixels do not fit into [2, 2, 3] with a padding of 1");
}

#[test]
fn rotation_by_nothing_changes_nothing() {
    let still = apply(RandomRotation(0.0), 0).unwrap();
    assert_eq!(still, sample());
    let turned = apply(RandomRotation(30.0), 0).unwrap();
    assert_eq!(turned.shape, still.shape);
    assert_ne!(turned.input, still.input);
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        assert!(apply(RandomRotation(wrong), 0).is_err());
    }
}

#[test]
fn brightness_keeps_within_bounds() {
    let mut factors = vec![];
    for stream in 0..200 {
        let mut sample = Sample { input: vec![0.0, 0.5, 0.9], shape: [1, 1, 3].into(), target: 0 };
        RandomBrightness(0.4).apply(&mut sample, &mut Rng::new(1, stream)).unwrap();
        let factor = sample.input[1] / 0.5;
        assert_eq!(sample.input[0], 0.0);
        assert!((sample.input[2] - (0.9 * factor).min(1.0)).abs() < 1e-6);
        factors.push(factor);
    }
    let (low, high) = factors.iter().fold((9.0f32, 0.0f32), |(low, high), &f| (low.min(f), high.max(f)));
    assert!((0.6..0.65).contains(&low) && (1.35..1.4).contains(&high), "{low} {high}");
    assert!(apply(RandomBrightness(-0.1), 0).is_err());
    assert!(apply(RandomBrightness(f32::NAN), 0).is_err());
}

#[test]
fn samples_without_rows_and_columns_are_an_error() {
    for transform in [
        &RandomHorizontalFlip(0.5) as &dyn Transform,
        &RandomCrop { size: 1, padding: 0 },
        &RandomRotation(10.0),
    ] {
        let mut flat = Sample { input: vec![1.0], shape: [1].into(), target: 0 };
        let message = transform.apply(&mut flat, &mut Rng::new(0, 0)).unwrap_err().to_string();
        assert!(message.ends_with("a sample of shape [1] has no rows and columns"), "{message}");
    }
    // An image without pixels stays one.
    for shape in [[3, 0, 4], [3, 4, 0], [0, 4, 4]] {
        for transform in
            [&RandomHorizontalFlip(1.0) as &dyn Transform, &RandomRotation(10.0), &RandomBrightness(0.5)]
        {
            let mut empty = Sample { input: vec![], shape: shape.into(), target: 0 };
            transform.apply(&mut empty, &mut Rng::new(0, 0)).unwrap();
            assert_eq!((empty.input.len(), empty.shape), (0, shape.into()));
        }
    }
    let mut empty = Sample { input: vec![], shape: [3, 0, 4].into(), target: 0 };
    RandomCrop { size: 2, padding: 1 }.apply(&mut empty, &mut Rng::new(0, 0)).unwrap();
    assert_eq!((empty.input, empty.shape), (vec![0.0; 12], [3, 2, 2].into()));
    assert!(apply(RandomCrop { size: 1, padding: usize::MAX }, 0).is_err());
}

#[test]
fn augmentation_does_not_depend_on_the_number_of_workers() {
    let images =
        TensorDataset::new((0..20 * 48).map(|i| (i % 97) as f32 / 97.0).collect(), [3, 4, 4], vec![0; 20]);
    let augment = Compose::new()
        .then(RandomBrightness(0.3))
        .then(RandomHorizontalFlip(0.5))
        .then(RandomCrop { size: 4, padding: 1 })
        .then(RandomRotation(20.0));
    let data = Arc::new(Transformed::new(Arc::new(images.unwrap()), augment));
    let loader = DataLoader::new(data, 6).unwrap().shuffle(3);
    let bits = |loader: &DataLoader, epoch| -> Vec<f32> {
        loader.epoch(epoch).flat_map(|batch| batch.unwrap().inputs.to_vec::<f32>().unwrap()).collect()
    };
    assert_eq!(bits(&loader, 1), bits(&loader.clone().workers(3), 1));
    assert_ne!(bits(&loader, 1), bits(&loader, 2));
}
