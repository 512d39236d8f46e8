use super::*;

#[test]
fn an_image_depends_on_seed_split_and_number_alone() {
    let images = |n, split, seed| images(n, split, seed).unwrap();
    let all = images(50, Split::Train, 1);
    let few = images(7, Split::Train, 1);
    for i in 0..7 {
        assert_eq!(all.pixels(i).unwrap(), few.pixels(i).unwrap());
        assert_eq!(all.labels()[i], few.labels()[i]);
    }
    assert_ne!(few, images(7, Split::Val, 1));
    assert_ne!(few, images(7, Split::Train, 2));
    assert!(images(0, Split::Train, 1).is_empty());
}

#[test]
fn both_classes_come_up_equally_often() {
    let birds = images(2000, Split::Train, 3).unwrap().labels().iter().filter(|&&label| label == 1).count();
    assert!((900..1100).contains(&birds), "{birds} birds of 2000");
}

/// Logistic regression on the pixels: trained on the first set, its accuracy on the second.
fn linear_accuracy(train: &[(Vec<f32>, u32)], val: &[(Vec<f32>, u32)]) -> f64 {
    let mut weights = vec![0.0f32; 3 * SIDE * SIDE];
    let mut bias = 0.0;
    let score =
        |weights: &[f32], bias: f32, x: &[f32]| bias + weights.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
    for epoch in 0..20 {
        let mut order: Vec<usize> = (0..train.len()).collect();
        Rng::new(0, epoch).shuffle(&mut order);
        for i in order {
            let (x, label) = &train[i];
            let error = 1.0 / (1.0 + (-score(&weights, bias, x)).exp()) - *label as f32;
            let step = 3e-4 * error;
            weights.iter_mut().zip(x).for_each(|(w, x)| *w -= step * x);
            bias -= step;
        }
    }
    let right = val.iter().filter(|(x, label)| (score(&weights, bias, x) > 0.0) == (*label == 1)).count();
    right as f64 / val.len() as f64
}

#[test]
fn a_linear_model_cannot_tell_them_apart() {
    let examples = |n, split| -> Vec<(Vec<f32>, u32)> {
        let images = images(n, split, 42).unwrap();
        let numbers = |i| images.pixels(i).unwrap().iter().map(|&byte| byte as f32 / 127.5 - 1.0).collect();
        (0..n).map(|i| (numbers(i), images.labels()[i])).collect()
    };
    let (mut train, mut val) = (examples(3000, Split::Train), examples(1000, Split::Val));
    let accuracy = linear_accuracy(&train, &val);
    assert!(accuracy < 0.8, "a linear model reaches {accuracy}");
    // The same model finds a pixel that gives the class away, if there is one.
    for (x, label) in train.iter_mut().chain(&mut val) {
        x[..9].fill(2.0 * *label as f32 - 1.0);
    }
    let accuracy = linear_accuracy(&train, &val);
    assert!(accuracy > 0.9, "a linear model with the answer in sight reaches {accuracy}");
}
