//! The chapter's networks for 32 x 32 images in two classes.
//!
//! All convolutions have a 3 x 3 kernel and a padding of 1, so that only pooling changes the size of
//! the image: 32, 16, 8, 4.

use std::sync::Arc;

use voxgrad_engine::Result;
use voxgrad_engine::nn::init::{self, Fan, Nonlinearity};
use voxgrad_engine::nn::{BatchNorm2d, Conv2d, Dropout2d, Linear, module};
use voxgrad_engine::ops::Then;

module! {
    /// The baseline: 18,090 parameters.
    #[derive(Debug)]
    pub struct Net {
        conv1: Conv2d = Conv2d::new(3, 16, 3)?.padding(1),
        conv2: Conv2d = Conv2d::new(16, 8, 3)?.padding(1),
        fc1: Linear = Linear::new(8 * 8 * 8, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::tanh().max_pool(2))?;
        let out = self.conv2.forward_then(&out, Then::tanh().max_pool(2))?;
        let out = self.fc1.forward(&out.flatten(1)?)?.tanh()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// [`Net`] with twice as many channels: 38,386 parameters.
    #[derive(Debug)]
    pub struct NetWidth {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        conv2: Conv2d = Conv2d::new(32, 16, 3)?.padding(1),
        fc1: Linear = Linear::new(16 * 8 * 8, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::tanh().max_pool(2))?;
        let out = self.conv2.forward_then(&out, Then::tanh().max_pool(2))?;
        let out = self.fc1.forward(&out.flatten(1)?)?.tanh()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// [`NetWidth`] that drops 40% of the channels after each pooling in training.
    #[derive(Debug)]
    pub struct NetDropout {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        conv1_dropout: Dropout2d = Dropout2d::new(0.4)?,
        conv2: Conv2d = Conv2d::new(32, 16, 3)?.padding(1),
        conv2_dropout: Dropout2d = Dropout2d::new(0.4)?,
        fc1: Linear = Linear::new(16 * 8 * 8, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::tanh().max_pool(2))?;
        let out = self.conv1_dropout.forward(&out)?;
        let out = self.conv2.forward_then(&out, Then::tanh().max_pool(2))?;
        let out = self.conv2_dropout.forward(&out)?;
        let out = self.fc1.forward(&out.flatten(1)?)?.tanh()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// [`NetWidth`] with batch normalisation after each convolution: 38,482 parameters.
    #[derive(Debug)]
    pub struct NetBatchNorm {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        conv1_batchnorm: BatchNorm2d = BatchNorm2d::new(32)?,
        conv2: Conv2d = Conv2d::new(32, 16, 3)?.padding(1),
        conv2_batchnorm: BatchNorm2d = BatchNorm2d::new(16)?,
        fc1: Linear = Linear::new(16 * 8 * 8, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1_batchnorm.forward(&self.conv1.forward(x)?)?.tanh()?.max_pool2d(2)?;
        let out = self.conv2_batchnorm.forward(&self.conv2.forward(&out)?)?.tanh()?.max_pool2d(2)?;
        let out = self.fc1.forward(&out.flatten(1)?)?.tanh()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// Three convolutions with rectifiers: 16,130 parameters.
    #[derive(Debug)]
    pub struct NetDepth {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        conv2: Conv2d = Conv2d::new(32, 16, 3)?.padding(1),
        conv3: Conv2d = Conv2d::new(16, 16, 3)?.padding(1),
        fc1: Linear = Linear::new(16 * 4 * 4, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::relu().max_pool(2))?;
        let out = self.conv2.forward_then(&out, Then::relu().max_pool(2))?;
        let out = self.conv3.forward_then(&out, Then::relu().max_pool(2))?;
        let out = self.fc1.forward(&out.flatten(1)?)?.relu()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// [`NetDepth`] whose third convolution adds to its input instead of replacing it.
    #[derive(Debug)]
    pub struct NetRes {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        conv2: Conv2d = Conv2d::new(32, 16, 3)?.padding(1),
        conv3: Conv2d = Conv2d::new(16, 16, 3)?.padding(1),
        fc1: Linear = Linear::new(16 * 4 * 4, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::relu().max_pool(2))?;
        let out = self.conv2.forward_then(&out, Then::relu().max_pool(2))?;
        let out = self.conv3.forward_then(&out, Then::relu())?.add(&out)?.max_pool2d(2)?;
        let out = self.fc1.forward(&out.flatten(1)?)?.relu()?;
        self.fc2.forward(&out)
    }
}

module! {
    /// relu(batch_norm(conv(x))) + x, of `channels` channels. The weights start from Kaiming's normal
    /// distribution, and the batch-norm's small enough that each block starts as a small change.
    #[derive(Debug)]
    pub struct ResBlock(channels: usize) {
        conv: Conv2d = kaiming(Conv2d::new(channels, channels, 3)?.padding(1).bias(false))?,
        batch_norm: BatchNorm2d = halved(BatchNorm2d::new(channels)?)?,
    }
    forward(self, x) {
        self.batch_norm.forward(&self.conv.forward(x)?)?.relu()?.add(x)
    }
}

fn kaiming(conv: Conv2d) -> Result<Conv2d> {
    init::kaiming_normal(&conv.weight, Fan::In, Nonlinearity::ReLU)?;
    Ok(conv)
}

fn halved(batch_norm: BatchNorm2d) -> Result<BatchNorm2d> {
    batch_norm.weight.iter().try_for_each(|weight| init::constant(weight, 0.5))?;
    Ok(batch_norm)
}

module! {
    /// `n_blocks` residual blocks, each with weights of its own: 994,530 parameters with 100.
    #[derive(Debug)]
    pub struct NetResDeep(n_blocks: usize) {
        conv1: Conv2d = Conv2d::new(3, 32, 3)?.padding(1),
        resblocks: Vec<Arc<ResBlock>> =
            (0..n_blocks).map(|_| ResBlock::new(32).map(Arc::new)).collect::<Result<_>>()?,
        fc1: Linear = Linear::new(32 * 8 * 8, 32)?,
        fc2: Linear = Linear::new(32, 2)?,
    }
    forward(self, x) {
        let out = self.conv1.forward_then(x, Then::relu().max_pool(2))?;
        let out = self.resblocks.forward(&out)?.max_pool2d(2)?;
        let out = self.fc1.forward(&out.flatten(1)?)?.relu()?;
        self.fc2.forward(&out)
    }
}

impl NetResDeep {
    /// As in the book's printed runs, whose list `n_blocks * [ResBlock]` holds one block `n_blocks`
    /// times: all share its weights and statistics. 75,810 parameters, however many blocks.
    pub fn shared(n_blocks: usize) -> Result<NetResDeep> {
        let mut net = NetResDeep::new(n_blocks.min(1))?;
        net.resblocks = net.resblocks.into_iter().cycle().take(n_blocks).collect();
        Ok(net)
    }
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::nn::Module;
    use voxgrad_engine::{DType, Device, Tensor, manual_seed};

    use super::*;

    fn boxed(net: Result<impl Module + 'static>) -> Box<dyn Module> {
        Box::new(net.unwrap())
    }

    #[test]
    fn parameter_counts_and_output_shapes_are_the_books() {
        let nets = [
            ("Net", boxed(Net::new()), 18_090),
            ("NetWidth", boxed(NetWidth::new()), 38_386),
            ("NetDropout", boxed(NetDropout::new()), 38_386),
            ("NetBatchNorm", boxed(NetBatchNorm::new()), 38_482),
            ("NetDepth", boxed(NetDepth::new()), 16_130),
            ("NetRes", boxed(NetRes::new()), 16_130),
            ("NetResDeep 10", boxed(NetResDeep::new(10)), 159_330),
            ("NetResDeep 100", boxed(NetResDeep::new(100)), 994_530),
            ("shared 100", boxed(NetResDeep::shared(100)), 75_810),
            ("no blocks", boxed(NetResDeep::shared(0)), 66_530),
        ];
        let x = Tensor::zeros([2, 3, 32, 32], DType::F32, &Device::cpu()).unwrap();
        for (name, net, parameters) in nets {
            assert_eq!(net.num_parameters(), parameters, "{name}");
            assert_eq!(net.forward(&x).unwrap().shape()[..], [2, 2], "{name}");
        }
    }

    #[test]
    fn the_baseline_has_the_books_sizes_in_its_order() {
        let net = Net::new().unwrap();
        let sizes: Vec<usize> = net.parameters().iter().map(Tensor::numel).collect();
        assert_eq!(sizes, [432, 16, 1152, 8, 16384, 32, 64, 2]);
        let bound = 1.0 / 27f64.sqrt();
        let weights = net.conv1.weight.to_f64_vec().unwrap();
        assert!(weights.iter().all(|w| w.abs() <= bound) && weights.iter().any(|w| w.abs() > 0.9 * bound));
    }

    #[test]
    fn shared_blocks_are_one_block_under_many_names() {
        let net = NetResDeep::shared(3).unwrap();
        let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["conv1.weight", "conv1.bias", "resblocks.0.conv.weight"]);
        assert_eq!(names.len(), 2 + 3 + 4);
        let state = net.state_dict().unwrap();
        assert!(state.iter().any(|(name, _)| name == "resblocks.2.batch_norm.running_var"));
        NetResDeep::new(3).unwrap().load_state_dict(&state).unwrap();
        let block = &net.resblocks[0];
        assert_eq!(block.batch_norm.weight.as_ref().unwrap().to_vec::<f32>().unwrap(), [0.5; 32]);
    }

    #[test]
    fn the_seed_decides_the_initial_values() {
        let first = |seed| {
            manual_seed(seed);
            Net::new().unwrap().fc2.weight.to_vec::<f32>().unwrap()
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
