//! The book's classifier of nodule candidates.

use voxgrad_engine::nn::init::{self, Fan, Nonlinearity};
use voxgrad_engine::nn::{BatchNorm3d, Conv3d, Linear, Module, module};
use voxgrad_engine::ops::Then;
use voxgrad_engine::{Result, Tensor};

/// Initial values of the biases. The weights are Kaiming's normal ones for a rectifier, by fan_out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BiasInit {
    /// Normal with mean -b and standard deviation b = 1 / sqrt(fan_out), as the book's code has it: it
    /// hands the two ends of an interval to a function that takes a mean and a standard deviation.
    Book,
    /// Zeros.
    #[default]
    Zeros,
}

impl BiasInit {
    fn apply(self, weight: &Tensor, bias: &Option<Tensor>) -> Result<()> {
        init::kaiming_normal(weight, Fan::Out, Nonlinearity::ReLU)?;
        let Some(bias) = bias else { return Ok(()) };
        let b = 1.0 / (Fan::Out.of(weight)? as f64).sqrt();
        match self {
            BiasInit::Book => init::normal(bias, -b, b),
            BiasInit::Zeros => init::constant(bias, 0.0),
        }
    }

    fn conv(self, in_channels: usize, out_channels: usize) -> Result<Conv3d> {
        let conv = Conv3d::new(in_channels, out_channels, 3)?.padding(1);
        self.apply(&conv.weight, &conv.bias)?;
        Ok(conv)
    }

    fn linear(self, in_features: usize, out_features: usize) -> Result<Linear> {
        let linear = Linear::new(in_features, out_features)?;
        self.apply(&linear.weight, &linear.bias)?;
        Ok(linear)
    }
}

module! {
    /// Two convolutions with rectifiers, then every dimension halved.
    #[derive(Debug)]
    pub struct LunaBlock(in_channels: usize, out_channels: usize, biases: BiasInit) {
        conv1: Conv3d = biases.conv(in_channels, out_channels)?,
        conv2: Conv3d = biases.conv(out_channels, out_channels)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::relu())?;
        self.conv2.forward_then(&out, Then::relu().max_pool(2))
    }
}

module! {
    /// Crops of a CT, `[N, 1, 32, 48, 48]`, to two logits: 222,220 parameters.
    #[derive(Debug)]
    pub struct LunaModel(biases: BiasInit) {
        tail_batchnorm: BatchNorm3d = BatchNorm3d::new(1)?,
        block1: LunaBlock = LunaBlock::new(1, 8, biases)?,
        block2: LunaBlock = LunaBlock::new(8, 16, biases)?,
        block3: LunaBlock = LunaBlock::new(16, 32, biases)?,
        block4: LunaBlock = LunaBlock::new(32, 64, biases)?,
        head_linear: Linear = biases.linear(64 * 2 * 3 * 3, 2)?,
    }
    forward(self, x) {
        let out = self.tail_batchnorm.forward(x)?;
        let out = self.block2.forward(&self.block1.forward(&out)?)?;
        let out = self.block4.forward(&self.block3.forward(&out)?)?;
        self.head_linear.forward(&out.flatten(1)?)
    }
}

impl LunaModel {
    /// The logits, for the loss, and the probabilities: their softmax.
    pub fn forward_with_probabilities(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let logits = self.forward(x)?;
        let probabilities = logits.softmax(1)?;
        Ok((logits, probabilities))
    }
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::{DType, Device, manual_seed};

    use super::*;

    #[test]
    fn sizes_and_names_are_the_books() {
        let net = LunaModel::new(BiasInit::Zeros).unwrap();
        assert_eq!(net.num_parameters(), 222_220);
        let names: Vec<String> = net.state_dict().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[4..6], ["tail_batchnorm.num_batches_tracked", "block1.conv1.weight"]);
        assert_eq!(names[names.len() - 3..], ["block4.conv2.bias", "head_linear.weight", "head_linear.bias"]);
        let x = Tensor::zeros([2, 1, 32, 48, 48], DType::F32, &Device::cpu()).unwrap();
        let (logits, probabilities) = net.forward_with_probabilities(&x).unwrap();
        assert_eq!(logits.shape()[..], [2, 2]);
        let sums = probabilities.to_vec::<f32>().unwrap();
        assert!(sums.chunks(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-6), "{sums:?}");
    }

    #[test]
    fn biases_start_as_asked() {
        manual_seed(1);
        let biases = |init| {
            let net = LunaModel::new(init).unwrap();
            net.block4.conv2.bias.unwrap().to_f64_vec().unwrap()
        };
        assert_eq!(biases(BiasInit::Zeros), [0.0; 64]);
        let book = biases(BiasInit::Book);
        // fan_out = 64 * 27, b = 0.02406; the mean of 64 has a standard deviation of b / 8.
        let (mean, b) = (book.iter().sum::<f64>() / 64.0, 1.0 / 1728f64.sqrt());
        assert!((mean + b).abs() < 0.5 * b, "mean {mean}, wanted {}", -b);
    }
}
