//! The book's network from outside: with PyTorch's weights, as a table, and with images it can't take.

use std::path::Path;

use voxgrad_engine::nn::Module;
use voxgrad_engine::{DType, Device, Result, Tensor, checkpoint};
use voxgrad_models::cifar2::nets::{Net, NetResDeep, NetWidth};

/// A file that engine/tests/pytorch/make.py has written. A test is run in the folder of its package.
fn load(name: &str) -> Vec<(String, Tensor)> {
    checkpoint::load(Path::new("../engine/tests/pytorch/files").join(name)).unwrap().0
}

/// Two images, made of the same numbers as those that PyTorch was given.
fn images() -> Tensor {
    let pixels: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (i * 37 % 251) as f32 / 128.0 - 1.0).collect();
    Tensor::new(&pixels, [2, 3, 32, 32], &Device::cpu()).unwrap()
}

#[test]
fn pytorchs_network_gives_pytorchs_logits() {
    let net = Net::new().unwrap();
    net.load_state_dict(&load("net.pt")).unwrap();
    let logits = net.forward(&images()).unwrap().to_f64_vec().unwrap();
    let wanted = load("net_logits.pt")[0].1.to_f64_vec().unwrap();
    assert_eq!(wanted.len(), 4);
    assert!(wanted.iter().all(|x| x.abs() > 0.01), "{wanted:?}");
    for (ours, theirs) in logits.iter().zip(&wanted) {
        assert!((ours - theirs).abs() < 1e-5, "{logits:?}, PyTorch has {wanted:?}");
    }
}

/// Read as `.pt`, written as safetensors and read again: the same bits.
#[test]
fn a_pytorch_file_becomes_a_safetensors_file() {
    let state = load("net.pt");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    checkpoint::save(&path, &state, &Default::default()).unwrap();
    let (again, _) = checkpoint::load(&path).unwrap();
    assert_eq!(again.len(), state.len());
    for (name, tensor) in &state {
        let (_, same) = again.iter().find(|(other, _)| other == name).unwrap();
        assert_eq!(same.shape(), tensor.shape(), "{name}");
        assert_eq!(same.to_vec::<f32>().unwrap(), tensor.to_vec::<f32>().unwrap(), "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_network_says_what_differs() {
    fn refusal(net: Result<impl Module>) -> String {
        net.unwrap().load_state_dict(&load("net.pt")).unwrap_err().to_string()
    }
    let message = refusal(NetWidth::new());
    assert!(
        message.contains("\n  conv1.weight: [16, 3, 3, 3] given, the network has [32, 3, 3, 3]"),
        "{message}"
    );
    assert!(message.contains("\n  fc1.weight: [32, 512] given, the network has [32, 1024]"), "{message}");
    assert_eq!(message.lines().count(), 1 + 5, "{message}");

    let message = refusal(NetResDeep::new(10));
    assert!(message.contains("\n  missing: resblocks.0.conv.weight [32, 32, 3, 3]"), "{message}");
    assert!(message.contains("\n  missing: and 48 more"), "{message}");
    assert!(message.contains("\n  unexpected: conv2.bias [8]"), "{message}");
}

#[test]
fn the_summary_has_the_books_sizes() {
    let summary = Net::new().unwrap().summary(&[1, 3, 32, 32]).unwrap();
    let rows: Vec<_> = summary.rows.iter().map(|row| (row.layer.as_str(), row.op, row.parameters)).collect();
    assert_eq!(
        rows,
        [
            ("", "input", 0),
            ("conv1", "conv2d", 432 + 16),
            ("", "tanh", 0),
            ("", "max_pool2d", 0),
            ("conv2", "conv2d", 1152 + 8),
            ("", "tanh", 0),
            ("", "max_pool2d", 0),
            ("", "flatten", 0),
            ("fc1", "linear", 16384 + 32),
            ("", "tanh", 0),
            ("fc2", "linear", 64 + 2),
        ]
    );
    assert_eq!(summary.rows[6].output[..], [1, 8, 8, 8]);
    assert_eq!(summary.parameters, 18_090);
    assert_eq!(summary.multiply_adds, (432 * 32 * 32 + 1152 * 16 * 16 + 16384 + 64) as u64);
    let deep = NetResDeep::shared(100).unwrap().summary(&[1, 3, 32, 32]).unwrap();
    assert_eq!(deep.rows.iter().map(|row| row.parameters).sum::<usize>(), 75_810);
    assert!(deep.rows.iter().any(|row| row.layer == "resblocks.99.batch_norm"));
}

#[test]
fn images_of_another_size_are_refused_by_the_layer_they_do_not_fit() {
    let refusal = |shape: [usize; 4]| {
        let x = Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap();
        Net::new().unwrap().forward(&x).unwrap_err().to_string()
    };
    for (shape, wanted) in [
        ([1, 3, 28, 28], "fc1: linear: input [1, 392] has rows of 392, weight [32, 512] takes 512"),
        ([1, 1, 32, 32], "conv1: conv2d: input has 1 channels, weight expects 3"),
        ([1, 3, 2, 2], "after conv2: max_pool2d: the window does not fit"),
        ([1, 3, 1, 1], "after conv1: max_pool2d: the window does not fit"),
    ] {
        let message = refusal(shape);
        assert!(message.starts_with(wanted), "{message}");
        assert!(message.ends_with(&format!("(the network was given {shape:?})")), "{message}");
    }
}
