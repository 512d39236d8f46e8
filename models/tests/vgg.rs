//! VGG16 against PyTorch and torchvision: files that vgg/make.py has written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Tensor, checkpoint, no_grad};
use voxgrad_models::Result;
use voxgrad_models::trainer::Console;
use voxgrad_models::vgg::{self, Photo, SIDE, Settings, Vgg16, Vgg16Options};

/// A test is run in the folder of its package.
fn file(name: &str) -> PathBuf {
    PathBuf::from("tests/vgg").join(name)
}

/// The two images of make.py.
fn images() -> Tensor {
    let number = |i: usize| (i * 37 % 251) as f32 / 128.0 - 1.0;
    let numbers: Vec<f32> = (0..2 * 3 * SIDE * SIDE).map(number).collect();
    Tensor::new(&numbers, [2, 3, SIDE, SIDE], &Device::cpu()).unwrap()
}

#[test]
fn a_state_dict_of_pytorch_gives_its_logits() {
    for (name, batch_norm) in [("vgg16", false), ("vgg16_bn", true)] {
        let (state, _) = checkpoint::load(file(&format!("{name}.pth"))).unwrap();
        let options = Vgg16Options::of(&state);
        let narrow = Vgg16Options { width: 2, hidden: 8, classes: 5, batch_norm, global_max_pool: false };
        assert_eq!(options, narrow, "{name}");
        let net = Vgg16::from_state(&options, &state).unwrap();
        net.eval();
        let logits = no_grad(|| net.forward(&images())).unwrap().to_f64_vec().unwrap();
        let (wanted, _) = checkpoint::load(file(&format!("{name}_logits.pt"))).unwrap();
        let wanted = wanted[0].1.to_f64_vec().unwrap();
        let largest = wanted.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (got, wanted) in logits.iter().zip(&wanted) {
            assert!((got - wanted).abs() < 1e-5 * largest, "{name}: {got}, PyTorch has {wanted}");
        }
    }
}

/// The picture of make.py.
fn pattern(path: &Path, width: u32, height: u32) {
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 255 / (width - 1).max(1)) as u8, (x * y) as u8, ((x / 5 + y / 3) % 2 * 255) as u8])
    });
    picture.save(path).unwrap();
}

#[test]
fn the_middle_is_torchvisions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pattern.png");
    for (width, height) in [(640, 480), (333, 1000), (100, 37), (256, 257), (3, 2), (225, 225)] {
        pattern(&path, width, height);
        let middle = Photo::read(&path).unwrap().middle();
        let wanted = image::open(file(&format!("middle_{width}x{height}.png"))).unwrap().into_rgb8();
        for (x, y, pixel) in wanted.enumerate_pixels() {
            let at = 3 * (SIDE * (4 + 8 * y as usize) + 4 + 8 * x as usize);
            for (got, wanted) in middle[at..at + 3].iter().zip(pixel.0) {
                // PIL goes down before across where that is less work, and rounds in between.
                let most = if height > 2 * width { 1 } else { 0 };
                assert!(got.abs_diff(wanted) <= most, "{width} x {height}: {got}, not {wanted}, at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_photograph_is_turned_as_its_camera_says() {
    let photo = Photo::read(&file("turned.jpg")).unwrap();
    assert_eq!(photo.size(), (40, 60));
    let middle = photo.middle();
    let [top, bottom] = [SIDE / 2, SIDE * SIDE - SIDE / 2].map(|pixel| &middle[3 * pixel..][..3]);
    assert!(top[0] > 240 && top[2] < 15 && bottom[0] < 15 && bottom[2] > 240, "{top:?} over {bottom:?}");
}

/// What the lesson says, or its error.
fn said(settings: &Settings) -> Result<String> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    vgg::run(settings, &mut Console::to(lines.clone()))?;
    Ok(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap())
}

fn settings(weights: &Path, image: Option<&Path>) -> Settings {
    Settings {
        weights: Some(weights.into()),
        image: image.map(Path::to_path_buf),
        device: "cpu".into(),
        ..Settings::default()
    }
}

#[test]
fn a_photograph_gets_its_likeliest_classes() {
    let dir = tempfile::tempdir().unwrap();
    let (picture, labels) = (dir.path().join("picture.png"), dir.path().join("labels.txt"));
    pattern(&picture, 300, 260);
    let plain = settings(&file("vgg16_bn.pth"), Some(&picture));
    let numbers = said(&plain).unwrap();
    assert!(numbers.contains("Model: VGG16, batch normalisation, 21211 parameters\n"), "{numbers}");
    assert!(numbers.contains("Image: 300 x 260 pixels\n"), "{numbers}");
    let classes: Vec<&str> = numbers.lines().filter(|line| line.contains('%')).collect();
    assert_eq!(classes.len(), 5, "{numbers}");
    let percent = |line: &str| line.split('%').next().unwrap().trim().parse::<f64>().unwrap();
    assert!(classes.windows(2).all(|pair| percent(pair[0]) >= percent(pair[1])), "{numbers}");
    assert!((classes.iter().map(|line| percent(line)).sum::<f64>() - 100.0).abs() < 0.3, "{numbers}");

    // With Windows line ends, and a command for the terminal.
    fs::write(&labels, "ape\r\nbee\x1b[2J\r\ncat\r\ndog\r\nelk\r\n").unwrap();
    let named = Settings { labels: Some(labels.clone()), ..plain };
    let names = said(&named).unwrap();
    let first: usize = classes[0].rsplit(' ').next().unwrap().parse().unwrap();
    let name = ["ape", "bee[2J", "cat", "dog", "elk"][first];
    assert!(
        names.lines().find(|line| line.contains('%')).unwrap().ends_with(&format!("%  {name}")),
        "{names}"
    );
    fs::write(&labels, "ape\nbee\n").unwrap();
    let message = said(&named).unwrap_err().to_string();
    assert!(message.ends_with("2 names, one in each line, for the 5 classes of the weights"), "{message}");
}

#[test]
fn any_picture_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.png");
    let classify = || said(&settings(&file("vgg16.pth"), Some(&path))).unwrap();
    image::RgbImage::new(1, 1).save(&path).unwrap();
    assert!(classify().contains("Image: 1 x 1 pixels\n"));
    image::GrayImage::new(30, 20).save(&path).unwrap();
    assert!(classify().contains("Image: 30 x 20 pixels, grey, as equal red, green and blue\n"));
    image::RgbaImage::new(30, 20).save(&path).unwrap();
    assert!(classify().contains("Image: 30 x 20 pixels, its transparent parts on white\n"));
}

#[test]
fn weights_of_another_network_are_explained() {
    let other = PathBuf::from("../engine/tests/pytorch/files/net.pt");
    let message = said(&settings(&other, None)).unwrap_err().to_string();
    for part in [
        "net.pt: A state dict of torchvision's vgg16 or vgg16_bn is needed here",
        "missing: features.0.weight [64, 3, 3, 3]",
        "unexpected: conv1.weight [16, 3, 3, 3]",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let plain = Settings { batch_norm: true, ..settings(&file("vgg16.pth"), None) };
    let message = said(&plain).unwrap_err().to_string();
    assert!(message.starts_with("--batch-norm: the weights in "), "{message}");
    assert!(message.ends_with("vgg16.pth are of a network without"), "{message}");
}

#[test]
fn without_a_photograph_it_says_what_the_network_takes() {
    let text = said(&Settings { batch_size: 2, ..settings(&file("vgg16.pth"), None) }).unwrap();
    let line =
        |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{text}"));
    let words = |start| line(start).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words("features.0 "), "features.0 conv2d [1, 2, 224, 224] 56 2,709,504");
    assert_eq!(words("the most at once, to classify"), "the most at once, to classify 2.8");
    assert!(line("A forward pass: ").ends_with("billion multiply-adds a second"));
}
