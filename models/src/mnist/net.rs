//! The lecture's network for 28 x 28 digits, with a choice of activations.

use std::fmt;

use voxgrad_engine::nn::{
    BatchNorm2d, Conv2d, ELU, Flatten, LeakyReLU, Linear, MaxPool2d, Module, ReLU, Sequential, Sigmoid, Tanh,
};
use voxgrad_engine::{Error, Result, Tensor};

/// The network as recommended: with ReLU and batch normalisation. `[N, 1, 28, 28]` becomes `[N, 10]`.
pub fn cnn() -> Result<Sequential> {
    cnn_with(Activation::ReLU, true)
}

/// Two convolutions, each perhaps with batch normalisation, its activation and a max-pool that halves
/// the image, and a linear layer: `[N, 1, 28, 28]` becomes `[N, 10]`.
pub fn cnn_with(activation: Activation, batch_norm: bool) -> Result<Sequential> {
    let stage = |net: Sequential, from, to| {
        let maps = activation.pieces() * to;
        let mut net = net.append(Conv2d::new(from, maps, 5)?.padding(2));
        if batch_norm {
            net = net.append(BatchNorm2d::new(maps)?);
        }
        Ok::<_, Error>(net.append(activation.layer()).append(MaxPool2d::new(2)))
    };
    let net = stage(stage(Sequential::new(), 1, 16)?, 16, 32)?;
    Ok(net.append(Flatten::default()).append(Linear::new(32 * 7 * 7, 10)?))
}

/// The function behind each convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// 1 / (1 + exp(-x)): from 0 to 1, and nearly flat away from 0, where gradients vanish.
    Sigmoid,
    /// Hyperbolic tangent: from -1 to 1, and nearly flat away from 0 as well.
    Tanh,
    /// max(x, 0).
    ReLU,
    /// x above 0 and 0.01 x below (Maas, Hannun and Ng, 2013).
    LeakyReLU,
    /// x above 0 and exp(x) - 1 below (Clevert, Unterthiner and Hochreiter, arXiv:1511.07289).
    ELU,
    /// The largest of two learned maps: [`Maxout`].
    Maxout,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 6] = [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::ReLU,
        Activation::LeakyReLU,
        Activation::ELU,
        Activation::Maxout,
    ];

    /// How many maps a convolution has to make for each that comes out of the activation.
    fn pieces(self) -> usize {
        if self == Activation::Maxout { 2 } else { 1 }
    }

    fn layer(self) -> Box<dyn Module> {
        match self {
            Activation::Sigmoid => Box::new(Sigmoid),
            Activation::Tanh => Box::new(Tanh),
            Activation::ReLU => Box::new(ReLU),
            Activation::LeakyReLU => Box::new(LeakyReLU::default()),
            Activation::ELU => Box::new(ELU::default()),
            Activation::Maxout => Box::new(Maxout { pieces: self.pieces() }),
        }
    }
}

/// Its name on a command line.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::ReLU => "relu",
            Activation::LeakyReLU => "leaky-relu",
            Activation::ELU => "elu",
            Activation::Maxout => "maxout",
        })
    }
}

/// The largest of every `pieces` neighbouring maps, place by place: `[N, C pieces, H, W]` becomes
/// `[N, C, H, W]`. Over maps that a convolution has learned it is an activation whose shape is learned
/// with them, convex and made of `pieces` linear ones; ReLU is that of one map and zero.
///
/// ```text
/// y[n, c, h, w] = max over k of x[n, c pieces + k, h, w]
/// ```
///
/// Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout networks", 2013, arXiv:1302.4389.
#[derive(Debug, Clone, Copy)]
pub struct Maxout {
    /// How many maps become one.
    pub pieces: usize,
}

impl Module for Maxout {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match x.shape()[..] {
            [n, channels, h, w] if self.pieces > 0 && channels.is_multiple_of(self.pieces) => {
                let groups = x.reshape([n, channels / self.pieces, self.pieces, h, w])?;
                Ok(groups.max(&[2], false)?.0)
            }
            _ => Err(Error::Shape {
                op: "maxout",
                message: format!(
                    "input {} is not of [N, C, H, W] with C a multiple of {} pieces",
                    x.shape(),
                    self.pieces
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::{DType, Device};

    use super::*;

    #[test]
    fn sizes_and_names_are_the_lectures() {
        let net = cnn().unwrap();
        assert_eq!(net.num_parameters(), (416 + 32) + (12_832 + 64) + 15_690);
        let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[2..6], ["1.weight", "1.bias", "4.weight", "4.bias"]);
        assert_eq!(names[8..], ["9.weight", "9.bias"]);
        assert_eq!(cnn_with(Activation::ReLU, false).unwrap().num_parameters(), 416 + 12_832 + 15_690);
        // Twice the maps of both convolutions; the second one sees as many as before.
        let maxout = cnn_with(Activation::Maxout, false).unwrap().num_parameters();
        assert_eq!(maxout, 2 * 416 + 2 * 12_832 + 15_690);
    }

    /// The walk through the network that the lecture takes in a debugger.
    #[test]
    fn the_summary_prints_the_lectures_shapes() {
        for activation in Activation::ALL {
            for batch_norm in [false, true] {
                let summary = cnn_with(activation, batch_norm).unwrap().summary(&[100, 1, 28, 28]).unwrap();
                let shapes: Vec<String> = summary.rows.iter().map(|row| row.output.to_string()).collect();
                let mut at = shapes.iter();
                for shape in [
                    "[100, 1, 28, 28]",
                    "[100, 16, 28, 28]",
                    "[100, 16, 14, 14]",
                    "[100, 32, 14, 14]",
                    "[100, 32, 7, 7]",
                    "[100, 1568]",
                    "[100, 10]",
                ] {
                    assert!(at.any(|s| s == shape), "{activation}: no {shape} in its place: {shapes:?}");
                }
                let printed = summary.to_string();
                assert!(printed.contains("[100, 1, 28, 28]") && printed.contains("[100, 10]"), "{printed}");
            }
        }
    }

    #[test]
    fn maxout_takes_the_largest_of_each_group_and_gives_it_the_gradient() {
        let x: Vec<f32> = vec![1.0, -4.0, 3.0, -5.0, -1.0, -2.0, -3.0, 0.0];
        let x = Tensor::new(&x, [1, 4, 1, 2], &Device::cpu()).unwrap().requires_grad();
        let y = Maxout { pieces: 2 }.forward(&x).unwrap();
        assert_eq!(y.shape()[..], [1, 2, 1, 2]);
        assert_eq!(y.to_vec::<f32>().unwrap(), [3.0, -4.0, -1.0, 0.0]);
        y.sum_all().unwrap().backward().unwrap();
        let dx = x.grad().unwrap().to_vec::<f32>().unwrap();
        assert_eq!(dx, [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);

        let odd = Tensor::zeros([1, 3, 2, 2], DType::F32, &Device::cpu()).unwrap();
        let message = Maxout { pieces: 2 }.forward(&odd).unwrap_err().to_string();
        let wanted = "maxout: input [1, 3, 2, 2] is not of [N, C, H, W] with C a multiple of 2 pieces";
        assert_eq!(message, wanted);
        assert!(Maxout { pieces: 0 }.forward(&odd).is_err());
    }
}
