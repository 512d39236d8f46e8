//! Files that PyTorch has written (make.py), read here.

use voxgrad_engine::checkpoint::{self, Checkpoint, Entry};
use voxgrad_engine::nn::{BatchNorm1d, Linear, Module, module};
use voxgrad_engine::{DType, Device, Tensor};

use crate::file;

fn read(name: &str) -> Checkpoint {
    checkpoint::read(file(name)).unwrap()
}

fn find<'a>(checkpoint: &'a Checkpoint, name: &str) -> &'a Entry {
    checkpoint.entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn shape_and_values(tensor: &Tensor) -> (Vec<usize>, Vec<f64>) {
    (tensor.shape().to_vec(), tensor.to_f64_vec().unwrap())
}

module! {
    /// What make.py calls Layers.
    struct Layers {
        fc: Linear = Linear::new(3, 2)?,
        bn: BatchNorm1d = BatchNorm1d::new(2)?,
    }
    forward(self, x) {
        self.bn.forward(&self.fc.forward(x)?)
    }
}

#[test]
fn every_protocol_gives_the_same_state_dict() {
    for name in ["layers.pt", "protocol3.pt", "protocol4.pt", "protocol5.pt"] {
        let checkpoint = read(name);
        assert_eq!((checkpoint.format, checkpoint.metadata.len()), ("PyTorch", 0), "{name}");
        let (state, _) = checkpoint::load(file(name)).unwrap();
        let names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
        let bn = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked"];
        assert_eq!(names, [&["fc.weight", "fc.bias"][..], &bn].concat(), "{name}");

        let layers = Layers::new().unwrap();
        layers.load_state_dict(&state).unwrap();
        assert_eq!(shape_and_values(&layers.fc.weight), (vec![2, 3], vec![0., 1., 2., 3., 4., 5.]));
        assert_eq!(layers.fc.bias.as_ref().unwrap().to_vec::<f32>().unwrap(), [-1., 0.]);
        assert_eq!(layers.bn.num_batches_tracked.load(std::sync::atomic::Ordering::Relaxed), 7);
    }
}

/// load.py holds this file against layers.pt, by PyTorch. After a wanted change of what is written, write
/// it anew: the test leaves the new one where it says.
#[test]
fn what_voxgrad_writes_is_what_load_py_reads() {
    let new = std::env::temp_dir().join(format!("voxgrad-layers-{}.safetensors", std::process::id()));
    let (state, metadata) = checkpoint::load(file("layers.pt")).unwrap();
    checkpoint::save(&new, &state, &metadata).unwrap();
    let old = std::fs::read(file("layers.safetensors")).unwrap_or_default();
    assert!(std::fs::read(&new).unwrap() == old, "{} is not layers.safetensors", new.display());
    std::fs::remove_file(new).unwrap();
}

#[test]
fn every_type_that_fits_one_of_ours() {
    let checkpoint = read("types.pt");
    for (name, stored_as, ours) in [
        ("f64", "F64", DType::F64),
        ("f32", "F32", DType::F32),
        ("f16", "F16", DType::F32),
        ("bf16", "BF16", DType::F32),
    ] {
        let entry = find(&checkpoint, name);
        assert_eq!((entry.stored_as.as_str(), entry.tensor.dtype()), (stored_as, ours));
        let values = entry.tensor.to_f64_vec().unwrap();
        assert_eq!(values[..3], [0.5, -2.0, f64::INFINITY], "{name}");
        assert!(values[3].is_nan(), "{name}");
    }
    for (name, stored_as) in
        [("i64", "I64"), ("i32", "I32"), ("i16", "I16"), ("i8", "I8"), ("u8", "U8"), ("bool", "BOOL")]
    {
        let entry = find(&checkpoint, name);
        assert_eq!(entry.stored_as, stored_as);
        let last = if name == "bool" { 1 } else { 100 };
        assert_eq!(entry.tensor.to_vec::<u32>().unwrap(), [0, 1, last], "{name}");
    }
}

#[test]
fn shared_and_strided_storages() {
    let checkpoint = read("views.pt");
    let grid: Vec<f64> = (0..12).map(f64::from).collect();
    let transposed = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map(f64::from);
    let cases: [(&str, &[usize], &[f64]); 10] = [
        ("grid", &[3, 4], &grid),
        ("same", &[3, 4], &grid),
        ("transposed", &[4, 3], &transposed),
        ("column", &[3], &[1., 5., 9.]),
        ("every_other", &[2, 2], &[0., 2., 8., 10.]),
        ("expanded", &[2, 3], &[5., 5., 5., 6., 6., 6.]),
        ("parameter", &[2, 2], &[6., 7., 10., 11.]),
        ("scalar", &[], &[9.]),
        ("empty", &[0, 3], &[]),
        ("channels_last", &[1, 2, 2, 2], &[0., 1., 2., 3., 4., 5., 6., 7.]),
    ];
    assert_eq!(checkpoint.entries.len(), cases.len());
    for (name, shape, values) in cases {
        let entry = find(&checkpoint, name);
        assert_eq!(shape_and_values(&entry.tensor), (shape.to_vec(), values.to_vec()), "{name}");
    }
    // Two names of one storage are two tensors: a change of one leaves the other alone.
    let [a, b] = ["grid", "same"].map(|name| &find(&checkpoint, name).tensor);
    a.set(&Tensor::zeros([3, 4], DType::F32, &Device::cpu()).unwrap()).unwrap();
    assert_eq!(b.to_f64_vec().unwrap(), grid);
}

#[test]
fn the_checkpoint_of_a_training_is_read_with_dotted_names() {
    let Checkpoint { entries, metadata, .. } = read("training.pt");
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert!(names.contains(&"model.fc.weight"), "{names:?}");
    assert!(names.contains(&"optimizer.state.0.momentum_buffer"), "{names:?}");
    for (key, value) in [
        ("epoch", "3"),
        ("loss", "0.25"),
        ("name", "layers"),
        ("best", "None"),
        ("optimizer.param_groups.0.lr", "0.5"),
        ("optimizer.param_groups.0.nesterov", "false"),
        ("optimizer.param_groups.0.params.3", "3"),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn what_is_no_state_dict_is_explained() {
    for (name, parts) in [
        (
            "model.pt",
            &["\"__main__.Layers\"", "whole pickled model", "torch.save(model.state_dict(), FILE)"][..],
        ),
        ("old.pt", &["before version 1.6"]),
        ("script.pt", &["TorchScript program", "torch.jit.load(FILE).state_dict()"]),
        ("tensor.pt", &["it holds a tensor, not a state dict"]),
        ("complex.pt", &["\"torch.ComplexFloatStorage\"", "Nothing was run"]),
        ("negated.pt", &["flags"]),
        ("sparse.pt", &["\"torch._utils._rebuild_sparse_tensor\""]),
        ("negative.pt", &["tensor \"w\": -1 does not fit into a u32"]),
    ] {
        let message = checkpoint::read(file(name)).unwrap_err().to_string();
        for part in [&[name], parts].concat() {
            assert!(message.contains(part), "{message:?} does not say {part:?}");
        }
    }
}

#[test]
fn a_description_lists_names_shapes_types_and_statistics() {
    let text = read("types.pt").describe().unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(text.starts_with("Format: PyTorch\nTensors: 10\nElements: 34\n\n"), "{text}");
    assert_eq!(lines[4], ["name", "shape", "type", "min", "mean", "max", "std", "NaN"]);
    let row = |name: &str| lines.iter().find(|line| line.first() == Some(&name)).unwrap().join(" ");
    assert_eq!(row("bf16"), "bf16 [4] BF16 -2.0000 inf inf - 25.0%");
    assert_eq!(row("i16"), "i16 [3] I16 0.0000 33.6667 100.0000 57.4485 0%");
    assert!(read("training.pt").describe().unwrap().ends_with("optimizer.param_groups.0.weight_decay: 0\n"));
}

/// A name that would clear the screen is shown, not obeyed.
#[test]
fn a_description_holds_no_commands_for_the_terminal() {
    let name = "w\x1b[2J\n".to_string();
    let entry = Entry {
        name,
        stored_as: "F32".into(),
        tensor: Tensor::full(0.0, [], DType::F32, &Device::cpu()).unwrap(),
    };
    let metadata = [("a\r".to_string(), "b\x07".to_string())].into();
    let text = Checkpoint { format: "PyTorch", entries: vec![entry], metadata }.describe().unwrap();
    assert!(text.contains(r"w\u{1b}[2J\n"), "{text}");
    assert!(text.ends_with("a\\r: b\\u{7}\n"), "{text}");
}
