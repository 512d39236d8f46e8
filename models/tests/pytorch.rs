//! A state dict that PyTorch has written for the book's network, read here.

use std::path::PathBuf;

use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Result, Tensor, checkpoint};
use voxgrad_models::cifar2::nets::{Net, NetResDeep, NetWidth};

/// A file that engine/tests/pytorch/make.py has written.
fn load(name: &str) -> Vec<(String, Tensor)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/pytorch/files");
    checkpoint::load(folder.join(name)).unwrap().0
}

/// Two images, made of the same numbers as those that PyTorch was given.
fn images() -> Tensor {
    let pixels: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (i * 37 % 256) as f32 / 128.0 - 1.0).collect();
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
