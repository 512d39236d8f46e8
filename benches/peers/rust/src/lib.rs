//! The networks of voxgrad's lessons as lists of layers, which candle and burn run in their own ways
//! (`bin/candle.rs`, `bin/burn.rs`).

pub mod serve;

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use serve::text;

/// A layer. Its sizes are those of the next parameters in the file.
#[derive(Clone)]
pub enum Layer {
    /// Stride 1, and a padding that keeps the size of the image.
    Conv {
        bias: bool,
    },
    Linear,
    BatchNorm,
    Tanh,
    Relu,
    /// Halves the image.
    MaxPool,
    /// Of whole channels.
    Dropout(f64),
    Flatten,
    /// The layers' result and their input, added.
    Residual(Vec<Layer>),
}

/// The network called `name`, as in `benches/peers/nets.py`.
pub fn net(name: &str) -> Result<Vec<Layer>, String> {
    use Layer::*;
    let conv = || Conv { bias: true };
    let two = |batch_norm: bool, dropout: Option<f64>| {
        let mut net = Vec::new();
        for _ in 0..2 {
            net.push(conv());
            net.extend(batch_norm.then_some(BatchNorm));
            net.extend([Tanh, MaxPool]);
            net.extend(dropout.map(Dropout));
        }
        net.extend([Flatten, Linear, Tanh, Linear]);
        net
    };
    let three = |third: Vec<Layer>| {
        let mut net = vec![conv(), Relu, MaxPool, conv(), Relu, MaxPool];
        net.extend(third);
        net.extend([MaxPool, Flatten, Linear, Relu, Linear]);
        net
    };
    Ok(match name {
        "baseline" | "l2" | "width" => two(false, None),
        "dropout" => two(false, Some(0.4)),
        "batch-norm" => two(true, None),
        "depth" => three(vec![conv(), Relu]),
        "res" => three(vec![Residual(vec![conv(), Relu])]),
        "mnist" => vec![conv(), Relu, MaxPool, conv(), Relu, MaxPool, Flatten, Linear],
        "cifar10" => {
            let stage = [conv(), Relu, conv(), Relu, MaxPool];
            let convolutions = stage.iter().cycle().take(15).cloned();
            convolutions.chain([Flatten, Linear, Relu, Linear, Relu, Linear]).collect()
        }
        _ => {
            let blocks = name.strip_prefix("res-deep-").and_then(|blocks| blocks.parse::<usize>().ok());
            let blocks = blocks.ok_or_else(|| format!("it has no layers for {name}"))?;
            let block = Residual(vec![Conv { bias: false }, BatchNorm, Relu]);
            let mut net = vec![conv(), Relu, MaxPool];
            net.extend(std::iter::repeat_n(block, blocks));
            net.extend([MaxPool, Flatten, Linear, Relu, Linear]);
            net
        }
    })
}

/// Numbers and their shape.
#[derive(Clone)]
pub struct Array<T> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

/// What a file holds.
pub struct Start {
    pub images: Array<f32>,
    pub labels: Array<u32>,
    /// In PyTorch's order.
    pub parameters: Vec<Array<f32>>,
}

impl Start {
    pub fn read(path: &Path) -> Result<Start, String> {
        let bytes = text(std::fs::read(path))?;
        let file = text(SafeTensors::deserialize(&bytes))?;
        let mut names: Vec<&str> = file.names().into_iter().filter(|name| name.starts_with('w')).collect();
        names.sort_unstable();
        let floats = |name: &str| array(&text(file.tensor(name))?, Dtype::F32, f32::from_le_bytes);
        Ok(Start {
            images: floats("images")?,
            labels: array(&text(file.tensor("labels"))?, Dtype::U32, u32::from_le_bytes)?,
            parameters: names.into_iter().map(floats).collect::<Result<_, _>>()?,
        })
    }

    /// How many numbers a network learns.
    pub fn numbers(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }
}

fn array<T>(view: &TensorView, dtype: Dtype, from: fn([u8; 4]) -> T) -> Result<Array<T>, String> {
    if view.dtype() != dtype {
        return Err(format!("{:?} instead of {dtype:?}", view.dtype()));
    }
    let values = view.data().as_chunks().0.iter().map(|bytes| from(*bytes)).collect();
    Ok(Array { shape: view.shape().to_vec(), values })
}
