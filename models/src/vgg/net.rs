//! The network: thirteen convolutions that halve the image five times, then three linear layers.

use std::collections::HashMap;

use voxgrad_engine::nn::init::{self, Fan, Nonlinearity};
use voxgrad_engine::nn::{
    BatchNorm2d, Conv2d, Dropout, GlobalMaxPool, Linear, MaxPool2d, Module, ReLU, Sequential, module,
};
use voxgrad_engine::ops::ConvOptions;
use voxgrad_engine::{DType, Device, Result, Tensor};

/// The side of the square images that the network takes.
pub const SIDE: usize = 224;
/// After five poolings.
const MAP: usize = SIDE / 32;

/// The convolutions between two poolings, by their channels as multiples of the first one's:
/// configuration D of Simonyan and Zisserman.
const STAGES: [&[usize]; 5] = [&[1, 1], &[2, 2], &[4, 4, 4], &[8, 8, 8], &[8, 8, 8]];

/// What a VGG16 is made of. The default is the paper's, for the thousand classes of ImageNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vgg16Options {
    /// Channels of the first convolution.
    pub width: usize,
    /// Numbers that the first two linear layers give.
    pub hidden: usize,
    /// Numbers that the last one gives.
    pub classes: usize,
    /// Whether each convolution is followed by batch normalisation.
    pub batch_norm: bool,
    /// Whether each channel's 7 x 7 map becomes its maximum before the linear layers, which then have
    /// a 49th of the inputs.
    pub global_max_pool: bool,
}

impl Default for Vgg16Options {
    fn default() -> Vgg16Options {
        Vgg16Options { width: 64, hidden: 4096, classes: 1000, batch_norm: false, global_max_pool: false }
    }
}

impl Vgg16Options {
    /// Those of the network that a state dict was taken from, as far as names and shapes tell: of
    /// anything else, the default.
    pub fn of(state: &[(String, Tensor)]) -> Vgg16Options {
        let shape = |name: &str| Some(&state.iter().find(|(n, _)| n == name)?.1.shape()[..]);
        let default = Vgg16Options::default();
        let (Some(&[width, ..]), Some(&[hidden, inputs]), Some(&[classes, _])) =
            (shape("features.0.weight"), shape("classifier.0.weight"), shape("classifier.6.weight"))
        else {
            return default;
        };
        let sizes = [(width, default.width), (hidden, default.hidden), (classes, 100 * default.classes)];
        if sizes.iter().any(|(size, most)| !(1..=*most).contains(size)) {
            return default;
        }
        let batch_norm = shape("features.1.running_mean").is_some();
        Vgg16Options { width, hidden, classes, batch_norm, global_max_pool: inputs == 8 * width }
    }
}

/// Gives a new parameter by its dotted name and its shape.
type NewParameter<'a> = &'a mut dyn FnMut(&str, &[usize]) -> Result<Tensor>;

module! {
    /// VGG16, configuration D of "Very deep convolutional networks for large-scale image recognition"
    /// (Simonyan and Zisserman, 2014, arXiv:1409.1556): `[N, 3, 224, 224]` becomes `[N, classes]` logits.
    ///
    /// Parameters have the names of torchvision's `vgg16` and `vgg16_bn`. Between `features` and
    /// `classifier` that network averages over a grid of 7 x 7, which is what an image of this size has
    /// there anyway.
    pub struct Vgg16(options: &Vgg16Options, parameter: NewParameter<'_>) {
        features: Sequential = features(options, parameter)?,
        avgpool: Sequential = match options.global_max_pool {
            true => Sequential::new().append(GlobalMaxPool),
            false => Sequential::new(),
        },
        classifier: Sequential = classifier(options, parameter)?,
    }
    forward(self, x) {
        let maps = self.avgpool.forward(&self.features.forward(x)?)?;
        self.classifier.forward(&maps.flatten(1)?)
    }
}

impl Vgg16 {
    /// With initial values as torchvision's: convolutions normal by Kaiming (fan_out), linear layers
    /// normal with a standard deviation of 0.01, biases 0.
    pub fn drawn(options: &Vgg16Options) -> Result<Vgg16> {
        Vgg16::new(options, &mut |_, shape| {
            let parameter = zeros(shape)?;
            match shape.len() {
                4 => init::kaiming_normal(&parameter, Fan::Out, Nonlinearity::ReLU)?,
                2 => init::normal(&parameter, 0.0, 0.01)?,
                _ => {}
            }
            Ok(parameter)
        })
    }

    /// With the values of a state dict. Its tensors are shared, not copied: they are half a gigabyte.
    ///
    /// # Errors
    /// [`voxgrad_engine::Error::StateDict`] names what is missing, unexpected or mis-shaped.
    pub fn from_state(options: &Vgg16Options, state: &[(String, Tensor)]) -> Result<Vgg16> {
        let given: HashMap<_, _> = state.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let net = Vgg16::new(options, &mut |name, shape| match given.get(name) {
            Some(tensor) if tensor.shape()[..] == *shape => Ok(tensor.requires_grad()),
            _ => zeros(shape),
        })?;
        net.load_state_dict(state)?;
        Ok(net)
    }
}

fn zeros(shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::zeros(shape, DType::F32, &Device::cpu())?.requires_grad())
}

fn features(options: &Vgg16Options, parameter: NewParameter<'_>) -> Result<Sequential> {
    let (mut layers, mut channels) = (Sequential::new(), 3);
    for stage in STAGES {
        for times in stage {
            let (name, outputs) = (format!("features.{}", layers.len()), times * options.width);
            layers = layers.append(Conv2d {
                weight: parameter(&format!("{name}.weight"), &[outputs, channels, 3, 3])?,
                bias: Some(parameter(&format!("{name}.bias"), &[outputs])?),
                options: ConvOptions { padding: [1, 1], ..ConvOptions::default() },
            });
            if options.batch_norm {
                layers = layers.append(BatchNorm2d::new(outputs)?);
            }
            layers = layers.append(ReLU);
            channels = outputs;
        }
        layers = layers.append(MaxPool2d::new(2));
    }
    Ok(layers)
}

fn classifier(options: &Vgg16Options, parameter: NewParameter<'_>) -> Result<Sequential> {
    let Vgg16Options { width, hidden, classes, global_max_pool, .. } = *options;
    let inputs = 8 * width * if global_max_pool { 1 } else { MAP * MAP };
    let mut linear = |i: usize, inputs: usize, outputs: usize| {
        Ok::<_, voxgrad_engine::Error>(Linear {
            weight: parameter(&format!("classifier.{i}.weight"), &[outputs, inputs])?,
            bias: Some(parameter(&format!("classifier.{i}.bias"), &[outputs])?),
        })
    };
    let layers = Sequential::new().append(linear(0, inputs, hidden)?).append(ReLU).append(Dropout::new(0.5)?);
    let layers = layers.append(linear(3, hidden, hidden)?).append(ReLU).append(Dropout::new(0.5)?);
    Ok(layers.append(linear(6, hidden, classes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow() -> Vgg16Options {
        Vgg16Options { width: 2, hidden: 8, classes: 5, ..Vgg16Options::default() }
    }

    /// The parameters of a network of these options; the largest are only counted, not made.
    fn count(options: Vgg16Options) -> usize {
        let (mut asked, mut numbers) = (0, 0);
        let net = Vgg16::new(&options, &mut |_, shape| {
            (asked, numbers) = (asked + 1, numbers + shape.iter().product::<usize>());
            zeros(&[])
        });
        numbers + net.unwrap().num_parameters() - asked
    }

    #[test]
    fn the_sizes_are_torchvisions() {
        let vgg16 = Vgg16Options::default();
        assert_eq!(count(vgg16), 138_357_544);
        assert_eq!(count(Vgg16Options { batch_norm: true, ..vgg16 }), 138_365_992);
        assert_eq!(count(Vgg16Options { global_max_pool: true, ..vgg16 }), 37_694_248);
    }

    #[test]
    fn names_and_shapes_are_torchvisions() {
        let names = |batch_norm| {
            let net = Vgg16::drawn(&Vgg16Options { batch_norm, ..narrow() }).unwrap();
            net.state_dict().unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let plain = names(false);
        assert_eq!(plain.len(), 32);
        assert_eq!(
            plain[..4],
            ["features.0.weight", "features.0.bias", "features.2.weight", "features.2.bias"]
        );
        assert_eq!(
            plain[24..28],
            ["features.28.weight", "features.28.bias", "classifier.0.weight", "classifier.0.bias"]
        );
        assert_eq!(
            plain[28..],
            ["classifier.3.weight", "classifier.3.bias", "classifier.6.weight", "classifier.6.bias"]
        );
        let normed = names(true);
        assert!(normed.contains(&"features.41.num_batches_tracked".to_string()), "{normed:?}");
        assert!(normed.contains(&"features.40.weight".to_string()), "{normed:?}");
    }

    #[test]
    fn a_state_dict_says_what_network_it_is_of() {
        for batch_norm in [false, true] {
            for global_max_pool in [false, true] {
                let options = Vgg16Options { batch_norm, global_max_pool, ..narrow() };
                let state = Vgg16::drawn(&options).unwrap().state_dict().unwrap();
                assert_eq!(Vgg16Options::of(&state), options);
            }
        }
        let one = ("fc.weight".to_string(), zeros(&[2, 2]).unwrap());
        assert_eq!(Vgg16Options::of(&[one]), Vgg16Options::default());
        // A file cannot ask for a network of any size.
        let shapes = [
            ("features.0.weight", [1, 3]),
            ("classifier.0.weight", [1 << 30, 0]),
            ("classifier.6.weight", [5, 1]),
        ];
        let huge = shapes.map(|(name, shape)| (name.to_string(), zeros(&shape).unwrap()));
        assert_eq!(Vgg16Options::of(&huge), Vgg16Options::default());
    }

    #[test]
    fn what_a_layer_gives() {
        for (global_max_pool, batch_norm) in [(false, false), (true, true)] {
            let options = Vgg16Options { global_max_pool, batch_norm, ..narrow() };
            let summary = Vgg16::drawn(&options).unwrap().summary(&[1, 3, SIDE, SIDE]).unwrap();
            let pools = summary.rows.iter().filter(|row| row.op == "max_pool2d");
            let pools: Vec<Vec<usize>> = pools.map(|row| row.output.to_vec()).collect();
            assert_eq!(
                pools,
                [[1, 2, 112, 112], [1, 4, 56, 56], [1, 8, 28, 28], [1, 16, 14, 14], [1, 16, 7, 7]]
            );
            assert_eq!(summary.rows.last().unwrap().output[..], [1, 5]);
        }
    }
}
